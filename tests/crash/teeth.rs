//! Proves that the machine would notice: each fault that can be planted in the engine is planted,
//! and must make a case fail.

use std::time::Instant;

use engine::planted;

use crate::cases::{Case, Plan};
use crate::machine::{exhaustive, lines, start};
use crate::run::Runner;
use crate::verbs::VERBS;

/// Plants every fault; says whether each was noticed.
pub(crate) fn all() -> bool {
    let started = Instant::now();
    let parts = std::thread::available_parallelism().map_or(2, usize::from);
    let children = (0..parts).map(|part| start(&format!("teeth {part} {parts}"))).collect();
    let mut found = lines(children);
    found.sort();
    let escaped = found.iter().filter(|line| !line.starts_with("caught")).count();
    println!("planted faults: {} planted, {escaped} escaped", planted::ALL.len());
    for line in &found {
        println!("  {line}");
    }
    println!("  ({} s)", started.elapsed().as_secs());
    escaped == 0 && found.len() == planted::ALL.len()
}

/// Does every so-manieth fault.
pub(crate) fn run_part(part: usize, parts: usize) {
    for fault in planted::ALL.into_iter().skip(part).step_by(parts) {
        planted::plant(Some(fault));
        let caught = hunt();
        planted::plant(None);
        match caught {
            Some((case, wrong)) => {
                let wrong = wrong.lines().next().unwrap_or_default();
                let wrong: String = wrong.chars().take(160).collect();
                println!("caught {fault:?} by '{case}': {wrong}");
            }
            None => println!("ESCAPED {fault:?}"),
        }
    }
}

/// The first case that fails: the special ones and single faults and crashes first.
fn hunt() -> Option<(String, String)> {
    let mut runner = Runner::new();
    let mut scenes = Vec::new();
    for verb in VERBS {
        match runner.scene(verb) {
            Ok(scene) => scenes.push((verb, scene)),
            Err(wrong) => return Some((format!("{} calm", verb.name), wrong)),
        }
    }
    let is_early = |case: &Case| !matches!(case.plan, Plan::CrashTwice(..));
    for (verb, scene) in &scenes {
        for case in exhaustive(verb, scene).into_iter().filter(is_early) {
            if let Err(wrong) = runner.run(case) {
                return Some((case.to_string(), wrong));
            }
        }
    }
    None
}

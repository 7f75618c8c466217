//! Proves that the machine would notice: each fault that can be planted in the engine is planted,
//! and must make a case fail.

use std::time::Instant;

use engine::planted;
use engine::store::faulty::Fault;

use crate::cases::{Case, Memory, Plan};
use crate::machine::{exhaustive, lines, start};
use crate::runner::Runner;
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

/// How late a case is tried: first those of which there are few, then one crash or fault a call.
fn turn(case: &Case) -> Option<u32> {
    Some(match case.plan {
        Plan::Calm | Plan::RolledBack | Plan::RecordRemoved | Plan::Swapped => 0,
        Plan::Strike(blob) if blob < 4 => 0,
        Plan::Crash(_, Memory::Kept) => 1,
        Plan::Fault(_, Fault::ErrorBefore | Fault::Ambiguous) => 2,
        Plan::Kill(_) => 3,
        Plan::Disk(..) => 4,
        Plan::Fault(..) | Plan::Power(..) => 5,
        _ => return None,
    })
}

/// The first case that fails.
fn hunt() -> Option<(String, String)> {
    let mut runner = Runner::new();
    let mut scenes = Vec::new();
    for verb in VERBS {
        match runner.scene(verb) {
            Ok(scene) => scenes.push((verb, scene)),
            Err(wrong) => return Some((format!("{} calm", verb.name), wrong)),
        }
    }
    let all = scenes.iter().flat_map(|(verb, scene)| exhaustive(verb, scene));
    let mut cases: Vec<(u32, Case)> =
        all.filter_map(|case| turn(&case).map(|turn| (turn, case))).collect();
    cases.sort_by_key(|(turn, _)| *turn);
    let failing = |(_, case): (u32, Case)| Some((case.to_string(), runner.run(case).err()?));
    cases.into_iter().find_map(failing)
}

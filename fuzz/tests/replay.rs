//! Replays the seeds and regressions of every fuzz target, each also cut and with flipped bytes, on
//! a stable compiler.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "every function here belongs to a test"
)]

use std::collections::BTreeSet;
use std::path::Path;

use strongroom_fuzz::memory::{STRANGER, peak_of, within};
use strongroom_fuzz::{TARGETS, seeds};

/// Targets whose runs cost milliseconds each: replayed as they are, without changes.
const SLOW: [&str; 1] = ["repository"];

#[test]
fn every_seed_and_regression_is_replayed() {
    let mut runs = 0;
    for (name, body) in TARGETS {
        let found = seeds::of(name).unwrap();
        assert!(!found.is_empty(), "{name} has no seed");
        for (_, input) in found {
            body(&input);
            runs += 1;
            if SLOW.contains(&name) {
                continue;
            }
            for at in 0..input.len().min(400) {
                let mut changed = input.clone();
                changed[at] ^= 1 << (at % 8);
                body(&changed);
                changed[at] = 0xff;
                body(&changed);
                body(&input[..at]);
                runs += 3;
            }
        }
    }
    println!("{runs} runs of {} targets", TARGETS.len());
    assert!(runs > 50_000, "{runs}");
}

#[test]
fn every_target_is_a_body_and_has_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("fuzz_targets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("strongroom_fuzz::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        found.insert(name);
    }
    assert_eq!(found, listed);
}

#[test]
fn the_limit_of_memory_is_seen() {
    let (_, peak) = peak_of(|| vec![0_u8; 3 << 20]);
    assert!((3 << 20..4 << 20).contains(&peak), "{peak}");
    let most = STRANGER.bytes(1000);
    assert_eq!(within(STRANGER, 1000, || vec![1_u8; most]).len(), (1 << 20) + 4000);
    let over = || within(STRANGER, 1000, || vec![1_u8; most + 1]).len();
    assert!(std::panic::catch_unwind(over).is_err(), "a body may take what it wants");
}

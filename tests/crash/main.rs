//! The crash machine: every verb is cut at every call to the store and meets every fault there, is
//! recovered, and is held against a small model of what must be in the repository (SPEC 10.1).
//!
//! ```text
//! cargo test -p strongroom-tests --test crash                    all of it
//! STRONGROOM_CRASH_CASES=1000000 cargo test ... --test crash     more of it
//! STRONGROOM_WALKS=100000 cargo test ... --test crash model_test  more random walks
//! STRONGROOM_CRASH_SEED=7 ...                                    other random bytes
//! STRONGROOM_CRASH_CASE='second-backup Bare seed=1 Crash(17, Kept)' ...    one case again
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "every function here belongs to a test"
)]

mod acts;
mod cases;
mod machine;
mod model;
mod probes;
mod run;
mod runner;
mod stage;
mod teeth;
mod verbs;
mod walks;
mod world;

use std::process::ExitCode;

/// Runs one part; says whether all of it holds.
type Part = fn() -> bool;

/// Parts of this test, as a filter names them.
const PARTS: [(&str, Part); 3] =
    [("crash_machine", machine::all), ("planted_faults", teeth::all), ("model_test", walks::all)];

fn main() -> ExitCode {
    if let Ok(part) = std::env::var(machine::PART) {
        return machine::child(&part);
    }
    if let Ok(case) = std::env::var("STRONGROOM_CRASH_CASE") {
        return machine::one(&case);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in PARTS {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let mut is_right = true;
    for (name, part) in PARTS {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
            is_right &= part();
        }
    }
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

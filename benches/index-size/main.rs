//! What an index of sixteen million blobs costs: time and anonymous memory to open it and to answer
//! a backup's lookups, in a process of its own.
//!
//! `cargo bench --bench index-size -- [BLOBS]`; ends with 1 where the memory is over the promise.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot set itself up has nothing to measure"
)]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::Ambient;
use engine::repo::index::synthetic;
use engine::repo::{OpenSettings, Secret, open};
use engine::store::LocalStore;
use strongroom_benches::{PASSPHRASE, repository};

const BLOBS: u64 = 16_000_000;
/// Most anonymous memory, in bytes, at any moment.
const ANONYMOUS_BYTES_MAX: u64 = 150_000_000;
/// Lookups of one backup: half of them of blobs that are not there.
const LOOKUPS: u64 = 2_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().filter(|arg| !arg.starts_with("--")).collect();
    if let [_, role, folder, blobs] = &arguments[..]
        && role == "open"
    {
        return opened(Path::new(folder), blobs.parse().unwrap());
    }
    let blobs = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(BLOBS);
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    {
        let store = LocalStore::create(folder.path().join("repository")).unwrap();
        let repo = repository(Arc::new(store), None);
        synthetic::fill(&repo, blobs).unwrap();
    }
    println!("made segments of {blobs} blobs in {:.1} s", started.elapsed().as_secs_f64());
    // The first time merges the segments, the second maps what the first left.
    for _ in 0..2 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("open").arg(folder.path()).arg(blobs.to_string());
        if !command.status().unwrap().success() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn opened(folder: &Path, blobs: u64) -> ExitCode {
    let (peak, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous_bytes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        look_up(folder, blobs);
        is_done.store(true, Ordering::Relaxed);
    });
    let peak = peak.load(Ordering::Relaxed);
    let verdict = if peak < ANONYMOUS_BYTES_MAX { "ok" } else { "NOT" };
    println!(
        "  anonymous memory {} MB at most, wanted under {} MB {verdict}",
        peak.div_ceil(1_000_000),
        ANONYMOUS_BYTES_MAX / 1_000_000
    );
    if peak < ANONYMOUS_BYTES_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn look_up(folder: &Path, blobs: u64) {
    let store = LocalStore::open(folder.join("repository")).unwrap();
    let settings = OpenSettings { cache: Some(folder.join("cache")), ..OpenSettings::default() };
    let started = Instant::now();
    let repo = open(Arc::new(store), &Secret::passphrase(PASSPHRASE), &settings).unwrap();
    let indexed = repo.load_index(&Ambient::default()).unwrap();
    println!("opened {} blobs in {:.2} s", indexed.index().len(), started.elapsed().as_secs_f64());
    let started = Instant::now();
    for number in 0..LOOKUPS / 2 {
        let at = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % blobs;
        assert!(indexed.index().contains(&synthetic::blob(at)));
        assert!(!indexed.index().contains(&synthetic::blob(blobs + number)));
    }
    let each = started.elapsed().as_nanos() / u128::from(LOOKUPS);
    println!("  {LOOKUPS} lookups, {each} ns each");
}

/// Anonymous memory of this process, in bytes.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

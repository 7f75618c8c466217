//! Which cases there are, and how they are divided among processes.
//!
//! First come all cases of the exhaustive part, then as many drawn by the seed as make the number
//! full.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use engine::store::disk_model::{self, DiskFault};
use engine::store::faulty::Fault;
use strongroom_tests::random;

use crate::cases::{Case, Memory, Plan, World};
use crate::runner::{Runner, Scene};
use crate::verbs::{VERBS, Verb};
use crate::{teeth, walks};

/// Variable that makes a process a part of the whole.
pub(crate) const PART: &str = "STRONGROOM_CRASH_PART";
/// Cases in all, unless told otherwise.
const CASES: u64 = 40_000;
/// Failures that a part tells of before it gives up.
const FAILURES_MAX: usize = 10;

/// A number from the environment.
pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Seed of the exhaustive part and of what is drawn.
pub(crate) fn seed() -> u64 {
    number("STRONGROOM_CRASH_SEED", 1)
}

/// Every case of the exhaustive part for one verb.
pub(crate) fn exhaustive(verb: &'static Verb, scene: &Scene) -> Vec<Case> {
    let seed = seed();
    let mut cases = Vec::new();
    let mut add = |world, plan| cases.push(Case { verb, world, plan, seed });
    add(World::Bare, Plan::Calm);
    add(World::Bare, Plan::RolledBack);
    add(World::Bare, Plan::RecordRemoved);
    add(World::Bare, Plan::Swapped);
    for reading in 0..scene.readings {
        add(World::Bare, Plan::Clock(reading, 1));
        add(World::Bare, Plan::Clock(reading, -1));
    }
    for blob in 1..=10 {
        add(World::Bare, Plan::Strike(blob));
    }
    let calls = scene.log.len() as u64;
    for call in 0..=calls {
        for memory in [Memory::Kept, Memory::Old, Memory::Lost] {
            add(World::Bare, Plan::Crash(call, memory));
        }
        for again in 0..=calls {
            add(World::Bare, Plan::CrashTwice(call, Memory::Kept, again));
        }
    }
    for (call, (kind, _)) in (0..).zip(&scene.log) {
        for fault in Fault::of(*kind) {
            add(World::Bare, Plan::Fault(call, *fault));
            if fault.is_honest() {
                add(World::Retried, Plan::Fault(call, *fault));
            }
        }
        if *kind == engine::store::layers::Call::Put {
            for later in [1, 9].into_iter().filter(|_| verb.lands_late) {
                add(World::Bare, Plan::CrashLate(call, later));
            }
        }
    }
    add(World::Disk, Plan::Calm);
    for (call, kind) in (0..).zip(&scene.disk_log) {
        for fault in DiskFault::of(*kind) {
            add(World::Disk, Plan::Disk(call, *fault));
        }
        // Between two changes of the disk nothing is lost that the next would not lose.
        if *kind > disk_model::Call::Read {
            add(World::Disk, Plan::Kill(call));
            for residue in 0..6 {
                add(World::Disk, Plan::Power(call, residue));
            }
        }
    }
    cases
}

/// Says whether every case is read as it is written, so that any that fails can be run again.
fn is_read_back(case: Case) -> bool {
    Case::parse(&case.to_string()).is_some_and(|read| read.to_string() == case.to_string())
}

/// A case drawn by the seed and its number.
fn drawn(runner: &mut Runner, number: u64) -> Result<Case, String> {
    let seed = seed();
    let draw = |what: &str, limit: u64| random::below(&format!("{seed} {what}"), number, limit);
    let place = usize::try_from(draw("verb", VERBS.len() as u64)).unwrap();
    let verb = &VERBS[place];
    let scene = runner.scene(verb)?;
    let (calls, disk_calls) = (scene.log.len() as u64, scene.disk_log.len() as u64);
    let fault = |what: &str, call: u64| {
        let kind = scene.log.get(usize::try_from(call).unwrap()).map(|(kind, _)| *kind);
        let all = Fault::of(kind.unwrap_or(engine::store::layers::Call::Put));
        all[usize::try_from(draw(what, all.len() as u64)).unwrap()]
    };
    let (first, second) = (draw("first", calls), draw("second", calls));
    let memory = match draw("memory", 3) {
        0 => Memory::Kept,
        1 => Memory::Old,
        _ => Memory::Lost,
    };
    let plan = match draw("plan", 10) {
        0..=2 => Plan::CrashTwice(first, memory, second),
        3..=5 => Plan::CrashThenFault(first, second, fault("fault", second)),
        6 if verb.lands_late => Plan::CrashLate(first, second),
        7 => Plan::PowerTwice(
            draw("power", disk_calls),
            draw("residue", 1000),
            draw("power again", disk_calls),
            draw("residue again", 1000),
        ),
        _ => Plan::Pair((first, fault("a", first)), (second, fault("b", second))),
    };
    let world = match plan {
        Plan::PowerTwice(..) => World::Disk,
        _ if draw("world", 4) == 0 => World::Retried,
        _ => World::Bare,
    };
    Ok(Case { verb, world, plan, seed: seed + 1 + number })
}

/// Runs everything; says whether all of it holds.
pub(crate) fn all() -> bool {
    let cases = number("STRONGROOM_CRASH_CASES", CASES);
    let started = Instant::now();
    let parts = std::thread::available_parallelism().map_or(2, usize::from);
    let children = (0..parts).map(|part| start(&format!("cases {part} {parts} {cases}"))).collect();
    let (mut run, mut failed) = (0, 0);
    for line in lines(children) {
        if let Some(count) = line.strip_prefix("RUN ") {
            run += count.parse::<u64>().unwrap_or(0);
        } else {
            failed += u64::from(line.starts_with("FAILED"));
            println!("{line}");
        }
    }
    let seconds = started.elapsed().as_secs();
    println!("crash machine: {run} cases, {failed} failed ({seconds} s, seed {})", seed());
    failed == 0 && run >= cases
}

/// Starts this program again for a part of the work.
pub(crate) fn start(part: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    Command::new(program).env(PART, part).stdout(Stdio::piped()).spawn().unwrap()
}

/// What the children print, and a line for each that did not end well.
pub(crate) fn lines(children: Vec<Child>) -> Vec<String> {
    let read = |mut child: Child| {
        let output = child.stdout.take().unwrap();
        let mut lines: Vec<String> = BufReader::new(output).lines().map_while(Result::ok).collect();
        if !child.wait().unwrap().success() {
            lines.push("FAILED a part ended early".to_owned());
        }
        lines
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            children.into_iter().map(|child| scope.spawn(move || read(child))).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    })
}

/// A process that does a part of the work.
pub(crate) fn child(part: &str) -> ExitCode {
    // Panics are caught and told as failures; their own words would only be in the way.
    std::panic::set_hook(Box::new(|_| {}));
    let words: Vec<&str> = part.split(' ').collect();
    match words[..] {
        ["cases", part, parts, cases] => {
            run_part(part.parse().unwrap(), parts.parse().unwrap(), cases.parse().unwrap());
        }
        ["walks", part] => walks::run_part(part.parse().unwrap()),
        ["teeth", part, parts] => teeth::run_part(part.parse().unwrap(), parts.parse().unwrap()),
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

fn run_part(part: u64, parts: u64, cases: u64) {
    let mut runner = Runner::new();
    let (mut run, mut failures, mut place) = (0, 0, 0);
    let mut failed = |case: &dyn std::fmt::Display, wrong: &str| {
        failures += 1;
        println!("FAILED STRONGROOM_CRASH_CASE='{case}'\n    {wrong}");
        failures >= FAILURES_MAX
    };
    for verb in VERBS {
        let started = Instant::now();
        let scene = match runner.scene(verb) {
            Ok(scene) => scene,
            Err(wrong) => {
                failed(&verb.name, &wrong);
                continue;
            }
        };
        let before = run;
        for case in exhaustive(verb, &scene) {
            place += 1;
            if place % parts != part {
                continue;
            }
            run += 1;
            let result = if is_read_back(case) {
                runner.run(case)
            } else {
                Err("the case does not read back".to_owned())
            };
            if let Err(wrong) = result
                && failed(&case, &wrong)
            {
                println!("RUN {run}");
                return;
            }
        }
        if std::env::var_os("STRONGROOM_CRASH_VERBOSE").is_some() {
            let (count, seconds) = (run - before, started.elapsed().as_secs_f64());
            let (calls, disk_calls) = (scene.log.len(), scene.disk_log.len());
            println!(
                "{}: {calls} calls, {disk_calls} of a disk, {count} cases, {seconds:.1} s",
                verb.name
            );
        }
    }
    // The exhaustive part is the same in every process, so its size is known to each.
    let mut number = part;
    while number < cases.saturating_sub(place) {
        match drawn(&mut runner, number) {
            Ok(case) => {
                run += 1;
                if let Err(wrong) = runner.run(case)
                    && failed(&case, &wrong)
                {
                    break;
                }
            }
            Err(wrong) => {
                if failed(&number, &wrong) {
                    break;
                }
            }
        }
        number += parts;
    }
    println!("RUN {run}");
}

/// Runs one case again.
pub(crate) fn one(text: &str) -> ExitCode {
    let Some(case) = Case::parse(text) else {
        println!("this is no case: {text}");
        return ExitCode::FAILURE;
    };
    match Runner::new().run(case) {
        Ok(()) => {
            println!("{case}: holds");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            println!("{case}: {wrong}");
            ExitCode::FAILURE
        }
    }
}

//! The model test: random walks of verbs, changes of the source and faults of an honest store, held
//! against a map of paths after every step. A walk that fails is shrunk; what is left of it belongs
//! into [`NAMED`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use engine::crypto::random::pinned;
use engine::planted;
use engine::store::faulty::{Fault, Faulty};
use engine::store::{MemoryStore, Store};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use strongroom_tests::random;

use crate::acts::{Act, Trouble};
use crate::machine::{lines, number, seed, start};
use crate::model::{Model, Pending, Rule, judge};
use crate::verbs::{VERBS, Verb};
use crate::world::{Files, Folders, Tree, calm, traits};

/// Walks of one process, unless told otherwise.
const WALKS: u64 = 500;
/// Steps of a walk.
const STEPS_MAX: usize = 14;
/// Paths that a source may have.
const PATHS: [&str; 8] = ["a", "b", "c", "d/a", "d/b", "d/e/a", "f/a", "f/b"];

/// One step of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A file of the source is written.
    Write { path: usize, content: u8, length: u16 },
    /// A file of the source goes.
    Remove { path: usize },
    /// A verb runs, by its place among those that can walk.
    Verb { verb: usize, fault: Option<(u64, Fault)> },
    /// A machine forgets what it remembers.
    Forget { machine: &'static str },
}

/// Walks that failed once, and some that show how one is written.
pub(crate) const NAMED: &[(&str, &[Step])] = &[
    (
        "a_record_whose_answer_was_lost",
        &[
            Step::Write { path: 0, content: 1, length: 5000 },
            Step::Verb { verb: 0, fault: Some((18, Fault::ErrorAfter)) },
            Step::Verb { verb: 1, fault: None },
        ],
    ),
    (
        "a_machine_without_memory_between_two_writers",
        &[
            Step::Write { path: 3, content: 1, length: 900 },
            Step::Verb { verb: 0, fault: None },
            Step::Verb { verb: 1, fault: Some((12, Fault::DelayedPut(6))) },
            Step::Forget { machine: "one" },
            Step::Remove { path: 3 },
            Step::Verb { verb: 0, fault: None },
        ],
    ),
];

fn walking() -> Vec<&'static Verb> {
    VERBS.iter().filter(|verb| verb.walks).collect()
}

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    let write = (path.clone(), any::<u8>(), prop_oneof![0..100_u16, 100..2000_u16, 2000..9000_u16])
        .prop_map(|(path, content, length)| Step::Write { path, content, length });
    let fault = prop_oneof![
        Just(Fault::ErrorBefore),
        Just(Fault::Ambiguous),
        Just(Fault::ErrorAfter),
        Just(Fault::ErrorAfterUnavailable),
        Just(Fault::DelayedPut(2)),
        Just(Fault::DuplicatedPut(3)),
        Just(Fault::Stop),
    ];
    let fault = proptest::option::of((0..40_u64, fault));
    let verb = (0..walking().len(), fault).prop_map(|(verb, fault)| Step::Verb { verb, fault });
    prop_oneof![
        4 => write,
        1 => path.prop_map(|path| Step::Remove { path }),
        6 => verb,
        1 => prop_oneof![Just("one"), Just("two")].prop_map(|machine| Step::Forget { machine }),
    ]
}

/// A walk under way.
struct Walk<'a> {
    folders: &'a Folders,
    faulty: Arc<Faulty<MemoryStore>>,
    model: Model,
    tree: Tree,
    attempts: u64,
}

impl<'a> Walk<'a> {
    fn start(folders: &'a Folders) -> Result<Self, String> {
        for machine in ["one", "two"] {
            folders.set_memory(machine, &Files::new());
        }
        let faulty = Arc::new(Faulty::new(MemoryStore::new()).like(traits()));
        let model = Model::default();
        let mut walk = Self { folders, faulty, model, tree: Tree::new(), attempts: 0 };
        walk.folders.set_source(&walk.tree);
        let init = VERBS.iter().find(|verb| verb.name == "init").unwrap();
        walk.attempt(init).map_err(|trouble| trouble.to_string())?;
        Ok(walk)
    }

    fn act(&self) -> Act<'_> {
        Act {
            folders: self.folders,
            store: Arc::clone(&self.faulty) as Arc<dyn Store>,
            model: &self.model,
            tree: Arc::new(self.tree.clone()),
            ambient: calm(),
        }
    }

    fn attempt(&mut self, verb: &Verb) -> Result<(), Trouble> {
        pinned::pin(Some(self.attempts));
        self.attempts += 1;
        self.folders.clear_target();
        let act = self.act();
        let effects = catch_unwind(AssertUnwindSafe(|| (verb.act)(&act)))
            .unwrap_or_else(|_| Err(Trouble::Lied("panic".to_owned())))?;
        for effect in effects {
            self.model.apply(effect);
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Write { path, content, length } => {
                let bytes = random::bytes(&format!("walk {content}"), length.into());
                self.tree.insert(PATHS[path].to_owned(), bytes);
                self.folders.set_source(&self.tree);
            }
            Step::Remove { path } => {
                self.tree.remove(PATHS[path]);
                self.folders.set_source(&self.tree);
            }
            Step::Forget { machine } => self.folders.set_memory(machine, &Files::new()),
            Step::Verb { verb, fault } => {
                let verbs = walking();
                return self.verb(verbs[verb % verbs.len()], fault);
            }
        }
        Ok(())
    }

    fn verb(&mut self, verb: &Verb, fault: Option<(u64, Fault)>) -> Result<(), String> {
        let needs_snapshot = self.model.snapshots.is_empty() && verb.needs_snapshot;
        if needs_snapshot || (verb.name == "key-add" && self.model.secrets.contains("second")) {
            return Ok(());
        }
        let mut pending = (verb.pending)(&self.act());
        if let Some((call, fault)) = fault {
            self.faulty.inject(self.faulty.calls() + call, fault);
        }
        let result = self.attempt(verb);
        self.faulty.heal();
        match result {
            Ok(()) => return self.judge(verb, &Pending::default()),
            Err(Trouble::Failed(_)) if fault.is_some() => {}
            Err(trouble) => return Err(format!("{}: {trouble}", verb.name)),
        }
        pending.attempts = verb.snapshots;
        self.judge(verb, &pending)?;
        if let Err(trouble) = self.attempt(verb) {
            return Err(format!("{}, run again: {trouble}", verb.name));
        }
        self.judge(verb, &pending)
    }

    fn judge(&mut self, verb: &Verb, pending: &Pending) -> Result<(), String> {
        let store: Arc<dyn Store> = Arc::new(self.faulty.inner().clone());
        let caches = [self.folders.path(verb.machine)];
        judge(&store, &caches, &mut self.model, pending, Rule::Strict)
            .map_err(|wrong| format!("after {}: {wrong}", verb.name))
    }
}

fn walk(folders: &Folders, steps: &[Step]) -> Result<(), String> {
    let mut walk = Walk::start(folders)?;
    steps.iter().try_for_each(|step| walk.step(*step))
}

/// Runs all walks; says whether each holds.
pub(crate) fn all() -> bool {
    let started = Instant::now();
    let parts = std::thread::available_parallelism().map_or(2, usize::from);
    let children = (0..parts).map(|part| start(&format!("walks {part}"))).collect();
    let (mut run, mut failed) = (0, 0);
    for line in lines(children) {
        if let Some(count) = line.strip_prefix("RUN ") {
            run += count.parse::<u64>().unwrap_or(0);
        } else {
            failed += u64::from(line.starts_with("FAILED"));
            println!("{line}");
        }
    }
    println!("model test: {run} walks, {failed} failed ({} s)", started.elapsed().as_secs());
    failed == 0 && run > 0
}

/// Does the walks of one process.
pub(crate) fn run_part(part: u64) {
    planted::set_packs_a_segment(Some(2));
    let folders = Folders::new();
    for (name, steps) in NAMED {
        if let Err(wrong) = walk(&folders, steps) {
            println!("FAILED {name}: {wrong}");
        }
    }
    let walks = number("STRONGROOM_WALKS", WALKS);
    let config = Config {
        cases: u32::try_from(walks).unwrap_or(u32::MAX),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    bytes[8..16].copy_from_slice(&part.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&vec(step(), 1..STEPS_MAX), |steps| {
        walk(&folders, &steps).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(wrong, steps)) => {
            println!(
                "FAILED {wrong}\n    the shortest walk: {steps:?} (seed {}, part {part})",
                seed()
            );
        }
        Err(error) => println!("FAILED {error}"),
    }
    println!("RUN {}", walks + NAMED.len() as u64);
}

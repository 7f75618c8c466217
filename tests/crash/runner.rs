//! Makes the scenes that verbs start in, and runs cases in them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use engine::crypto::random::pinned;
use engine::planted;
use engine::store::layers::Call;
use engine::store::{MemoryStore, disk_model};

use crate::cases::{Case, Plan, World};
use crate::model::Model;
use crate::run::Run;
use crate::stage::Stage;
use crate::verbs::Verb;
use crate::world::{self, Files, Folders, Standing, Tree};

/// Where a verb starts, and what it does when nothing goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) store: MemoryStore,
    pub(crate) model: Model,
    pub(crate) memory: BTreeMap<&'static str, Files>,
    pub(crate) tree: usize,
    /// Calls of a calm run.
    pub(crate) log: Vec<(Call, String)>,
    /// Readings of the clock in a calm run.
    pub(crate) readings: u64,
    /// Calls of a calm run to the disk.
    pub(crate) disk_log: Vec<disk_model::Call>,
    /// Bytes that a calm run stores.
    pub(crate) bytes: u64,
}

/// Runs cases, one after another; there is one in a process.
pub(crate) struct Runner {
    pub(crate) folders: Folders,
    pub(crate) trees: [Arc<Tree>; 3],
    scenes: BTreeMap<&'static str, Scene>,
}

impl Runner {
    /// Makes the folders.
    pub(crate) fn new() -> Self {
        planted::set_packs_a_segment(Some(2));
        let trees = world::trees().map(Arc::new);
        Self { folders: Folders::new(), trees, scenes: BTreeMap::new() }
    }

    /// Where a verb starts; made once.
    pub(crate) fn scene(&mut self, verb: &'static Verb) -> Result<Scene, String> {
        if !self.scenes.contains_key(verb.name) {
            let scene = self.prepare(verb)?;
            self.scenes.insert(verb.name, scene);
        }
        Ok(self.scenes[verb.name].clone())
    }

    fn prepare(&self, verb: &'static Verb) -> Result<Scene, String> {
        for machine in ["one", "two"] {
            self.folders.set_memory(machine, &Files::new());
        }
        self.folders.use_source(verb.name);
        self.folders.set_source(&self.trees[0]);
        pinned::pin(Some(0));
        let mut stage = Stage {
            folders: &self.folders,
            store: MemoryStore::new(),
            model: Model::default(),
            trees: self.trees.clone(),
            tree: 0,
        };
        catch_unwind(AssertUnwindSafe(|| (verb.prepare)(&mut stage)))
            .map_err(|panic| format!("preparing {}: {}", verb.name, words(&*panic)))?;
        let Stage { store, model, tree, .. } = stage;
        let memory = ["one", "two"].map(|machine| (machine, self.folders.memory(machine))).into();
        let mut scene = Scene {
            store,
            model,
            memory,
            tree,
            log: Vec::new(),
            disk_log: Vec::new(),
            readings: 0,
            bytes: 0,
        };
        // A calm run tells how many calls there are to cut.
        let case = Case { verb, world: World::Bare, plan: Plan::Calm, seed: 1 };
        let mut run = Run::start(self, &scene, case);
        let clock = Arc::new(Standing::jumping(usize::MAX, 0));
        let result = run.attempt(&clock);
        let (log, end) = (run.faulty.log(), run.faulty.inner().total_bytes());
        result.map_err(|trouble| format!("{}, calm: {trouble}", verb.name))?;
        scene.log = log;
        scene.readings = clock.readings() as u64;
        scene.bytes = end.saturating_sub(scene.store.total_bytes());
        let mut run = Run::start(self, &scene, Case { world: World::Disk, ..case });
        let result = run.attempt(&clock);
        let log = run.disk.log();
        result.map_err(|trouble| format!("{} on a disk, calm: {trouble}", verb.name))?;
        scene.disk_log = log;
        Ok(scene)
    }

    /// Runs a case; says what is wrong.
    pub(crate) fn run(&mut self, case: Case) -> Result<(), String> {
        let scene = self.scene(case.verb)?;
        let mut run = Run::start(self, &scene, case);
        let result = run.whole();
        planted::set_strike(0);
        result.map_err(|wrong| {
            let log = run.faulty.log();
            let from = log.len().saturating_sub(12);
            let calls: Vec<String> = log[from..]
                .iter()
                .enumerate()
                .map(|(at, (call, name))| format!("{} {call:?} {name}", at + from))
                .collect();
            format!("{wrong}\n      last calls: {}", calls.join(", "))
        })
    }
}

/// Words of a panic.
pub(crate) fn words(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

//! Runs one case: the verb under its plan, the judge, the recovery, the judge again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use disk_model::ModelDisk;
use engine::crypto::random::pinned;
use engine::planted;
use engine::store::faulty::Faulty;
use engine::store::layers::{Retry, RetryPolicy};
use engine::store::{LocalStore, MemoryStore, Store, disk_model};

use crate::acts::{Act, Trouble};
use crate::cases::{Case, Memory, Plan, World, only_misleads};
use crate::model::{Effect, Model, Pending, Rule, judge};
use crate::probes;
use crate::runner::{Runner, Scene, words};
use crate::world::{self, Files, Standing, ambient};

/// Bytes that records, cards and sealed heads of a run may take beside its packs.
const SLACK_BYTES: u64 = 4096;

type Shared = Arc<Faulty<MemoryStore>>;

/// A case under way.
pub(crate) struct Run<'a> {
    runner: &'a Runner,
    pub(crate) scene: &'a Scene,
    pub(crate) case: Case,
    pub(crate) faulty: Shared,
    pub(crate) disk: ModelDisk,
    store: Arc<dyn Store>,
    pub(crate) model: Model,
    pending: Pending,
    attempts: u64,
}

impl<'a> Run<'a> {
    pub(crate) fn start(runner: &'a Runner, scene: &'a Scene, case: Case) -> Self {
        runner.folders.use_source(case.verb.name);
        for (machine, files) in &scene.memory {
            runner.folders.set_memory(machine, files);
        }
        runner.folders.clear_target();
        let faulty = Arc::new(Faulty::new(scene.store.copy()).like(world::traits()));
        let disk =
            if case.world == World::Disk { disk_of(&scene.store) } else { ModelDisk::with([]) };
        let store: Arc<dyn Store> = match case.world {
            World::Disk => on_disk(&disk),
            World::Bare => Arc::clone(&faulty) as _,
            World::Retried => {
                let policy = RetryPolicy::default();
                Arc::new(Retry::with_wait(Arc::clone(&faulty), policy, |_: Duration| {}))
            }
        };
        let model = scene.model.clone();
        let mut run = Self {
            runner,
            scene,
            case,
            faulty,
            disk,
            store,
            model,
            pending: Pending::default(),
            attempts: 0,
        };
        run.pending = (case.verb.pending)(&run.act(world::calm()));
        run.pending.attempts = 0;
        run
    }

    fn act(&self, ambient: engine::Ambient) -> Act<'_> {
        Act {
            folders: &self.runner.folders,
            store: Arc::clone(&self.store),
            model: &self.model,
            tree: Arc::clone(&self.runner.trees[self.scene.tree]),
            ambient,
        }
    }

    /// The folder in which the machine that runs the verb remembers.
    pub(crate) fn cache(&self) -> PathBuf {
        self.runner.folders.path(self.case.verb.machine)
    }

    /// Runs the verb once and believes what it says.
    pub(crate) fn attempt(&mut self, clock: &Arc<Standing>) -> Result<(), Trouble> {
        pinned::pin(Some(self.case.seed * 8 + self.attempts));
        self.attempts += 1;
        let act = self.act(ambient(Arc::clone(clock)));
        let result: Result<Vec<Effect>, Trouble> =
            catch_unwind(AssertUnwindSafe(|| (self.case.verb.act)(&act)))
                .unwrap_or_else(|panic| Err(Trouble::Lied(format!("panic: {}", words(&*panic)))));
        match result {
            Ok(effects) => {
                for effect in effects {
                    self.model.apply(effect);
                }
                Ok(())
            }
            Err(trouble) => {
                self.pending.attempts += self.case.verb.snapshots;
                Err(trouble)
            }
        }
    }

    /// The calm attempt of a special plan.
    pub(crate) fn calm_attempt(&mut self) -> Result<(), String> {
        let clock = Arc::new(Standing::jumping(usize::MAX, 0));
        self.attempt(&clock).map_err(|trouble| trouble.to_string())
    }

    pub(crate) fn whole(&mut self) -> Result<(), String> {
        match self.case.plan {
            Plan::RolledBack => return probes::rolled_back(self),
            Plan::RecordRemoved => return probes::record_removed(self),
            Plan::Swapped => return probes::swapped(self),
            _ => {}
        }
        let clock = Arc::new(self.inject());
        let first = self.attempt(&clock);
        let is_done = first.is_ok();
        self.complain(&first, "the first run")?;
        self.after_crash(1);
        let mut is_right = self.case.is_honest();
        if let Plan::Fault(_, fault) = self.case.plan {
            is_right |= only_misleads(fault);
        }
        // A repair that was misled may have to be run again.
        let is_misled = self.case.verb.starts_damaged && !self.case.is_honest();
        if !matches!(self.case.plan, Plan::CrashTwice(..) | Plan::PowerTwice(..)) {
            self.judge(is_right && !is_misled, is_done, "after the first run")?;
        }
        if (is_done && !is_misled) || !is_right {
            return Ok(());
        }
        self.recover()
    }

    /// Plans what goes wrong in the first run.
    fn inject(&self) -> Standing {
        let stop = |calls| self.faulty.stop_after(calls);
        match self.case.plan {
            Plan::Fault(call, fault) => self.faulty.inject(call, fault),
            Plan::Pair((a, first), (b, second)) => {
                self.faulty.inject(a, first);
                self.faulty.inject(b, second);
            }
            Plan::Crash(call, _) | Plan::CrashTwice(call, ..) | Plan::CrashThenFault(call, ..) => {
                stop(call);
            }
            Plan::CrashLate(call, later) => {
                self.faulty.inject(call, engine::store::faulty::Fault::DelayedPut(later));
                stop(call + 1);
            }
            Plan::Strike(blob) => planted::set_strike(place(blob)),
            Plan::Clock(at, decades) => return Standing::jumping(place(at), decades),
            Plan::Disk(call, fault) => self.disk.inject(place(call), fault),
            Plan::Kill(call) | Plan::Power(call, _) | Plan::PowerTwice(call, ..) => {
                self.disk.stop_at(place(call));
            }
            Plan::Calm | Plan::RolledBack | Plan::RecordRemoved | Plan::Swapped => {}
        }
        Standing::jumping(usize::MAX, 0)
    }

    /// Says what must not be said in this case.
    fn complain(&self, result: &Result<(), Trouble>, when: &str) -> Result<(), String> {
        let Err(trouble) = result else { return Ok(()) };
        let must_end_well = match self.case.plan {
            Plan::Calm | Plan::Clock(..) | Plan::Strike(_) => true,
            Plan::Disk(_, fault) => fault.is_harmless(),
            Plan::Fault(..) | Plan::Pair(..) => {
                self.case.is_honest() && self.case.world == World::Retried
            }
            _ => false,
        };
        // A disk that cannot give an object is damaged; a store that does not answer is not. What
        // a run says that was cut off nobody hears.
        let is_heard = match self.case.plan {
            Plan::Crash(..) | Plan::CrashTwice(..) | Plan::CrashLate(..) => false,
            Plan::CrashThenFault(..) => self.attempts > 1,
            _ => self.case.world != World::Disk,
        };
        let is_blame =
            is_heard && matches!(trouble, Trouble::SaidDamage(_)) && self.case.is_honest();
        if matches!(trouble, Trouble::Lied(_)) || must_end_well || is_blame {
            return Err(format!("{when} {trouble}"));
        }
        Ok(())
    }

    /// The world goes on after a crash; what the disk holds and the machine remembers may have
    /// suffered.
    fn after_crash(&mut self, run: u32) {
        match (self.case.plan, run) {
            (Plan::CrashLate(..), _) => self.faulty.go_on(),
            (Plan::Power(_, residue) | Plan::PowerTwice(_, residue, ..), 1)
            | (Plan::PowerTwice(.., residue), 2) => self.disk = self.disk.crash(residue),
            _ => self.faulty.heal(),
        }
        self.disk.heal();
        if self.case.world == World::Disk {
            // What a process knows of a disk ends with it.
            self.store = on_disk(&self.disk);
        }
        if run > 1 {
            return;
        }
        let memory = match self.case.plan {
            Plan::Crash(_, memory) | Plan::CrashTwice(_, memory, _) => memory,
            _ => Memory::Kept,
        };
        for (machine, files) in &self.scene.memory {
            match memory {
                Memory::Kept => {}
                Memory::Old => self.runner.folders.set_memory(machine, files),
                Memory::Lost => self.runner.folders.set_memory(machine, &Files::new()),
            }
        }
    }

    fn judge(&mut self, is_right: bool, is_done: bool, when: &str) -> Result<(), String> {
        let rule = if is_right && (is_done || !self.case.verb.starts_damaged) {
            Rule::Strict
        } else {
            Rule::Honest
        };
        let pending = if is_done { &Pending::default() } else { &self.pending };
        let wrong = |wrong| format!("{when}: {wrong}");
        let caches = ["one", "two"].map(|machine| self.runner.folders.path(machine));
        if self.case.world == World::Disk {
            // Whatever a verb said must outlive the loss of all that was not synced.
            let kept = on_disk(&self.disk.crash(0));
            let mut model = self.model.clone();
            let memory =
                ["one", "two"].map(|machine| (machine, self.runner.folders.memory(machine)));
            judge(&kept, &caches[..1], &mut model, pending, rule)
                .map_err(|wrong| format!("{when}, after the loss of power: {wrong}"))?;
            for (machine, files) in &memory {
                self.runner.folders.set_memory(machine, files);
            }
            return judge(&on_disk(&self.disk), &caches[..1], &mut self.model, pending, rule)
                .map_err(wrong);
        }
        // Objects that still come must not come while the judge looks.
        let below: Arc<dyn Store> = Arc::new(self.faulty.inner().clone());
        // Where the store has lied, it is enough that one machine notices.
        let caches = match rule {
            Rule::Strict => vec![self.cache()],
            Rule::Honest => caches.to_vec(),
        };
        judge(&below, &caches, &mut self.model, pending, rule).map_err(wrong)
    }

    /// Runs the verb again, and once more if the recovery was disturbed too.
    fn recover(&mut self) -> Result<(), String> {
        let calm = Arc::new(Standing::jumping(usize::MAX, 0));
        let calls = self.faulty.calls();
        match self.case.plan {
            Plan::CrashTwice(_, _, again) => self.faulty.stop_after(again),
            Plan::CrashThenFault(_, call, fault) => self.faulty.inject(calls + call, fault),
            Plan::PowerTwice(_, _, again, _) => {
                self.disk.stop_at(self.disk.log().len() + place(again));
            }
            _ => {}
        }
        let mut last = self.attempt(&calm);
        let is_disturbed = matches!(
            self.case.plan,
            Plan::CrashTwice(..) | Plan::CrashThenFault(..) | Plan::PowerTwice(..)
        );
        if last.is_err() && is_disturbed {
            self.complain(&last, "the disturbed recovery")?;
            self.after_crash(2);
            if !self.case.is_honest()
                && let Plan::CrashThenFault(_, _, fault) = self.case.plan
                && !only_misleads(fault)
            {
                return self.judge(false, false, "after the misled recovery");
            }
            last = self.attempt(&calm);
        }
        if let Err(trouble) = last {
            return Err(format!("the recovery {trouble}"));
        }
        self.faulty.heal();
        self.disk.heal();
        let is_right = match self.case.plan {
            Plan::CrashThenFault(_, _, fault) => fault.is_honest() || only_misleads(fault),
            _ => true,
        };
        if self.model.unsure.is_empty() {
            self.pending.findings = &[];
        }
        let kept = std::mem::take(&mut self.pending.secrets);
        let result = self.judge(is_right, false, "after the recovery");
        self.pending.secrets = kept;
        result?;
        self.leavings()
    }

    /// What runs that did not end left behind is at most what one of them stores.
    fn leavings(&self) -> Result<(), String> {
        let has_forgotten = matches!(self.case.plan, Plan::Crash(_, memory) | Plan::CrashTwice(_, memory, _) if memory != Memory::Kept);
        let runs = if has_forgotten { self.attempts } else { self.attempts.min(2) };
        let most = self.scene.store.total_bytes() + runs * (self.scene.bytes + SLACK_BYTES);
        let found = match self.case.world {
            World::Disk => {
                let listed = on_disk(&self.disk).list("").map_err(|error| error.to_string())?;
                listed.iter().map(|object| object.bytes).sum()
            }
            _ => self.faulty.inner().total_bytes(),
        };
        if found > most {
            return Err(format!("{found} bytes lie in the store where {most} would do"));
        }
        Ok(())
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A disk that holds what a store holds, all of it synced.
fn disk_of(store: &MemoryStore) -> ModelDisk {
    let read = |name: &repo_format::ObjectName| store.get(name).unwrap_or_default();
    ModelDisk::with(store.names().iter().map(|name| (name.to_string(), read(name))))
}

/// The store of this program in a folder of a disk.
fn on_disk(disk: &ModelDisk) -> Arc<dyn Store> {
    Arc::new(Faulty::new(LocalStore::on_model(disk.clone())).like(world::traits()))
}

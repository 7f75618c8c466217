//! The verbs under test, one entry each in [`VERBS`]: what is there before, what is done, and what
//! may be there when it was cut off.
//!
//! A verb that was cut off is recovered by running it again, so `act` does what a person would do
//! who types the same command a second time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use engine::backup::{self, Parent, Source};
use engine::browse::tags::{self, Change};
use engine::check::{self, ReadData};
use engine::chunk::compression::Level;
use engine::error::Kind;
use engine::repo::history::{History, Taken};
use engine::repo::{IndexedRepository, Repository};
use engine::store::{MemoryStore, Put, Store};
use engine::{Ambient, keys, repair, restore};
use repo_format::{ObjectName, SnapshotId};

use crate::model::{Effect, Known, Model, Pending};
use crate::world::{self, COST, Folders, Tree, actor, calm, secret, settings};

/// A verb under test.
#[allow(clippy::struct_excessive_bools, reason = "each says something else about a verb")]
pub(crate) struct Verb {
    /// Name in cases.
    pub(crate) name: &'static str,
    /// Brings an empty stage to where the verb starts.
    pub(crate) prepare: fn(&mut Stage<'_>),
    /// Runs the verb; gives what it says it did.
    pub(crate) act: fn(&Act<'_>) -> Result<Vec<Effect>, Trouble>,
    /// What it may have done when it did not end.
    pub(crate) pending: fn(&Act<'_>) -> Pending,
    /// Whether the repository is damaged before, so that only its bytes can be judged until the
    /// verb is done.
    pub(crate) starts_damaged: bool,
    /// Machine whose memory matters most.
    pub(crate) machine: &'static str,
    /// Most snapshots that one run may leave.
    pub(crate) snapshots: usize,
    /// Whether a write of a run that was cut off may come in the middle of the next. Not so for
    /// `init`: a marker that comes when the second run has cleared its keys away leaves an empty
    /// place that must be cleared by hand.
    pub(crate) lands_late: bool,
    /// Whether it is one of the verbs of the random walks, where it may run in any state.
    pub(crate) walks: bool,
    /// Whether it makes no sense without a snapshot.
    pub(crate) needs_snapshot: bool,
}

/// Every verb. Another one needs an entry here and nothing else.
#[allow(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of a stage of one lifetime is no function of all"
)]
pub(crate) const VERBS: &[Verb] = &[
    Verb {
        name: "init",
        act: init,
        // The slot of the creation that was cut off, which came late.
        pending: |_| Pending { findings: &["belongs to another repository"], ..NOTHING },
        lands_late: false,
        ..PLAIN
    },
    Verb {
        name: "first-backup",
        prepare: |stage| stage.create(),
        act: |act| back_up(act, "one", Parent::Newest),
        pending: snapshot_of_one,
        walks: true,
        ..PLAIN
    },
    Verb {
        name: "second-backup",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.set_tree(1);
        },
        act: |act| back_up(act, "one", Parent::Newest),
        pending: snapshot_of_one,
        ..PLAIN
    },
    Verb {
        name: "unchanged-backup",
        prepare: |stage| stage.back_up(0, "one"),
        act: |act| back_up(act, "one", Parent::Newest),
        pending: snapshot_of_one,
        ..PLAIN
    },
    Verb {
        name: "known-blobs-backup",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "one");
        },
        act: |act| back_up(act, "one", Parent::None),
        pending: snapshot_of_one,
        ..PLAIN
    },
    Verb {
        name: "other-writer-backup",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "two");
            stage.back_up(1, "one");
            stage.set_tree(2);
        },
        act: |act| back_up(act, "two", Parent::Newest),
        pending: snapshot_of_one,
        machine: "two",
        walks: true,
        ..PLAIN
    },
    Verb {
        name: "writers-in-turn",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.set_tree(1);
        },
        act: |act| {
            let mut effects = back_up(act, "two", Parent::Newest)?;
            effects.extend(back_up(act, "one", Parent::Newest)?);
            Ok(effects)
        },
        pending: snapshot_of_one,
        snapshots: 2,
        ..PLAIN
    },
    Verb {
        name: "tag",
        prepare: |stage| stage.back_up(0, "one"),
        act: tag,
        pending: |act| Pending {
            tags: act.newest().map(|id| (id, vec!["paid".to_owned()])),
            ..Pending::default()
        },
        walks: true,
        needs_snapshot: true,
        ..PLAIN
    },
    Verb {
        name: "key-add",
        prepare: |stage| stage.back_up(0, "one"),
        act: |act| {
            let repo = act.open("one")?;
            keys::add(&repo, &secret("second"), "two", COST, &actor("one"), &act.ambient)?;
            Ok(vec![Effect::SecretAdded("second")])
        },
        pending: |_| Pending { secrets: ["second"].into(), ..Pending::default() },
        walks: true,
        ..PLAIN
    },
    Verb {
        name: "key-remove",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.add_second_key();
        },
        act: key_remove,
        pending: |_| Pending { secrets: ["second"].into(), ..old_key_stands() },
        ..PLAIN
    },
    Verb {
        name: "key-passwd",
        prepare: |stage| stage.back_up(0, "one"),
        act: key_passwd,
        pending: |_| Pending { secrets: ["first", "second"].into(), ..old_key_stands() },
        ..PLAIN
    },
    Verb {
        name: "repair-index",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "one");
            stage.break_index();
        },
        act: |act| {
            let options = repair::Options { threads: 1, ..Default::default() };
            let report = repair::index(&act.open("one")?, &options, &act.ambient)?;
            let stays = |finding: &&engine::Finding| {
                finding.severity == engine::Severity::Loss || finding.what.contains("left alone")
            };
            match report.findings.iter().find(stays) {
                None => Ok(Vec::new()),
                Some(finding) => Err(Trouble::SaidDamage(finding.to_string())),
            }
        },
        starts_damaged: true,
        walks: true,
        ..PLAIN
    },
    Verb {
        name: "restore",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "one");
        },
        act: restore_newest,
        walks: true,
        needs_snapshot: true,
        ..PLAIN
    },
    Verb {
        name: "check",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "one");
        },
        act: |act| {
            let repo = act.open("one")?;
            let options =
                check::Options { read_data: ReadData::All, threads: 1, ..Default::default() };
            let report = check::check(&repo, &options, &act.ambient)?;
            if report.has_damage() {
                return Err(Trouble::SaidDamage(report.sentence()));
            }
            Ok(Vec::new())
        },
        walks: true,
        ..PLAIN
    },
];

const PLAIN: Verb = Verb {
    name: "",
    prepare: |_| {},
    act: |_| Ok(Vec::new()),
    pending: |_| NOTHING,
    starts_damaged: false,
    machine: "one",
    snapshots: 1,
    lands_late: true,
    walks: false,
    needs_snapshot: false,
};

/// Nothing may have been done.
const NOTHING: Pending = Pending {
    snapshot: None,
    tags: None,
    forgotten: BTreeSet::new(),
    secrets: BTreeSet::new(),
    findings: &[],
    attempts: 0,
};

/// A key slot goes after the record that says so: until then it may be found where it must not be.
fn old_key_stands() -> Pending {
    Pending { findings: &["it was removed and is there again"], ..NOTHING }
}

/// Why a verb did not end well.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It ended with an error.
    Failed(engine::Error),
    /// It ended, and said that something is damaged.
    SaidDamage(String),
    /// It said that all is well, and it is not.
    Lied(String),
}

impl From<engine::Error> for Trouble {
    fn from(error: engine::Error) -> Self {
        Self::Failed(error)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::SaidDamage(what) => write!(f, "found damage: {what}"),
            Self::Lied(what) => write!(f, "LIED: {what}"),
        }
    }
}

/// What a verb works with.
pub(crate) struct Act<'a> {
    pub(crate) folders: &'a Folders,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) model: &'a Model,
    /// What the source holds.
    pub(crate) tree: Arc<Tree>,
    pub(crate) ambient: Ambient,
}

impl Act<'_> {
    fn cache(&self, machine: &str) -> PathBuf {
        self.folders.path(machine)
    }

    /// Opens the repository with the first secret that does.
    fn open(&self, machine: &str) -> engine::Result<Repository> {
        let cache = self.cache(machine);
        let opened = world::open(Arc::clone(&self.store), "first", Some(&cache));
        match opened {
            Err(error) if error.kind() == Kind::WrongPassword => {
                world::open(Arc::clone(&self.store), "second", Some(&cache))
            }
            opened => opened,
        }
    }

    fn read(&self, machine: &str) -> engine::Result<(IndexedRepository, History)> {
        let repo = self.open(machine)?;
        let history = History::load(&repo, &self.ambient)?;
        Ok((repo.load_index(&self.ambient)?, history))
    }

    /// What a snapshot of the source must be.
    fn known(&self) -> Known {
        Known { tree: Arc::clone(&self.tree), tags: Vec::new() }
    }

    fn newest(&self) -> Option<SnapshotId> {
        self.model.snapshots.keys().next_back().copied()
    }
}

fn snapshot_of_one(act: &Act<'_>) -> Pending {
    Pending { snapshot: Some(act.known()), ..Pending::default() }
}

fn init(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
    match act.open("one") {
        // Said to be there already, which promises nothing new.
        Ok(_) => return Ok(Vec::new()),
        Err(error) if error.kind() == Kind::NoRepository => {}
        Err(error) => return Err(error.into()),
    }
    let cache = act.cache("one");
    let store = Arc::clone(&act.store);
    engine::repo::create::create(store, &secret("first"), &settings(&cache), &act.ambient)?;
    Ok(vec![Effect::Created])
}

fn back_up(act: &Act<'_>, machine: &str, parent: Parent) -> Result<Vec<Effect>, Trouble> {
    let repo = act.open(machine)?.load_index(&act.ambient)?;
    let options = backup::Options {
        sources: vec![Source::Path(act.folders.source())],
        parent,
        level: Level::Fast,
        actor: actor(machine),
        threads: 1,
        ..backup::Options::default()
    };
    let report = backup::backup(&repo, &options, &act.ambient)?;
    if report.unreadable_count > 0 || report.is_partial {
        return Err(Trouble::SaidDamage(format!("{:?}", report.unreadable)));
    }
    match report.snapshot {
        Some(id) => Ok(vec![Effect::Snapshot(id, act.known())]),
        None => Err(Trouble::Lied("a backup without a snapshot".to_owned())),
    }
}

fn tag(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
    let repo = act.open("one")?;
    let mut history = History::load(&repo, &act.ambient)?;
    let Some(id) = act.newest() else { return Ok(Vec::new()) };
    let change = Change { add: vec!["paid".to_owned()], ..Change::default() };
    tags::change(&repo, &mut history, id, &change, &actor("one"), &act.ambient)?;
    Ok(vec![Effect::Tags(id, vec!["paid".to_owned()])])
}

fn key_remove(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
    // Not with whatever opens: that may be the one to remove.
    let cache = act.cache("one");
    let repo = world::open(Arc::clone(&act.store), "first", Some(&cache))?;
    let mut effect = Effect::SecretUnsure("second");
    for slot in keys::list(&repo)? {
        if !slot.is_in_use {
            keys::remove(&repo, slot.id, &actor("one"), &act.ambient)?;
            effect = Effect::SecretRemoved("second");
        }
    }
    Ok(vec![effect])
}

/// Changes the password from "first" to "second"; where both open, the old one goes.
fn key_passwd(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
    let done = |old| Ok(vec![Effect::SecretAdded("second"), old]);
    let cache = act.cache("one");
    match world::open(Arc::clone(&act.store), "first", Some(&cache)) {
        Ok(repo) => {
            keys::passwd(&repo, &secret("second"), COST, &actor("one"), &act.ambient)?;
            done(Effect::SecretRemoved("first"))
        }
        Err(error) if error.kind() == Kind::WrongPassword => {
            world::open(Arc::clone(&act.store), "second", Some(&cache))?;
            done(Effect::SecretUnsure("first"))
        }
        Err(error) => Err(error.into()),
    }
}

fn restore_newest(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
    let (repo, history) = act.read("one")?;
    let taken: Taken = history
        .snapshots()
        .pop()
        .ok_or_else(|| Trouble::Lied("a history without snapshots".to_owned()))?;
    let options = restore::Options {
        target: act.folders.path("target"),
        threads: 1,
        ..restore::Options::default()
    };
    let report = restore::restore(&repo, &taken, &options, &act.ambient)?;
    if !report.findings.is_empty() || !report.failures.is_empty() {
        return Err(Trouble::SaidDamage(format!("{:?}", report.findings)));
    }
    let is_right = act.model.snapshots.get(&taken.id).is_some_and(|known| {
        let restored = act.folders.restored();
        known.tree.iter().all(|(name, bytes)| restored.get(name) == Some(bytes))
            && restored.keys().all(|name| known.tree.contains_key(name))
    });
    if is_right { Ok(Vec::new()) } else { Err(Trouble::Lied("wrong files restored".to_owned())) }
}

/// What is made before a verb runs.
pub(crate) struct Stage<'a> {
    pub(crate) folders: &'a Folders,
    pub(crate) store: MemoryStore,
    pub(crate) model: Model,
    pub(crate) trees: [Arc<Tree>; 3],
    /// Which of them the source holds.
    pub(crate) tree: usize,
}

impl Stage<'_> {
    fn act(&self) -> Act<'_> {
        Act {
            folders: self.folders,
            store: Arc::new(
                engine::store::faulty::Faulty::new(self.store.clone()).like(world::traits()),
            ),
            model: &self.model,
            tree: Arc::clone(&self.trees[self.tree]),
            ambient: calm(),
        }
    }

    fn done(&mut self, act: fn(&Act<'_>) -> Result<Vec<Effect>, Trouble>) {
        let effects = act(&self.act()).unwrap_or_else(|trouble| panic!("preparing: {trouble}"));
        for effect in effects {
            self.model.apply(effect);
        }
    }

    fn create(&mut self) {
        if !self.model.exists {
            self.done(init);
        }
    }

    fn set_tree(&mut self, tree: usize) {
        self.tree = tree;
        self.folders.set_source(&self.trees[tree]);
    }

    fn back_up(&mut self, tree: usize, machine: &str) {
        self.create();
        self.set_tree(tree);
        match machine {
            "one" => self.done(|act| back_up(act, "one", Parent::Newest)),
            _ => self.done(|act| back_up(act, "two", Parent::Newest)),
        }
    }

    fn add_second_key(&mut self) {
        let add = VERBS.iter().find(|verb| verb.name == "key-add").map(|verb| verb.act);
        self.done(add.unwrap());
    }

    /// Removes one segment and spoils another.
    fn break_index(&mut self) {
        let names: Vec<ObjectName> = self
            .store
            .names()
            .into_iter()
            .filter(|name| name.as_str().starts_with("index/"))
            .collect();
        assert!(names.len() > 2, "{names:?}");
        self.store.delete(&names[0]).unwrap();
        let mut bytes = self.store.get(&names[1]).unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.store.put(&names[1], bytes.into(), Put::Overwrite).unwrap();
    }
}

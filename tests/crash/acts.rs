//! What the verbs under test do, each as a person would who does not know whether it ran before.

use std::path::PathBuf;
use std::sync::Arc;

use engine::backup::{self, Parent, Source};
use engine::browse::tags::{self, Change};
use engine::chunk::compression::Level;
use engine::error::Kind;
use engine::repo::history::{History, Taken};
use engine::repo::{IndexedRepository, Repository};
use engine::store::Store;
use engine::{Ambient, keys, restore};
use repo_format::SnapshotId;

use crate::model::{Effect, Known, Model, Pending};
use crate::world::{self, COST, Folders, Tree, actor, secret, settings};

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
    pub(crate) fn open(&self, machine: &str) -> engine::Result<Repository> {
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

    pub(crate) fn newest(&self) -> Option<SnapshotId> {
        self.model.snapshots.keys().next_back().copied()
    }
}

pub(crate) fn snapshot_of_one(act: &Act<'_>) -> Pending {
    Pending { snapshot: Some(act.known()), ..Pending::default() }
}

pub(crate) fn init(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
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

pub(crate) fn back_up(
    act: &Act<'_>,
    machine: &str,
    parent: Parent,
) -> Result<Vec<Effect>, Trouble> {
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

pub(crate) fn tag(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
    let repo = act.open("one")?;
    let mut history = History::load(&repo, &act.ambient)?;
    let Some(id) = act.newest() else { return Ok(Vec::new()) };
    let change = Change { add: vec!["paid".to_owned()], ..Change::default() };
    tags::change(&repo, &mut history, id, &change, &actor("one"), &act.ambient)?;
    Ok(vec![Effect::Tags(id, vec!["paid".to_owned()])])
}

pub(crate) fn key_remove(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
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
pub(crate) fn key_passwd(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
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

/// The file that a name belongs to: what an earlier run could not read whole stays beside the file,
/// under a name that says so.
fn rest_of(name: &str) -> &str {
    name.find(".strongroom-damaged").map_or(name, |at| &name[..at])
}

pub(crate) fn restore_newest(act: &Act<'_>) -> Result<Vec<Effect>, Trouble> {
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
            && restored.keys().all(|name| known.tree.contains_key(rest_of(name)))
    });
    if is_right { Ok(Vec::new()) } else { Err(Trouble::Lied("wrong files restored".to_owned())) }
}

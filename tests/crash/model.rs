//! The model of a repository, small enough to be right by looking at it, and the judge who holds
//! what is in a store against it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::browse::{View, Walk};
use engine::check::{self, ReadData};
use engine::repo::blobs::BlobReader;
use engine::repo::history::History;
use engine::repo::{IndexedRepository, Repository};
use engine::store::Store;
use repo_format::SnapshotId;
use repo_format::tree::Body;

use crate::world::{self, Tree, calm};

/// What a snapshot must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its files.
    pub(crate) tree: Arc<Tree>,
    /// Its tags.
    pub(crate) tags: Vec<String>,
}

/// What must be in the repository.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// Whether there is a repository.
    pub(crate) exists: bool,
    /// Committed snapshots.
    pub(crate) snapshots: BTreeMap<SnapshotId, Known>,
    /// Secrets that open it.
    pub(crate) secrets: BTreeSet<&'static str>,
    /// Secrets that nobody has promised anything about.
    pub(crate) unsure: BTreeSet<&'static str>,
}

/// What a verb has done, by its own word.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// There is a repository.
    Created,
    /// A snapshot.
    Snapshot(SnapshotId, Known),
    /// A snapshot is gone.
    #[allow(dead_code, reason = "for verbs that forget")]
    Forgotten(SnapshotId),
    /// The tags of a snapshot from now on.
    Tags(SnapshotId, Vec<String>),
    /// A secret opens the repository.
    SecretAdded(&'static str),
    /// A secret opens it no more.
    SecretRemoved(&'static str),
    /// A secret was found not to open it, by a run that did not take it away itself.
    SecretUnsure(&'static str),
}

impl Model {
    /// Believes a verb.
    pub(crate) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Created => {
                self.exists = true;
                self.secrets.insert("first");
            }
            Effect::Snapshot(id, known) => {
                self.snapshots.insert(id, known);
            }
            Effect::Forgotten(id) => {
                self.snapshots.remove(&id);
            }
            Effect::Tags(id, tags) => {
                if let Some(known) = self.snapshots.get_mut(&id) {
                    known.tags = tags;
                }
            }
            Effect::SecretAdded(name) => {
                self.secrets.insert(name);
            }
            Effect::SecretRemoved(name) => {
                self.secrets.remove(name);
            }
            Effect::SecretUnsure(name) => {
                self.secrets.remove(name);
                self.unsure.insert(name);
            }
        }
    }
}

/// What a verb that did not end may have done, all of it or nothing of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending {
    /// A snapshot of this.
    pub(crate) snapshot: Option<Known>,
    /// Tags of a snapshot.
    pub(crate) tags: Option<(SnapshotId, Vec<String>)>,
    /// Snapshots that may be gone.
    pub(crate) forgotten: BTreeSet<SnapshotId>,
    /// Secrets that may or may not open.
    pub(crate) secrets: BTreeSet<&'static str>,
    /// Findings that may stand until the verb is run again, by a part of their words.
    pub(crate) findings: &'static [&'static str],
    /// Runs that did not end.
    pub(crate) attempts: usize,
}

/// How a store is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Everything that was promised holds, and nothing else is there.
    Strict,
    /// The store has lied: what is gone or wrong must be said, and nothing wrong may be given.
    Honest,
}

/// Says what is wrong, or takes what pending verbs did into the model.
pub(crate) fn judge(
    store: &Arc<dyn Store>,
    caches: &[PathBuf],
    model: &mut Model,
    pending: &Pending,
    rule: Rule,
) -> Result<(), String> {
    let mut wrong = Ok(());
    for cache in caches {
        wrong = judge_on(store, Some(cache), model, pending, rule);
        if wrong.is_ok() {
            return Ok(());
        }
    }
    wrong
}

fn judge_on(
    store: &Arc<dyn Store>,
    cache: Option<&Path>,
    model: &mut Model,
    pending: &Pending,
    rule: Rule,
) -> Result<(), String> {
    match look(store, cache, model, pending) {
        Ok(seen) => {
            let wrong = seen.wrong();
            // Where the check has spoken nobody is deceived, as long as no bytes are wrong.
            let is_said = seen.lies.is_empty() && seen.is_damage_said;
            if matches!(rule, Rule::Honest) && is_said {
                return Ok(());
            }
            wrong.map_or(Ok(()), Err)?;
            for (id, known) in seen.adopted {
                model.snapshots.insert(id, known);
            }
            model.exists |= seen.exists;
            Ok(())
        }
        Err(error) if rule == Rule::Strict => Err(error),
        Err(_) => Ok(()),
    }
}

/// What a look at a store gave.
#[derive(Debug, Default)]
struct Seen {
    exists: bool,
    /// Wrong bytes, given as if they were right.
    lies: Vec<String>,
    /// What is missing or cannot be read.
    losses: Vec<String>,
    /// What the check found.
    findings: Vec<String>,
    is_damage_said: bool,
    adopted: Vec<(SnapshotId, Known)>,
}

impl Seen {
    fn wrong(&self) -> Option<String> {
        let all: Vec<&str> = self
            .lies
            .iter()
            .chain(&self.losses)
            .chain(&self.findings)
            .map(String::as_str)
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn look(
    store: &Arc<dyn Store>,
    cache: Option<&Path>,
    model: &Model,
    pending: &Pending,
) -> Result<Seen, String> {
    let mut seen = Seen::default();
    if !model.exists {
        return look_at_nothing(store, pending);
    }
    let repo = unlock(store, cache, model, pending)?;
    seen.exists = true;
    let ambient = calm();
    let history =
        History::load(&repo, &ambient).map_err(|error| format!("reading the history: {error}"))?;
    let indexed =
        repo.load_index(&ambient).map_err(|error| format!("reading the index: {error}"))?;
    let mut left = model.snapshots.clone();
    let mut unknown = 0;
    for taken in history.snapshots() {
        let tags: Vec<String> =
            taken.snapshot.tags.iter().map(|tag| tag.as_str().to_owned()).collect();
        let expected = left.remove(&taken.id).or_else(|| {
            unknown += 1;
            pending.snapshot.clone().filter(|_| unknown <= pending.attempts)
        });
        let Some(expected) = expected else {
            seen.lies.push(format!("snapshot {} was never committed", taken.id.short()));
            continue;
        };
        let is_new = pending.tags.as_ref() == Some(&(taken.id, tags.clone()));
        if tags != expected.tags && !is_new {
            seen.lies.push(format!("snapshot {} has the tags {tags:?}", taken.id.short()));
        }
        compare(&indexed, &View::new(&indexed, &taken), &expected.tree, &mut seen);
        seen.adopted.push((taken.id, Known { tree: expected.tree, tags }));
    }
    for id in left.keys().filter(|id| !pending.forgotten.contains(id)) {
        seen.losses.push(format!("snapshot {} is gone", id.short()));
    }
    check(&repo, pending, &mut seen)?;
    Ok(seen)
}

/// Nothing was created, or its creation did not end.
fn look_at_nothing(store: &Arc<dyn Store>, pending: &Pending) -> Result<Seen, String> {
    match world::open(Arc::clone(store), "first", None) {
        Err(error) if error.kind() == engine::error::Kind::NoRepository => Ok(Seen::default()),
        Ok(_) if pending.attempts > 0 => Ok(Seen::default()),
        Ok(_) => Err("there is a repository that nobody made".to_owned()),
        Err(error) => Err(format!("what was begun can neither be used nor made anew: {error}")),
    }
}

fn unlock(
    store: &Arc<dyn Store>,
    cache: Option<&Path>,
    model: &Model,
    pending: &Pending,
) -> Result<Repository, String> {
    let mut opened = None;
    let may_open = |name: &str| pending.secrets.contains(name) || model.unsure.contains(name);
    for name in ["first", "second"] {
        match world::open(Arc::clone(store), name, cache) {
            Ok(repo) if model.secrets.contains(name) || may_open(name) => {
                opened = Some(repo);
            }
            Ok(_) => return Err(format!("the secret '{name}' opens and must not")),
            Err(error) if model.secrets.contains(name) && !may_open(name) => {
                return Err(format!("the secret '{name}' does not open: {error}"));
            }
            Err(_) => {}
        }
        // A derivation costs more than the rest: most verbs have nothing to do with keys.
        if opened.is_some() && model.secrets.len() == 1 && pending.secrets.is_empty() {
            break;
        }
    }
    opened.ok_or_else(|| "no secret opens the repository".to_owned())
}

/// Reads a snapshot to its last byte.
fn compare(indexed: &IndexedRepository, view: &View, expected: &Tree, seen: &mut Seen) {
    let snapshot = view.taken().id.short();
    let top = view.taken().snapshot.sources.first().map(|source| source.0.clone());
    let top = top.unwrap_or_default();
    let top = top.strip_prefix(b"/").unwrap_or(&top);
    let mut reader = match BlobReader::new(indexed) {
        Ok(reader) => reader,
        Err(error) => return seen.losses.push(error.to_string()),
    };
    let mut left: BTreeMap<&[u8], &Vec<u8>> =
        expected.iter().map(|(name, bytes)| (name.as_bytes(), bytes)).collect();
    let mut walk = Walk::new(view.taken().snapshot.root);
    loop {
        let visited = match walk.next(&mut reader) {
            Ok(Some(visited)) => visited,
            Ok(None) => break,
            Err(error) => {
                return seen.losses.push(format!("walking snapshot {snapshot}: {error}"));
            }
        };
        let Body::File { size, .. } = visited.entry.body else { continue };
        let shown = visited.path.escape_ascii();
        let name = visited.path.strip_prefix(top).and_then(|rest| rest.strip_prefix(b"/"));
        let Some(bytes) = name.and_then(|name| left.remove(name)) else {
            seen.lies.push(format!("snapshot {snapshot} has a file {shown}"));
            continue;
        };
        match view.read_at(&visited.entry, 0, usize::try_from(size).unwrap_or(usize::MAX)) {
            Ok(read) if read == *bytes => {}
            Ok(_) => seen.lies.push(format!("snapshot {snapshot}: {shown} has wrong bytes")),
            Err(error) => {
                seen.losses.push(format!("snapshot {snapshot}: reading {shown}: {error}"));
            }
        }
    }
    for name in left.keys() {
        seen.lies.push(format!("snapshot {snapshot} lacks {}", name.escape_ascii()));
    }
}

fn check(repo: &Repository, pending: &Pending, seen: &mut Seen) -> Result<(), String> {
    let options = check::Options { read_data: ReadData::All, threads: 1, ..Default::default() };
    let report =
        check::check(repo, &options, &calm()).map_err(|error| format!("checking: {error}"))?;
    seen.is_damage_said = report.has_damage();
    for finding in report.findings {
        let is_allowed = pending.findings.iter().any(|words| finding.what.contains(words));
        if finding.severity > engine::Severity::Notice && !is_allowed {
            seen.findings.push(format!("check: {finding}"));
        }
    }
    Ok(())
}

//! The history as rows for people, and whether it holds.

use std::collections::BTreeSet;

use repo_format::codec::Text;
use repo_format::history::{Event, event_type};
use repo_format::{ObjectHash, ObjectName, WriterId};

use crate::Ambient;
use crate::error::Result;
use crate::finding::Finding;
use crate::repo::Repository;
use crate::repo::history::{History, Loaded};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Time by the writer's clock, in milliseconds since 1970.
    pub time_ms: i64,
    /// Writer.
    pub writer: WriterId,
    /// Place in the writer's chain, from 0.
    pub seq: u64,
    /// Trailer of the record; for a snapshot its id.
    pub hash: ObjectHash,
    /// Name of the object.
    pub object: ObjectName,
    /// Type: `created`, `snapshot`, `tags` and so on; `type N` for one that is not known.
    pub event: String,
    /// What happened, in a line; text from the record in it is escaped.
    pub summary: String,
    /// Who did it, user at host; empty where the record does not say.
    pub actor: String,
    /// Until when what the record refers to must be kept, in milliseconds since 1970; 0 for no
    /// time.
    pub retain_until_ms: i64,
}

/// The history, examined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Records whose signature, name and seal hold.
    pub records: usize,
    /// Writers that they are of.
    pub writers: usize,
    /// Records that must exist and do not.
    pub missing: Vec<String>,
    /// Damage seen.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// Says whether every record that must exist does, and holds.
    pub fn holds(&self) -> bool {
        self.missing.is_empty()
            && self.findings.iter().all(|finding| finding.severity < crate::Severity::Repairable)
    }
}

/// Name of a type of record.
fn event_name(found: u8) -> String {
    let name = match found {
        event_type::CREATED => "created",
        event_type::SNAPSHOT => "snapshot",
        event_type::FORGET => "forget",
        event_type::HOLD => "hold",
        event_type::RELEASE => "release",
        event_type::VERIFY => "verify",
        event_type::KEY => "key",
        event_type::CONFIG => "config",
        event_type::PRUNE => "prune",
        event_type::REBASE => "rebase",
        event_type::TAGS => "tags",
        _ => return format!("type {found}"),
    };
    name.to_owned()
}

fn shown(text: impl AsRef<str>) -> String {
    super::shown(text.as_ref().as_bytes())
}

/// Names some snapshots or records, and why something was done to them.
fn named(verb: &str, ids: &[ObjectHash], reason: &Text) -> String {
    let mut first: Vec<String> = ids.iter().take(3).map(|id| id.short()).collect();
    if let Some(more) = ids.len().checked_sub(3).filter(|&more| more > 0) {
        first.push(format!("{more} more"));
    }
    let reason = shown(reason.as_str());
    let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
    format!("{verb} {}{reason}", first.join(", "))
}

fn summary_and_actor(event: &Event) -> (String, String) {
    match event {
        Event::Created(created) => {
            let who = format!("{}@{}", created.user, created.host);
            (format!("repository created by {}", shown(created.program.as_str())), shown(who))
        }
        Event::Snapshot(snapshot) => {
            let sources: Vec<String> =
                snapshot.sources.iter().map(|source| super::shown(source)).collect();
            let totals = snapshot.totals;
            let partial = if snapshot.is_partial { ", partial" } else { "" };
            let summary = format!(
                "{} files, {} bytes of {}{partial}",
                totals.files,
                totals.bytes,
                sources.join(", ")
            );
            (summary, shown(format!("{}@{}", snapshot.user, snapshot.host)))
        }
        Event::Key(change) => {
            let verb = if change.is_added { "added" } else { "removed" };
            let name = shown(change.name.as_str());
            let summary = format!("key slot {} '{name}' {verb}", change.slot.short());
            (summary, shown(change.actor.as_str()))
        }
        Event::Tags(change) => {
            let tags: Vec<String> = change.tags.iter().map(|tag| shown(tag.as_str())).collect();
            let snapshot = change.snapshot.short();
            let summary = format!("snapshot {snapshot} has the tags [{}]", tags.join(", "));
            (summary, shown(change.actor.as_str()))
        }
        Event::Forget(forget) => {
            let what = named("forgot", &forget.snapshots, &forget.reason);
            (what, shown(forget.actor.as_str()))
        }
        Event::Hold(hold) => {
            let what = named("hold on", &hold.snapshots, &hold.reason);
            (what, shown(hold.actor.as_str()))
        }
        Event::Release(release) => {
            let what = named("took back", &release.records, &release.reason);
            (what, shown(release.actor.as_str()))
        }
        Event::Verify(verified) => {
            let (files, damaged) = (verified.files, verified.damaged);
            let snapshot = verified.snapshot.short();
            let how = if verified.is_good { "good" } else { "NOT good" };
            let note = shown(verified.note.as_str());
            let what = format!("{snapshot} is {how}: {files} files, {damaged} damaged ({note})");
            (what, shown(verified.actor.as_str()))
        }
        Event::Config(change) => {
            let note = shown(change.note.as_str());
            (format!("configuration {}: {note}", change.generation), shown(change.actor.as_str()))
        }
        Event::Prune(pruned) => {
            let (plan, packs) = (shown(pruned.plan.as_str()), pruned.deleted.len());
            let what = format!("{packs} packs of {} bytes deleted by plan {plan}", pruned.bytes);
            (what, shown(pruned.actor.as_str()))
        }
        Event::Rebase(rebase) => {
            let what = format!("snapshot {} confirmed beside a prune", rebase.snapshot.short());
            (what, shown(rebase.actor.as_str()))
        }
        Event::Unknown(_) => ("a record that this program does not read".to_owned(), String::new()),
    }
}

fn row(record: &Loaded) -> Row {
    let (summary, actor) = summary_and_actor(&record.body.event);
    let clear = &record.clear;
    Row {
        time_ms: clear.time_ms,
        writer: clear.writer,
        seq: clear.seq,
        hash: record.hash,
        object: record.name.clone(),
        event: event_name(clear.event_type),
        summary,
        actor,
        retain_until_ms: clear.retain_until_ms,
    }
}

/// Rows of the history, oldest first.
pub fn rows(history: &History) -> Vec<Row> {
    history.records().into_iter().map(row).collect()
}

/// What examining the history has shown.
pub fn verification(history: &History) -> Verification {
    let records = history.records();
    let writers: BTreeSet<WriterId> = records.iter().map(|record| record.clear.writer).collect();
    Verification {
        records: records.len(),
        writers: writers.len(),
        missing: history.missing.clone(),
        findings: history.findings.clone(),
    }
}

/// Reads the history, checks it, and goes on whatever is found.
pub fn examine(repo: &Repository, ambient: &Ambient) -> Result<(Vec<Row>, Verification)> {
    let history = History::examine(repo, ambient)?;
    Ok((rows(&history), verification(&history)))
}

//! Reads, checks and extends the history. SPEC 8.
//!
//! A record that was there once, by the pins of this machine or by the word of another record, and
//! is not there now is a rollback: reading stops unless the caller accepts it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use repo_format::history::{Body, Clear, Event, Head, Record, Snapshot};
use repo_format::object_name::{Meaning, prefix};
use repo_format::writer_card::WriterCard;
use repo_format::{ObjectHash, ObjectName, SnapshotId, WriterId};

use super::create::Actor;
use super::keys::domain;
use super::{Repository, key_slots, survey};
use crate::Ambient;
use crate::crypto::{seal, signature};
use crate::error::{Context as _, Error, Kind, Result};
use crate::finding::Finding;
use crate::store::Put;

/// One record, checked.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Name of the object.
    pub name: ObjectName,
    /// Clear part.
    pub clear: Clear,
    /// Trailer; for a snapshot its id.
    pub hash: ObjectHash,
    /// What it tells.
    pub body: Body,
}

/// A snapshot as the history has it.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Id.
    pub id: SnapshotId,
    /// The record's content, its tags as they are now.
    pub snapshot: Snapshot,
    /// Writer of the record.
    pub writer: WriterId,
    /// Time of the commit by the writer's clock, in milliseconds since 1970.
    pub committed_ms: i64,
    /// Until when it must be kept; 0 for no such time.
    pub retain_until_ms: i64,
}

/// The whole history.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Records of each writer, by sequence.
    records: BTreeMap<WriterId, Vec<Loaded>>,
    cards: BTreeSet<WriterId>,
    /// Damage seen while reading.
    pub findings: Vec<Finding>,
    /// Records that must exist and do not.
    pub missing: Vec<String>,
}

/// Context of a sealed body: that of the object, then the clear part without the body's hash.
fn body_context(clear: &Clear) -> Vec<u8> {
    [&clear.header().context(0)[..], &clear.encode()[..80]].concat()
}

impl History {
    /// Reads the history and checks it.
    ///
    /// # Errors
    /// [`Kind::Rollback`] when records are missing and the repository was not opened to accept it.
    pub fn load(repo: &Repository, ambient: &Ambient) -> Result<Self> {
        Self::load_beside(repo, &Self::default(), ambient)
    }

    fn load_beside(repo: &Repository, known: &Self, ambient: &Ambient) -> Result<Self> {
        let mut history = Self::read_all(repo, known, &|error| !is_of_the_store(error), ambient)?;
        history.check_chains();
        history.check_heads(&repo.state.pins()?);
        if !history.missing.is_empty() && !repo.accepts_rollback {
            let message = format!(
                "the history is not whole: {} is gone or damaged",
                history.missing.join(", ")
            );
            return Err(Error::new(Kind::Rollback, message));
        }
        // What is not sure to be kept is not pinned: its loss in a crash is no rollback.
        if history.missing.is_empty() && repo.store.settle().is_ok() {
            repo.state.pin(&history.heads(None))?;
        }
        Ok(history)
    }

    /// Reads the history and reports what is wrong with it instead of stopping.
    pub fn examine(repo: &Repository, ambient: &Ambient) -> Result<Self> {
        let passes_over =
            |error: &Error| !is_of_the_store(error) || survey::is_of_one_object(repo, error);
        let mut history = Self::read_all(repo, &Self::default(), &passes_over, ambient)?;
        history.check_chains();
        history.check_heads(&repo.state.pins()?);
        Ok(history)
    }

    /// Reads what has come since, and checks the whole again.
    ///
    /// # Errors
    /// As [`History::load`].
    pub(crate) fn refresh(&mut self, repo: &Repository, ambient: &Ambient) -> Result<()> {
        let known = std::mem::take(self);
        *self = Self::load_beside(repo, &known, ambient)?;
        Ok(())
    }

    /// Reads every record that is not among those known; an error that `passes_over` accepts
    /// becomes a finding.
    fn read_all(
        repo: &Repository,
        known: &Self,
        passes_over: &dyn Fn(&Error) -> bool,
        ambient: &Ambient,
    ) -> Result<Self> {
        let known: BTreeMap<&ObjectName, &Loaded> =
            known.records.values().flatten().map(|record| (&record.name, record)).collect();
        let mut history = Self::default();
        let mut public_keys = BTreeMap::new();
        for listed in repo.store.list(prefix::WRITERS)? {
            match read_card(repo, &listed.name) {
                Ok((writer, public)) => {
                    history.cards.insert(writer);
                    public_keys.insert(writer, public);
                }
                Err(error) if !passes_over(&error) => return Err(error),
                Err(error) => history.findings.push(Finding::loss(
                    listed.name.as_str(),
                    format!("the writer card does not hold: {error}"),
                )),
            }
        }
        let mut names: Vec<ObjectName> =
            repo.store.list(prefix::HISTORY)?.into_iter().map(|listed| listed.name).collect();
        names.sort();
        for name in names {
            ambient.go_on()?;
            if name.meaning().is_none() {
                // Foreign: nothing of the repository, and `check` says so.
                continue;
            }
            if let Some(record) = known.get(&name) {
                let records = history.records.entry(record.clear.writer).or_default();
                records.push((*record).clone());
                continue;
            }
            match read_record(repo, &name, &public_keys) {
                Ok(record) => {
                    history.records.entry(record.clear.writer).or_default().push(record);
                }
                Err(error) if !passes_over(&error) => return Err(error),
                Err(error) => {
                    // What it told is gone as if it had been removed: nothing goes on silently.
                    history.missing.push(format!("{name} ({error})"));
                    history.findings.push(Finding::loss(name.as_str(), error.to_string()));
                }
            }
        }
        Ok(history)
    }

    /// Follows each chain from its first record.
    fn check_chains(&mut self) {
        for (writer, records) in &self.records {
            let mut expected = 0;
            let mut known = vec![ObjectHash::default()];
            for record in records {
                let seq = record.clear.seq;
                for gone in expected..seq.min(expected + 100) {
                    self.missing.push(record_label(*writer, gone));
                }
                if seq > expected + 100 {
                    self.missing.push(format!("{} more records of {writer}", seq - expected - 100));
                }
                if seq < expected {
                    self.findings.push(Finding::notice(
                        record.name.as_str(),
                        "two machines wrote this place of one chain (a cloned machine?); both are kept",
                    ));
                } else if seq == expected && !known.contains(&record.clear.previous) {
                    self.findings.push(Finding::loss(
                        record.name.as_str(),
                        "it does not follow the record before it",
                    ));
                }
                if seq >= expected {
                    known.clear();
                }
                known.push(record.hash);
                expected = expected.max(seq + 1);
            }
        }
    }

    /// Holds what other records and this machine have seen against what is there.
    fn check_heads(&mut self, pins: &BTreeMap<WriterId, Head>) {
        let present: BTreeSet<ObjectHash> =
            self.records.values().flatten().map(|record| record.hash).collect();
        let seen = self.records.values().flatten().flat_map(|record| &record.body.heads);
        let seen = seen.filter(|_| !planted!(HeadsNotChecked));
        let mut gone: BTreeSet<String> = BTreeSet::new();
        for head in seen.chain(pins.values()) {
            if !present.contains(&head.hash) {
                gone.insert(record_label(head.writer, head.seq));
            }
        }
        gone.extend(std::mem::take(&mut self.missing));
        self.missing = gone.into_iter().collect();
    }

    /// Newest record of every writer but `except`, by writer.
    fn heads(&self, except: Option<WriterId>) -> Vec<Head> {
        self.records
            .iter()
            .filter(|(writer, _)| Some(**writer) != except)
            .filter_map(|(writer, records)| {
                let newest = records.iter().max_by_key(|r| (r.clear.seq, r.hash))?;
                Some(Head { writer: *writer, seq: newest.clear.seq, hash: newest.hash })
            })
            .collect()
    }

    /// Every record, by time.
    pub fn records(&self) -> Vec<&Loaded> {
        let mut records: Vec<&Loaded> = self.records.values().flatten().collect();
        records.sort_by_key(|r| (r.clear.time_ms, r.clear.writer, r.clear.seq));
        records
    }

    /// Snapshots that are not forgotten, oldest first, with their tags as they are now and their
    /// retention as their holds have it.
    pub fn snapshots(&self) -> Vec<Taken> {
        let standings = self.standings().into_iter();
        standings.filter(|one| !one.is_forgotten()).map(|one| one.taken).collect()
    }

    /// Appends a record to this machine's chain; the one commit point of everything (O-4).
    pub fn commit(
        &mut self,
        repo: &Repository,
        event: Event,
        retain_until_ms: i64,
        actor: &Actor,
        ambient: &Ambient,
    ) -> Result<SnapshotId> {
        let mut writer = repo.state.writer()?;
        if let Some(records) = self.records.get(&writer)
            && has_fork(records)
        {
            // Another machine continues this chain: leave it to the other one.
            repo.state.renounce_writer();
            writer = repo.state.writer()?;
        }
        let has_card = self.cards.contains(&writer);
        if !has_card && !planted!(RecordBeforeCard) {
            put_card(repo, writer, actor, ambient)?;
            self.cards.insert(writer);
        }
        let last = self.records.get(&writer).and_then(|records| records.last());
        let (seq, previous) = match last {
            Some(last) => (last.clear.seq + 1, last.hash),
            None => (0, ObjectHash::default()),
        };
        let heads = if planted!(HeadsNotNamed) { Vec::new() } else { self.heads(Some(writer)) };
        let body = Body { heads, event };
        let epoch = repo.keys.current();
        let mut clear = Clear {
            repository: repo.id(),
            epoch: epoch.number,
            writer,
            seq,
            previous,
            time_ms: ambient.clock.now_ms(),
            retain_until_ms,
            event_type: body.event.event_type(),
            body_hash: [0; 32],
        };
        let sealed_body = seal::seal(
            &epoch.history,
            domain::HISTORY_BODY,
            &body_context(&clear),
            &body.encode(),
        )?;
        clear.body_hash = *blake3::hash(&sealed_body).as_bytes();
        let signature = repo.keys.writer_signing(writer).sign(&clear.signed());
        let (bytes, hash) = Record { clear, sealed_body, signature }.encode();
        let name = ObjectName::history_record(writer, seq, hash);
        repo.store.put(&name, Bytes::from(bytes), Put::Create)?;
        if !has_card && planted!(RecordBeforeCard) {
            put_card(repo, writer, actor, ambient)?;
        }
        let loaded = Loaded { name, clear, hash, body };
        self.records.entry(writer).or_default().push(loaded);
        if self.missing.is_empty() {
            repo.state.pin(&self.heads(None))?;
        }
        Ok(hash)
    }
}

fn has_fork(records: &[Loaded]) -> bool {
    records.windows(2).any(|pair| pair[0].clear.seq == pair[1].clear.seq)
}

fn record_label(writer: WriterId, seq: u64) -> String {
    format!("record {seq} of writer {}", writer.short())
}

/// Damage goes on as a finding; a store that does not answer stops the reading.
fn is_of_the_store(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Store | Kind::StoreDenied | Kind::StoreFull | Kind::StoreReadOnly | Kind::Interrupted
    )
}

fn card_context(card: &WriterCard) -> Vec<u8> {
    [&card.header().context(0)[..], &card.writer.0].concat()
}

fn put_card(repo: &Repository, writer: WriterId, actor: &Actor, ambient: &Ambient) -> Result<()> {
    let epoch = repo.keys.current();
    let mut card = WriterCard {
        repository: repo.id(),
        epoch: epoch.number,
        writer,
        public_key: repo.keys.writer_signing(writer).public(),
        signature: [0; 64],
        sealed_label: Vec::new(),
    };
    card.signature = repo.keys.root_signing().sign(&card.signed());
    let now = ambient.clock.now_ms();
    let label = key_slots::label(&actor.program, &actor.host, &actor.user, now);
    card.sealed_label =
        seal::seal(&epoch.label, domain::LABEL, &card_context(&card), &label.encode())?;
    let name = ObjectName::writer_card(writer);
    match repo.store.put(&name, Bytes::from(card.encode().0), Put::Create) {
        Ok(()) => Ok(()),
        // An earlier run of this machine put it and was stopped before its first record.
        Err(error) if error.cause == crate::store::Cause::AlreadyExists => {
            read_card(repo, &name).map(|_| ())
        }
        Err(error) => Err(error.into()),
    }
}

fn read_card(repo: &Repository, name: &ObjectName) -> Result<(WriterId, [u8; 32])> {
    let bytes = repo.store.get(name)?;
    let card = WriterCard::decode(&bytes, repo.id()).with_context(|| format!("reading {name}"))?;
    let genuine = ObjectName::writer_card(card.writer) == *name
        && signature::verify(&repo.keys.root_signing().public(), &card.signed(), &card.signature);
    if genuine {
        Ok((card.writer, card.public_key))
    } else {
        Err(Error::new(Kind::Damaged, format!("{name} is not signed by this repository")))
    }
}

fn read_record(
    repo: &Repository,
    name: &ObjectName,
    public_keys: &BTreeMap<WriterId, [u8; 32]>,
) -> Result<Loaded> {
    let damaged = |what: &str| Error::new(Kind::Damaged, what);
    let Some(Meaning::HistoryRecord { writer, seq, hash_start }) = name.meaning() else {
        return Err(damaged("this is not the name of a record"));
    };
    let bytes = repo.store.get(name)?;
    let (record, hash) = Record::decode(&bytes, repo.id())?;
    let clear = record.clear;
    if (clear.writer, clear.seq) != (writer, seq) || hash.0[..8] != hash_start {
        return Err(damaged("the record belongs under another name"));
    }
    let Some(public) = public_keys.get(&writer) else {
        return Err(damaged("its writer has no card"));
    };
    if !signature::verify(public, &clear.signed(), &record.signature) {
        return Err(damaged("its signature does not hold"));
    }
    let key = &repo.keys.epoch(clear.epoch)?.history;
    let plain = seal::open(key, domain::HISTORY_BODY, &body_context(&clear), &record.sealed_body)?;
    let body = Body::decode(clear.event_type, &plain)?;
    Ok(Loaded { name: name.clone(), clear, hash, body })
}

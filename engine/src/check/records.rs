//! The small objects: marker, key slots, configuration, writer cards, and names that no object of
//! a repository has.

use std::collections::{BTreeMap, BTreeSet};

use repo_format::history::Event;
use repo_format::object_name::{Meaning, prefix};
use repo_format::{ObjectHash, ObjectName, SlotId, WriterId, marker};

use super::Run;
use super::catalog::Catalog;
use super::report::count;
use crate::error::{Error, Kind, Result};
use crate::finding::Finding;
use crate::repo::history::History;
use crate::repo::{key_slots, open, survey};

/// Foreign names that are listed one by one.
const FOREIGN_MAX: usize = 20;
const FROM_COPY: &str = "put it back from a replica or another copy of the repository";
const ADD_KEY: &str = "strongroom key add";

fn from_copy(finding: Finding) -> Finding {
    Finding { repair: FROM_COPY.to_owned(), ..finding }
}

/// Says what is wrong with the history.
pub(super) fn history(run: &mut Run<'_>, history: &History) {
    for finding in &history.findings {
        // What only lies in the wrong folder is named among the foreign objects.
        let name = ObjectName::parse(&finding.object);
        if name.is_some_and(|name| name.meaning().is_some()) {
            run.findings.push(from_copy(finding.clone()));
        }
    }
    for gone in &history.missing {
        let what =
            "it was in the history and is gone: an older copy was put back, or it was removed";
        run.findings.push(from_copy(Finding::loss(gone, what)));
    }
}

/// The marker says exactly what it must.
pub(super) fn marker(run: &mut Run<'_>) -> Result<()> {
    let name = ObjectName::marker();
    let what = match run.repo.store.get(&name) {
        Ok(bytes) if bytes == marker::encode(run.repo.id()) => return Ok(()),
        Ok(_) => "it is not the marker of this repository".to_owned(),
        Err(error) => run.passed(error.into(), "it is missing")?,
    };
    run.findings.push(Finding::repairable(name.as_str(), what, FROM_COPY));
    Ok(())
}

/// Every key slot reads, and they are those that the history tells of.
pub(super) fn key_slots(run: &mut Run<'_>, history: &History) -> Result<()> {
    let mut there = BTreeSet::new();
    let mut is_any_sound = false;
    for (name, slot) in key_slots::list(&*run.repo.store, &run.repo.keys)? {
        if let Some(Meaning::KeySlot(id)) = name.meaning() {
            there.insert(id);
        }
        let what = match slot {
            Ok(slot) if slot.label.is_some() => {
                is_any_sound = true;
                continue;
            }
            Ok(_) => "its label does not open".to_owned(),
            Err(error) => run.passed(error, "it is missing")?,
        };
        run.findings.push(Finding::repairable(name.as_str(), what, ADD_KEY));
    }
    if !is_any_sound {
        let what = "no key slot is left that could open the repository";
        run.findings.push(from_copy(Finding::loss(prefix::KEYS, what)));
    }
    let told = slots_of(history);
    let mut expected: BTreeSet<SlotId> =
        told.iter().filter(|(_, is_added)| **is_added).map(|(id, _)| *id).collect();
    expected.insert(run.repo.slot());
    for id in expected.difference(&there).filter(|id| told.get(id) != Some(&false)) {
        let name = ObjectName::key_slot(*id);
        let what = "it is missing, and the history does not say that it was removed";
        run.findings.push(Finding::repairable(name.as_str(), what, ADD_KEY));
    }
    for id in there.iter().filter(|id| told.get(id) == Some(&false)) {
        let name = ObjectName::key_slot(*id);
        let what =
            "it was removed and is there again: whoever knows its secret opens the repository";
        let repair = format!("strongroom key remove {id}");
        run.findings.push(Finding::repairable(name.as_str(), what, repair));
    }
    Ok(())
}

/// Slots that the history tells of, with whether the last word was that they were added.
fn slots_of(history: &History) -> BTreeMap<SlotId, bool> {
    let mut slots = BTreeMap::new();
    for record in history.records() {
        if let Event::Key(change) = &record.body.event {
            // A slot is added once and its name is never used again: removed is the last word.
            let is_added = slots.entry(change.slot).or_insert(true);
            *is_added &= change.is_added;
        }
    }
    slots
}

/// Every generation of the configuration reads and names the one before.
pub(super) fn configuration(run: &mut Run<'_>, history: &History, catalog: &Catalog) -> Result<()> {
    let generations: BTreeSet<u32> = catalog
        .listed
        .iter()
        .filter_map(|listed| match listed.name.meaning() {
            Some(Meaning::Config(generation)) => Some(generation),
            _ => None,
        })
        .collect();
    let newest = generations.last().copied().unwrap_or(0).max(run.repo.config.generation);
    let mut before: Option<ObjectHash> = Some(ObjectHash::default());
    for generation in 0..=newest {
        run.ambient.go_on()?;
        let name = ObjectName::config(generation);
        let read = open::read_config(&*run.repo.store, &run.repo.keys, generation);
        let what = match read {
            Ok((config, hash)) => {
                let follows = before.replace(hash).is_none_or(|before| before == config.previous);
                if follows && (generation > 0 || is_first(history, hash)) {
                    continue;
                }
                "it is not the one that the repository was written with".to_owned()
            }
            Err(error) => {
                before = None;
                run.passed(error, "it is missing")?
            }
        };
        run.findings.push(from_copy(Finding::loss(name.as_str(), what)));
        // A hostile name may stand for four thousand million generations before it.
        if !generations.contains(&generation) {
            break;
        }
    }
    Ok(())
}

/// Says whether the record of the creation names this configuration, where there is such a record.
fn is_first(history: &History, hash: ObjectHash) -> bool {
    history.records().iter().all(|record| match &record.body.event {
        Event::Created(created) => created.config == hash,
        _ => true,
    })
}

/// Names that follow no rule, cards that records need, and marks of a prune.
pub(super) fn names(run: &mut Run<'_>, catalog: &Catalog) -> Result<()> {
    let mut foreign = Vec::new();
    let mut records: BTreeMap<WriterId, u64> = BTreeMap::new();
    let mut cards = BTreeSet::new();
    for listed in &catalog.listed {
        match listed.name.meaning() {
            Some(Meaning::HistoryRecord { writer, .. }) => *records.entry(writer).or_default() += 1,
            Some(Meaning::WriterCard(writer)) => {
                cards.insert(writer);
            }
            Some(_) => {}
            None if listed.name.as_str().starts_with(prefix::GC) => {
                prune_mark(run, &listed.name)?;
            }
            None => foreign.push(&listed.name),
        }
    }
    for (writer, records) in records.iter().filter(|(writer, _)| !cards.contains(writer)) {
        let what = format!("it is missing, so {} cannot be trusted", count(*records, "record"));
        let name = ObjectName::writer_card(*writer);
        run.findings.push(from_copy(Finding::loss(name.as_str(), what)));
    }
    for name in foreign.iter().take(FOREIGN_MAX) {
        let what = "this is not the name of anything in a repository";
        run.findings.push(Finding::notice(name.as_str(), what));
    }
    if foreign.len() > FOREIGN_MAX {
        let more = count((foreign.len() - FOREIGN_MAX) as u64, "more foreign object");
        run.findings.push(Finding::notice("store", more));
    }
    Ok(())
}

fn prune_mark(run: &mut Run<'_>, name: &ObjectName) -> Result<()> {
    let what = match run.repo.store.get(name) {
        Ok(bytes) if survey::is_intact(&bytes) => return Ok(()),
        Ok(_) => "its trailer is not the hash of its bytes".to_owned(),
        // A prune that ended meanwhile took it away.
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => run.passed(error.into(), "it is missing")?,
    };
    run.findings.push(Finding::repairable(name.as_str(), what, "strongroom prune"));
    Ok(())
}

impl Run<'_> {
    /// Gives the words for an error that is one object's own; any other stops the check.
    fn passed(&self, error: Error, missing: &str) -> Result<String> {
        let what = match error.kind() {
            Kind::NotFound => missing.to_owned(),
            _ => error.to_string(),
        };
        self.goes_on(error).map(|()| what)
    }
}

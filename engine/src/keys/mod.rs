//! Adds, lists, changes and removes key slots.
//!
//! The repository never stands without a slot that opens: a new one is stored, and proven to open,
//! before an old one goes, and the last one never goes. Each change is told in the history.

use repo_format::codec::Text;
use repo_format::history::{Event, KeyChange};
use repo_format::key_slot::Derivation;
use repo_format::object_name::Meaning;
use repo_format::{ObjectName, SlotId};

use crate::Ambient;
use crate::crypto::passphrase::Cost;
use crate::error::{Error, Kind, Result};
use crate::repo::create::Actor;
use crate::repo::history::History;
use crate::repo::key_slots::{self, SlotInfo};
use crate::repo::{Repository, Secret};

#[cfg(test)]
mod tests;

/// One key slot, for display.
#[derive(Debug)]
pub struct Slot {
    /// Id, which is also the last part of the object's name.
    pub id: SlotId,
    /// Whether it opened the repository this time.
    pub is_in_use: bool,
    /// What it is, or why it cannot be read.
    pub info: Result<SlotInfo>,
}

/// Lists the key slots in order of their ids; a damaged one is listed too.
pub fn list(repo: &Repository) -> Result<Vec<Slot>> {
    let slots = key_slots::list(&*repo.store, &repo.keys)?;
    let slot = |(name, info): (ObjectName, Result<SlotInfo>)| match name.meaning() {
        Some(Meaning::KeySlot(id)) => Some(Slot { id, is_in_use: id == repo.slot(), info }),
        _ => None,
    };
    Ok(slots.into_iter().filter_map(slot).collect())
}

/// Finds a slot by the start of its id, or by its whole name.
///
/// # Errors
/// [`Kind::NotFound`] and [`Kind::AmbiguousName`].
pub fn find(repo: &Repository, text: &str) -> Result<SlotId> {
    let slots = list(repo)?;
    let is_named = |slot: &&Slot| name_of(slot).is_some_and(|name| name.as_str() == text);
    let starts = |slot: &&Slot| !text.is_empty() && slot.id.to_hex().starts_with(text);
    let mut found: Vec<SlotId> = slots.iter().filter(is_named).map(|slot| slot.id).collect();
    if found.is_empty() {
        found = slots.iter().filter(starts).map(|slot| slot.id).collect();
    }
    match found[..] {
        [id] => Ok(id),
        [] => Err(Error::new(Kind::NotFound, format!("there is no key slot '{text}'"))),
        _ => Err(Error::new(Kind::AmbiguousName, format!("several key slots fit '{text}'"))),
    }
}

/// Adds a slot that `secret` opens.
///
/// # Errors
/// [`Kind::Refused`] when there are so many slots that not all would be tried with a passphrase.
pub fn add(
    repo: &Repository,
    secret: &Secret,
    name: &str,
    cost: Cost,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<SlotId> {
    repo.must_be_writable()?;
    let mut history = History::load(repo, ambient)?;
    if matches!(secret, Secret::Passphrase(_)) {
        let is_passphrase = |slot: &&Slot| {
            // One that cannot be read may be one.
            slot.info.as_ref().map_or(true, |i| matches!(i.derivation, Derivation::Argon2id { .. }))
        };
        let most = key_slots::PASSPHRASE_SLOTS_TRIED_MAX;
        if list(repo)?.iter().filter(is_passphrase).count() >= most {
            let message = format!("there are {most} passphrases already; remove one first");
            return Err(Error::new(Kind::Refused, message));
        }
    }
    let label = key_slots::label(name, &actor.host, &actor.user, ambient.clock.now_ms());
    let id = key_slots::add(&*repo.store, &repo.keys, secret, cost, &label)?;
    must_open(repo, id, secret)?;
    tell(repo, &mut history, id, true, &label.name, actor, ambient)?;
    Ok(id)
}

/// Removes a slot; the data stays readable through the others.
///
/// Whoever has a copy of the slot and knows its secret still opens the repository: to lock someone
/// out for good, its data must be sealed anew in another repository.
///
/// # Errors
/// [`Kind::NotFound`], and [`Kind::Refused`] when no other slot is left that reads.
pub fn remove(repo: &Repository, id: SlotId, actor: &Actor, ambient: &Ambient) -> Result<()> {
    repo.must_be_writable()?;
    let mut history = History::load(repo, ambient)?;
    remove_slot(repo, &mut history, id, actor, ambient)
}

/// Replaces the slot in use by one that `secret` opens, under the same name; gives the new slot.
///
/// The new one is stored and proven to open before the old one goes.
pub fn passwd(
    repo: &Repository,
    secret: &Secret,
    cost: Cost,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<SlotId> {
    repo.must_be_writable()?;
    let mut history = History::load(repo, ambient)?;
    let old = repo.slot();
    let slots = list(repo)?;
    let name = slots.iter().find(|slot| slot.id == old).and_then(name_of);
    let name = name.unwrap_or_default();
    let label = key_slots::label(name.as_str(), &actor.host, &actor.user, ambient.clock.now_ms());
    if planted!(OldKeyGoesFirst) {
        tell(repo, &mut history, old, false, &label.name, actor, ambient)?;
        repo.store.delete(&ObjectName::key_slot(old))?;
    }
    let id = key_slots::add(&*repo.store, &repo.keys, secret, cost, &label)?;
    must_open(repo, id, secret)?;
    tell(repo, &mut history, id, true, &label.name, actor, ambient)?;
    if slots.iter().any(|slot| slot.id == old) && !planted!(OldKeyGoesFirst) {
        remove_slot(repo, &mut history, old, actor, ambient)?;
    }
    Ok(id)
}

fn name_of(slot: &Slot) -> Option<Text> {
    let label = slot.info.as_ref().ok()?.label.as_ref()?;
    Some(label.name.clone())
}

/// Makes sure that a new slot, as it lies in the store, opens.
fn must_open(repo: &Repository, id: SlotId, secret: &Secret) -> Result<()> {
    let repo = repo.without_copies();
    if key_slots::opens(&*repo.store, repo.id(), id, secret)? {
        return Ok(());
    }
    let message = format!("the new key slot {id} does not open; nothing else was changed");
    Err(Error::new(Kind::Damaged, message))
}

fn remove_slot(
    repo: &Repository,
    history: &mut History,
    id: SlotId,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<()> {
    let slots = list(repo)?;
    let Some(slot) = slots.iter().find(|slot| slot.id == id) else {
        return Err(Error::new(Kind::NotFound, format!("there is no key slot {id}")));
    };
    if !slots.iter().any(|other| other.id != id && other.info.is_ok()) {
        let message = "this is the last key slot: without it nothing could ever be read again";
        return Err(Error::new(Kind::Refused, message));
    }
    let name = name_of(slot).unwrap_or_default();
    // The record first: a slot that is told to be removed and is still there shows, and can be
    // removed again; one that is gone without a word would look like damage for ever.
    tell(repo, history, id, false, &name, actor, ambient)?;
    repo.store.delete(&ObjectName::key_slot(id))?;
    Ok(())
}

fn tell(
    repo: &Repository,
    history: &mut History,
    slot: SlotId,
    is_added: bool,
    name: &Text,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<()> {
    let change = KeyChange { slot, is_added, name: name.clone(), actor: actor.who() };
    history.commit(repo, Event::Key(change), 0, actor, ambient).map(|_| ())
}

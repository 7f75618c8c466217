//! Holds: bans on forgetting, with a reason, until a time or until they are released.

use repo_format::codec::Text;
use repo_format::history::Event;
use repo_format::limits::TEXT_BYTES_MAX;
use repo_format::retention::{Hold, Release};
use repo_format::{ObjectHash, SnapshotId};

use super::revive;
use crate::Ambient;
use crate::error::{Error, Kind, Result};
use crate::repo::Repository;
use crate::repo::create::Actor;
use crate::repo::history::{History, Taken};
use crate::repo::standing::Held;

/// A snapshot and what stands against forgetting it.
#[derive(Debug, Clone)]
pub struct HoldRow {
    /// The snapshot; its retention time counts timed holds too.
    pub taken: Taken,
    /// Holds, those that last until a time last.
    pub holds: Vec<Held>,
    /// Until when it is retained, in milliseconds since 1970, where that is not over.
    pub retained_until_ms: Option<i64>,
}

/// Snapshots that are held or retained, oldest first.
pub fn list(history: &History, ambient: &Ambient) -> Vec<HoldRow> {
    let witnessed_ms = history.witnessed().up_to(ambient.clock.now_ms());
    let rows = history.standings().into_iter().filter_map(|one| {
        let until = one.taken.retain_until_ms;
        let retained_until_ms = Some(until).filter(|until| *until != 0 && *until > witnessed_ms);
        let mut holds = one.holds;
        holds.extend(one.timed.into_iter().filter(|hold| hold.until_ms > witnessed_ms));
        let binds = !holds.is_empty() || retained_until_ms.is_some();
        binds.then_some(HoldRow { taken: one.taken, holds, retained_until_ms })
    });
    rows.collect()
}

fn sorted(ids: &[SnapshotId]) -> Vec<SnapshotId> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Puts a hold on snapshots: until `until_ms`, in milliseconds since 1970, when it can never be
/// taken back before; with 0, until it is released.
///
/// # Errors
/// [`Kind::NotFound`] when a snapshot is not there or is forgotten; [`Kind::InvalidSetting`] for a
/// reason that is too long. [`Kind::NotFound`] too when someone forgot one meanwhile and a prune
/// has taken of it already; the hold stays.
pub fn add(
    repo: &Repository,
    history: &mut History,
    ids: &[SnapshotId],
    until_ms: i64,
    reason: &str,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<ObjectHash> {
    repo.must_be_writable()?;
    let live = history.snapshots();
    if let Some(id) = ids.iter().find(|id| !live.iter().any(|taken| taken.id == **id)) {
        return Err(Error::new(Kind::NotFound, format!("there is no snapshot {}", id.short())));
    }
    if reason.len() > TEXT_BYTES_MAX {
        return Err(Error::new(Kind::InvalidSetting, "the reason is longer than 4096 bytes"));
    }
    ambient.go_on()?;
    let hold = Hold { snapshots: sorted(ids), reason: Text::new(reason), actor: actor.who() };
    let record = history.commit(repo, Event::Hold(hold), until_ms, actor, ambient)?;
    // Someone may have forgotten one meanwhile: the hold stands against it, and what it needs must
    // be there.
    history.refresh(repo, ambient)?;
    for one in history.standings() {
        if ids.contains(&one.taken.id) && !one.forgets.is_empty() {
            let seen = revive::secure(repo, history, &one.taken, actor, ambient)?;
            revive::confirm(repo, history, &one.taken, seen, actor, ambient)?;
        }
    }
    Ok(record)
}

/// Takes the holds off snapshots that last until they are released; gives how many.
///
/// # Errors
/// [`Kind::NotFound`] when a snapshot has no such hold; [`Kind::Refused`] when all that holds it
/// lasts until a time.
pub fn remove(
    repo: &Repository,
    history: &mut History,
    ids: &[SnapshotId],
    reason: &str,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<usize> {
    repo.must_be_writable()?;
    let standings = history.standings();
    let mut records = Vec::new();
    for id in ids {
        let found = standings.iter().find(|one| one.taken.id == *id).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("there is no snapshot {}", id.short()))
        })?;
        if found.holds.is_empty() {
            let (kind, why) = if found.taken.retain_until_ms == 0 {
                (Kind::NotFound, "has no hold")
            } else {
                (Kind::Refused, "is retained until a time, which can never be shortened")
            };
            return Err(Error::new(kind, format!("snapshot {} {why}", id.short())));
        }
        records.extend(found.holds.iter().map(|hold| hold.record));
    }
    let records = sorted(&records);
    let count = records.len();
    ambient.go_on()?;
    let event =
        Release { records, snapshots: sorted(ids), reason: Text::new(reason), actor: actor.who() };
    history.commit(repo, Event::Release(event), 0, actor, ambient)?;
    Ok(count)
}

//! Makes sure that what a snapshot needs lies where no prune takes it: before the commit and after
//! it. SPEC 10.3, W3 and W5.
//!
//! Each side puts down its mark before it reads the other's, so one of the two sees the other: the
//! pruner the snapshot, or the writer the sweep.

use std::collections::{BTreeSet, HashSet};

use repo_format::codec::Text;
use repo_format::gc::Rebase;
use repo_format::history::Event;
use repo_format::{BlobId, ObjectHash, SnapshotId};

use super::blobs::{self, BlobReader, pack_name};
use super::create::Actor;
use super::history::History;
use super::index::Located;
use super::marks::{self, Marks};
use super::packer::{BlobWriter, PackSettings};
use super::reachable::{self, Walked};
use super::{IndexedRepository, Repository};
use crate::Ambient;
use crate::error::{Context as _, Error, Kind, Result};

/// Times that plans may come while blobs are copied before it is given up.
const ROUNDS_MAX: usize = 20;

/// What a writer has seen of pruning, and with what it is at peace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Plans.
    pub(crate) plans: BTreeSet<String>,
    /// Packs that are deleted.
    pub(crate) deleted: HashSet<ObjectHash>,
}

impl Seen {
    /// What is to be seen now.
    pub(crate) fn now(repo: &Repository, ambient: &Ambient) -> Result<Self> {
        let marks = Marks::load(repo, ambient)?;
        Ok(Self::of(&marks, &History::load(repo, ambient)?))
    }

    /// What is to be seen in these marks and this history.
    pub(crate) fn of(marks: &Marks, history: &History) -> Self {
        Self { plans: marks.names(), deleted: marks::deleted(history) }
    }

    /// Says whether there is anything in these marks or this history that was not seen.
    fn covers(&self, marks: &Marks, history: &History) -> bool {
        marks.names().is_subset(&self.plans) && marks::deleted(history).is_subset(&self.deleted)
    }

    /// Names of the plans, for a record.
    pub(crate) fn basis(&self) -> Vec<Text> {
        self.plans.iter().map(|name| Text::new(name)).collect()
    }
}

/// Reads the plans, then the records that are new, in this order: what was deleted by a plan that
/// is gone is in the history by then.
pub(crate) fn look(repo: &Repository, history: &mut History, ambient: &Ambient) -> Result<Marks> {
    let marks = Marks::load(repo, ambient)?;
    history.refresh(repo, ambient)?;
    Ok(marks)
}

/// What a writer needs to secure a snapshot.
pub(crate) struct Securing<'a> {
    /// Repository.
    pub(crate) repo: &'a Repository,
    /// How copies are packed.
    pub(crate) settings: PackSettings,
    /// Who writes.
    pub(crate) actor: &'a Actor,
    /// Clock, progress and cancel.
    pub(crate) ambient: &'a Ambient,
}

impl Securing<'_> {
    /// W3: makes sure that everything below `root` may be relied on, as of the plans seen at the
    /// end.
    ///
    /// `seen` is what was seen when the tree began to be built, where it is known that the tree
    /// needs no pack that is absent by it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when something is gone already that only the source has.
    pub(crate) fn secure(
        &self,
        history: &mut History,
        root: BlobId,
        seen: Option<Seen>,
    ) -> Result<Seen> {
        let mut seen = seen;
        for _ in 0..ROUNDS_MAX {
            let marks = look(self.repo, history, self.ambient)?;
            if let Some(seen) = seen.take().filter(|seen| seen.covers(&marks, history)) {
                return Ok(seen);
            }
            self.copy_endangered(history, &marks, root)?;
            seen = Some(Seen::of(&marks, history));
        }
        Err(Error::new(Kind::Other, "prunes begin faster than their packs can be avoided"))
    }

    /// W5: looks whether a prune that the committed snapshot does not obey has been swept, and
    /// mends what it took.
    ///
    /// # Errors
    /// [`Kind::Damaged`] when something is gone: the snapshot does not read.
    pub(crate) fn confirm(
        &self,
        history: &mut History,
        id: SnapshotId,
        root: BlobId,
        seen: Seen,
    ) -> Result<()> {
        let mut seen = seen;
        for _ in 0..ROUNDS_MAX {
            let marks = look(self.repo, history, self.ambient)?;
            let is_swept = marks.swept().any(|(name, _)| !seen.plans.contains(&name.to_string()));
            if !is_swept && marks::deleted(history).is_subset(&seen.deleted) {
                return Ok(());
            }
            self.copy_endangered(history, &marks, root).map_err(|error| {
                let doing = format!("snapshot {} is stored, but a prune took of it", id.short());
                let kind =
                    if error.kind() == Kind::NotFound { Kind::Damaged } else { error.kind() };
                Error::caused(kind, format!("{doing}: {error}"), error)
            })?;
            seen = Seen::of(&marks, history);
            let event = Rebase { snapshot: id, basis: seen.basis(), actor: self.actor.who() };
            history.commit(self.repo, Event::Rebase(event), 0, self.actor, self.ambient)?;
        }
        Err(Error::new(Kind::Other, "prunes begin faster than their packs can be avoided"))
    }

    /// Copies what lies in absent packs alone, of everything below `root`, into new packs.
    fn copy_endangered(&self, history: &History, marks: &Marks, root: BlobId) -> Result<()> {
        let ambient = self.ambient;
        let absent = marks.absent(history);
        let repo = self.repo.load_index(ambient)?.avoiding(absent);
        let endangered = endangered(&repo, root, ambient)?;
        if endangered.is_empty() {
            return Ok(());
        }
        BlobWriter::with(&repo, self.settings, &ambient.progress, |writer| {
            let copier = Copier::new(&repo);
            endangered.iter().try_for_each(|id| {
                ambient.go_on()?;
                copier.copy(writer, *id)
            })
        })
    }
}

/// Blobs below `root` that lie in absent packs alone, with the bases that copies of them need.
fn endangered(
    repo: &IndexedRepository,
    root: BlobId,
    ambient: &Ambient,
) -> Result<BTreeSet<BlobId>> {
    let mut found = BTreeSet::new();
    let mut reader = BlobReader::new(repo)?;
    let walked = reachable::walk(&mut reader, root, &mut Walked::new(), ambient, &mut |id, _| {
        add_endangered(repo, id, &mut found);
        Ok(())
    });
    walked.map_err(|error| match error.kind() {
        Kind::Damaged => Error::caused(Kind::NotFound, error.to_string(), error),
        _ => error,
    })?;
    Ok(found)
}

fn add_endangered(repo: &IndexedRepository, id: BlobId, found: &mut BTreeSet<BlobId>) {
    let mut pending = vec![id];
    while let Some(id) = pending.pop() {
        if !repo.holds(&id) && found.insert(id) {
            pending.extend(repo.index().find_all(&id).into_iter().flat_map(|place| place.bases));
        }
    }
}

/// Copies frames from pack to pack.
pub(crate) struct Copier<'a> {
    repo: &'a IndexedRepository,
}

impl<'a> Copier<'a> {
    pub(crate) const fn new(repo: &'a IndexedRepository) -> Self {
        Self { repo }
    }

    /// Copies a blob from whichever of its places is there.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when none is.
    pub(crate) fn copy(&self, writer: &BlobWriter<'_>, id: BlobId) -> Result<()> {
        let mut trouble = Error::new(Kind::NotFound, format!("blob {} is gone", id.short()));
        for located in self.repo.index().find_all(&id) {
            match self.copy_from(writer, &located) {
                Ok(()) => return Ok(()),
                Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Damaged) => {
                    trouble = Error::caused(Kind::NotFound, error.to_string(), error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(trouble)
    }

    fn copy_from(&self, writer: &BlobWriter<'_>, located: &Located) -> Result<()> {
        let name = pack_name(&located.pack);
        let (offset, length) = (located.entry.offset, located.entry.stored_bytes);
        let frame = self.repo.store.get_range(&name, u64::from(offset), u64::from(length))?;
        self.copy_frame(writer, located, &frame)
            .with_context(|| format!("copying blob {} of {name}", located.entry.id.short()))
    }

    /// Copies a frame that was read, once it has shown that it opens.
    pub(crate) fn copy_frame(
        &self,
        writer: &BlobWriter<'_>,
        located: &Located,
        frame: &[u8],
    ) -> Result<()> {
        let mut opened = frame.to_vec();
        blobs::unseal(self.repo, located, &mut opened)?;
        if located.pack.epoch == self.repo.keys.current().number {
            return writer.copy(located, frame);
        }
        // Sealed under older keys: sealed anew.
        let mut plain = Vec::new();
        BlobReader::new(self.repo)?.read_at(located, &mut plain)?;
        writer.save(&mut writer.scratch()?, located.entry.kind, &plain).map(|_| ())
    }
}

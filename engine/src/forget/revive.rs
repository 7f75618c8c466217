//! Makes sure that a snapshot which was forgotten is still there before it counts again, as its
//! writer would: what lies in condemned packs alone is copied out of them. SPEC 10.3.

use repo_format::gc::Rebase;
use repo_format::history::Event;

use crate::Ambient;
use crate::chunk::compression::Level;
use crate::error::{Error, Kind, Result};
use crate::repo::Repository;
use crate::repo::create::Actor;
use crate::repo::history::{History, Taken};
use crate::repo::packer::PackSettings;
use crate::repo::securing::{Securing, Seen};

/// Memory for packs of copies, in bytes.
const MEMORY_BYTES: u64 = 128 << 20;

fn securing<'a>(repo: &'a Repository, actor: &'a Actor, ambient: &'a Ambient) -> Securing<'a> {
    let traits = repo.store().traits();
    let settings = PackSettings::within(MEMORY_BYTES, traits.pack_bytes, 1, 2, Level::Default);
    Securing { repo, settings, actor, ambient }
}

/// Secures what a snapshot needs, and says so in the history; to be called before it counts again.
///
/// # Errors
/// [`Kind::NotFound`] when something of it is deleted already.
pub(super) fn secure(
    repo: &Repository,
    history: &mut History,
    taken: &Taken,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<Seen> {
    let seen = securing(repo, actor, ambient).secure(history, taken.snapshot.root, None).map_err(
        |error| match error.kind() {
            Kind::NotFound | Kind::Damaged => {
                let what = format!("snapshot {} is not whole any more", taken.id.short());
                Error::caused(Kind::NotFound, format!("{what}: {error}"), error)
            }
            _ => error,
        },
    )?;
    let event = Rebase { snapshot: taken.id, basis: seen.basis(), actor: actor.who() };
    history.commit(repo, Event::Rebase(event), 0, actor, ambient)?;
    Ok(seen)
}

/// Looks again, once it counts.
///
/// # Errors
/// [`Kind::Damaged`] when a prune was quicker.
pub(super) fn confirm(
    repo: &Repository,
    history: &mut History,
    taken: &Taken,
    seen: Seen,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<()> {
    securing(repo, actor, ambient).confirm(history, taken.id, taken.snapshot.root, seen)
}

//! A store, its keys and an index: what every verb stands on.
//!
//! Writing keeps the order of SPEC 10.1: packs (O-1), then the index segment that names them, then
//! the history record that needs them (O-3). Reading goes the other way round (O-7).

use std::collections::HashSet;
use std::sync::Arc;

use repo_format::config::Config;
use repo_format::content::Chunker;
use repo_format::{BlobId, ObjectHash, RepositoryId, SlotId};
use zeroize::Zeroizing;

use crate::chunk::cutter::{Cutter, Gear};
use crate::error::{Error, Kind, Result};
use crate::store::Store;

pub mod blobs;
pub mod contents;
pub mod create;
pub(crate) mod deltas;
pub(crate) mod digest;
#[cfg(test)]
pub(crate) mod fixture;
pub mod history;
pub mod index;
pub(crate) mod kept;
pub mod key_slots;
pub mod keys;
pub(crate) mod marks;
pub(crate) mod open;
pub mod packer;
pub mod prolly;
pub(crate) mod reachable;
pub(crate) mod samples;
pub(crate) mod securing;
pub(crate) mod session;
pub mod standing;
mod state;
pub(crate) mod survey;
pub mod trees;
pub mod vouching;

pub use open::{OpenSettings, open};
pub use state::State;

/// What opens a key slot.
#[derive(Clone)]
pub enum Secret {
    /// A passphrase, as its bytes.
    Passphrase(Zeroizing<Vec<u8>>),
    /// Content of a key file.
    KeyFile(Zeroizing<Vec<u8>>),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase(..)",
            Self::KeyFile(_) => "KeyFile(..)",
        })
    }
}

impl Secret {
    /// Takes a passphrase.
    pub fn passphrase(text: impl AsRef<[u8]>) -> Self {
        Self::Passphrase(Zeroizing::new(text.as_ref().to_vec()))
    }
}

/// An open repository: its store, its keys and its configuration.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(crate) store: Arc<dyn Store>,
    /// The store itself, without local copies before it.
    origin: Arc<dyn Store>,
    pub(crate) keys: Arc<keys::Keys>,
    pub(crate) config: Arc<Config>,
    pub(crate) state: State,
    pub(crate) slot: SlotId,
    pub(crate) accepts_rollback: bool,
    gear: Gear,
}

impl Repository {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        keys: keys::Keys,
        config: Config,
        state: State,
        slot: SlotId,
    ) -> Self {
        let gear = Gear::new(&keys.chunk_key);
        Self {
            origin: Arc::clone(&store),
            store,
            keys: Arc::new(keys),
            config: Arc::new(config),
            state,
            slot,
            accepts_rollback: false,
            gear,
        }
    }

    /// Id of the repository.
    pub fn id(&self) -> RepositoryId {
        self.keys.repository
    }

    /// Store that it lies in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Key slot that opened it.
    pub const fn slot(&self) -> SlotId {
        self.slot
    }

    /// Makes a cutter for one way of cutting.
    pub fn cutter(&self, chunker: Chunker) -> Cutter {
        Cutter::new(&self.gear, chunker)
    }

    /// Folder in which this machine keeps what serves speed, if there is one.
    pub(crate) fn state_folder(&self) -> Option<&std::path::Path> {
        self.state.folder()
    }

    /// Table by which content is cut and sampled.
    pub(crate) const fn gear(&self) -> &Gear {
        &self.gear
    }

    /// The same repository, read from its store alone: what lies in local copies proves nothing.
    pub(crate) fn without_copies(&self) -> Self {
        Self { store: Arc::clone(&self.origin), ..self.clone() }
    }

    /// Refuses to go on when the repository needs a feature for writing that is not known here.
    pub(crate) fn must_be_writable(&self) -> Result<()> {
        match Config::unknown_feature(&self.config.features_write) {
            None => Ok(()),
            Some(feature) => Err(Error::new(
                Kind::NewerFormat,
                format!("this program cannot write with the repository's feature '{feature}'"),
            )),
        }
    }

    /// Refuses to delete when the repository needs a feature for that which is not known here.
    pub(crate) fn must_be_collectable(&self) -> Result<()> {
        match Config::unknown_feature(&self.config.features_collect) {
            None => Ok(()),
            Some(feature) => Err(Error::new(
                Kind::NewerFormat,
                format!("this program cannot prune with the repository's feature '{feature}'"),
            )),
        }
    }

    /// Reads the index to read snapshots of a history that was read before (O-7).
    pub fn load_index_of(
        &self,
        history: &history::History,
        ambient: &crate::Ambient,
    ) -> Result<IndexedRepository> {
        let mut index = index::load(self, ambient)?;
        index.leave_out(marks::deleted(history));
        Ok(IndexedRepository::with_index(self, index))
    }

    /// Reads the index; with it the repository can be written, restored and browsed.
    pub fn load_index(&self, ambient: &crate::Ambient) -> Result<IndexedRepository> {
        let index = index::load(self, ambient)?;
        Ok(IndexedRepository { repo: self.clone(), index: Arc::new(index), absent: Arc::default() })
    }
}

/// An open repository whose index is loaded.
#[derive(Debug, Clone)]
pub struct IndexedRepository {
    repo: Repository,
    index: Arc<index::Index>,
    /// Packs that nothing new may rely on. SPEC 10.3.
    absent: Arc<HashSet<ObjectHash>>,
}

impl IndexedRepository {
    /// Where blobs lie.
    pub fn index(&self) -> &index::Index {
        &self.index
    }

    /// The same repository, whose writers take some packs as absent; reading goes on as before.
    pub(crate) fn avoiding(&self, absent: HashSet<ObjectHash>) -> Self {
        Self { absent: Arc::new(absent), ..self.clone() }
    }

    /// The same repository with an index that was loaded otherwise.
    pub(crate) fn with_index(repo: &Repository, index: index::Index) -> Self {
        Self { repo: repo.clone(), index: Arc::new(index), absent: Arc::default() }
    }

    /// Best place of a blob where something new may rely on it.
    pub(crate) fn reliable(&self, id: &BlobId) -> Option<index::Located> {
        if self.absent.is_empty() {
            self.index.find(id)
        } else {
            self.index.find_reliable(id, &self.absent)
        }
    }

    /// Says whether a blob is stored where something new may rely on it.
    pub(crate) fn holds(&self, id: &BlobId) -> bool {
        if self.absent.is_empty() {
            self.index.contains(id)
        } else {
            self.index.find_reliable(id, &self.absent).is_some()
        }
    }
}

impl std::ops::Deref for IndexedRepository {
    type Target = Repository;
    fn deref(&self) -> &Repository {
        &self.repo
    }
}

//! The keys of an open repository: one purpose, one key. SPEC 3.1.

use repo_format::key_slot::{Bundle, Epoch};
use repo_format::{RepositoryId, WriterId};
use zeroize::Zeroize as _;

use crate::crypto::seal::Key;
use crate::crypto::signature::SigningKey;
use crate::crypto::{self, random};
use crate::error::{Error, Kind, Result};

/// Domains of sealed parts; each is said once in SPEC 3.3.
pub(crate) mod domain {
    pub(crate) const KEY_SLOT: &str = "strongroom v1 key slot";
    pub(crate) const LABEL: &str = "strongroom v1 label";
    pub(crate) const CONFIG: &str = "strongroom v1 config";
    pub(crate) const PACK_DIRECTORY: &str = "strongroom v1 pack directory";
    pub(crate) const INDEX_HEAD: &str = "strongroom v1 index head";
    pub(crate) const INDEX_BODY: &str = "strongroom v1 index body";
    pub(crate) const HISTORY_BODY: &str = "strongroom v1 history body";
    pub(crate) const PRUNE: &str = "strongroom v1 prune";
}

/// Keys of one epoch.
#[derive(Debug)]
pub(crate) struct EpochKeys {
    pub(crate) number: u32,
    pub(crate) data: Key,
    pub(crate) metadata: Key,
    pub(crate) directory: Key,
    pub(crate) index: Key,
    pub(crate) history: Key,
    pub(crate) config: Key,
    pub(crate) label: Key,
    pub(crate) pruning: Key,
}

impl EpochKeys {
    fn derive(epoch: &Epoch) -> Self {
        let secret = Key::new(epoch.secret);
        Self {
            number: epoch.number,
            data: secret.derive("strongroom v1 data blobs"),
            metadata: secret.derive("strongroom v1 metadata blobs"),
            directory: secret.derive("strongroom v1 pack directories"),
            index: secret.derive("strongroom v1 index segments"),
            history: secret.derive("strongroom v1 history records"),
            config: secret.derive("strongroom v1 configuration"),
            label: secret.derive("strongroom v1 labels"),
            pruning: secret.derive("strongroom v1 pruning"),
        }
    }
}

/// All keys of a repository.
#[derive(Debug)]
pub struct Keys {
    pub(crate) repository: RepositoryId,
    pub(crate) id_key: Key,
    pub(crate) chunk_key: Key,
    pub(crate) node_borders: Key,
    pub(crate) bundle_borders: Key,
    signing_seed: Key,
    epochs: Vec<EpochKeys>,
    bundle: Bundle,
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.bundle.id_key.zeroize();
        self.bundle.chunk_key.zeroize();
        self.bundle.signing_seed.zeroize();
        for epoch in &mut self.bundle.epochs {
            epoch.secret.zeroize();
        }
    }
}

impl Keys {
    /// Draws the keys of a new repository.
    pub(crate) fn generate(repository: RepositoryId) -> Result<Self> {
        let bundle = Bundle {
            repository,
            id_key: random::array()?,
            chunk_key: random::array()?,
            signing_seed: random::array()?,
            epochs: vec![Epoch { number: 0, secret: random::array()? }],
        };
        Ok(Self::from_bundle(bundle))
    }

    /// Derives every key from what a slot wraps.
    pub(crate) fn from_bundle(bundle: Bundle) -> Self {
        let chunk_key = Key::new(bundle.chunk_key);
        Self {
            repository: bundle.repository,
            id_key: Key::new(bundle.id_key),
            node_borders: chunk_key.derive("strongroom v1 node borders"),
            bundle_borders: chunk_key.derive("strongroom v1 bundle borders"),
            chunk_key,
            signing_seed: Key::new(bundle.signing_seed),
            epochs: bundle.epochs.iter().map(EpochKeys::derive).collect(),
            bundle,
        }
    }

    /// What a slot wraps.
    pub(crate) const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Keys that new objects are sealed under.
    pub(crate) fn current(&self) -> &EpochKeys {
        // A bundle without epochs does not decode.
        &self.epochs[self.epochs.len() - 1]
    }

    /// Keys of the epoch that an object names.
    pub(crate) fn epoch(&self, number: u32) -> Result<&EpochKeys> {
        self.epochs.iter().find(|epoch| epoch.number == number).ok_or_else(|| {
            Error::new(Kind::Damaged, format!("key epoch {number} is not in the key slot"))
        })
    }

    /// Key with which the repository vouches for its writers.
    pub(crate) fn root_signing(&self) -> SigningKey {
        SigningKey::from_seed(*self.signing_seed.derive("strongroom v1 root signing").as_bytes())
    }

    /// Key with which one writer signs its records.
    pub(crate) fn writer_signing(&self, writer: WriterId) -> SigningKey {
        let seed = crypto::seal::keyed_hash(
            &self.signing_seed.derive("strongroom v1 writer signing"),
            &[&writer.0],
        );
        SigningKey::from_seed(seed)
    }
}

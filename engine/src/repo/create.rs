//! Makes a new repository. SPEC 4.1.
//!
//! The marker is put last: a run that stops before it leaves nothing that counts (O-6).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use repo_format::codec::Text;
use repo_format::config::Config;
use repo_format::content::Chunker;
use repo_format::envelope::{self, Header};
use repo_format::history::{Created, Event};
use repo_format::object_name::prefix;
use repo_format::{ObjectHash, ObjectKind, ObjectName, RepositoryId, marker};

use super::history::History;
use super::keys::{Keys, domain};
use super::{Repository, Secret, State, key_slots};
use crate::Ambient;
use crate::crypto::passphrase::Cost;
use crate::crypto::{random, seal};
use crate::error::{Error, Kind, Result};
use crate::store::{CreateOnly, Put, Store};

/// Who does something, as the history names them.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// Host.
    pub host: String,
    /// User.
    pub user: String,
    /// Program and version.
    pub program: String,
}

impl Actor {
    /// User at host.
    pub fn who(&self) -> Text {
        Text::new(&format!("{}@{}", self.user, self.host))
    }
}

/// Settings of a new repository.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// Cost of the first passphrase slot.
    pub cost: Cost,
    /// Cache folder, if state is to be kept.
    pub cache: Option<&'a Path>,
    /// Who creates it.
    pub actor: Actor,
    /// How far create-only writes held when probed.
    pub create_only: CreateOnly,
    /// How files are cut.
    pub files: Chunker,
    /// How files made of pages are cut.
    pub pages: Chunker,
    /// Files of this length and more are cut.
    pub cut_from_bytes: u32,
    /// Files below this length share blobs.
    pub bundle_below_bytes: u32,
    /// Bytes that a shared blob aims at.
    pub bundle_bytes: u32,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            cost: Cost::default(),
            cache: None,
            actor: Actor::default(),
            create_only: CreateOnly::None,
            files: Chunker::FastCdc { min: 64 << 10, avg: 256 << 10, max: 1 << 20 },
            pages: Chunker::Fixed { size: 256 << 10 },
            cut_from_bytes: 1 << 20,
            bundle_below_bytes: 32 << 10,
            bundle_bytes: 256 << 10,
        }
    }
}

/// Makes a repository in an empty store.
///
/// # Errors
/// [`Kind::RepositoryExists`] where one is, or where objects lie that may belong to one whose
/// marker was lost.
pub fn create(
    store: Arc<dyn Store>,
    secret: &Secret,
    settings: &Settings<'_>,
    ambient: &Ambient,
) -> Result<Repository> {
    clear_the_ground(&*store)?;
    let id = RepositoryId(random::array()?);
    let keys = Keys::generate(id)?;
    if planted!(MarkerFirst) {
        store.put(&ObjectName::marker(), Bytes::from(marker::encode(id)), Put::Create)?;
    }
    let now = ambient.clock.now_ms();
    let actor = &settings.actor;
    let label = key_slots::label("first", &actor.host, &actor.user, now);
    let slot = key_slots::add(&*store, &keys, secret, settings.cost, &label)?;
    let config = first_config(settings, now);
    let config_hash = put_config(&*store, &keys, &config)?;
    if !planted!(MarkerFirst) {
        store.put(&ObjectName::marker(), Bytes::from(marker::encode(id)), Put::Create)?;
    }

    let state = State::open(settings.cache, id)?;
    let repo = Repository::new(store, keys, config, state, slot);
    let mut history = History::load(&repo, ambient)?;
    let created = Created {
        program: Text::new(&actor.program),
        host: Text::new(&actor.host),
        user: Text::new(&actor.user),
        config: config_hash,
    };
    history.commit(&repo, Event::Created(created), 0, actor, ambient)?;
    Ok(repo)
}

/// Makes sure that nothing is lost by creating a repository here.
fn clear_the_ground(store: &dyn Store) -> Result<()> {
    let exists = |what: &str| {
        let place = store.describe();
        Err(Error::new(Kind::RepositoryExists, format!("{place} holds {what} already")))
    };
    match store.get(&ObjectName::marker()) {
        Ok(_) => return exists("a repository"),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    // Keys and a configuration without anything sealed under them are what an interrupted creation
    // leaves; anything more may be a repository whose marker was lost.
    for prefix in [prefix::HISTORY, prefix::PACKS, prefix::METADATA, prefix::INDEX] {
        if !store.list(prefix)?.is_empty() {
            return exists("objects of a repository whose marker is missing");
        }
    }
    for prefix in [prefix::CONFIG, prefix::KEYS, prefix::WRITERS] {
        for listed in store.list(prefix)? {
            store.delete(&listed.name)?;
        }
    }
    Ok(())
}

fn first_config(settings: &Settings<'_>, now_ms: i64) -> Config {
    let create_only = match settings.create_only {
        CreateOnly::Atomic => "atomic",
        CreateOnly::Racy => "racy",
        CreateOnly::None => "none",
    };
    Config {
        generation: 0,
        previous: ObjectHash::default(),
        created_ms: now_ms,
        files: settings.files,
        pages: settings.pages,
        cut_from_bytes: settings.cut_from_bytes,
        bundle_below_bytes: settings.bundle_below_bytes,
        bundle_bytes: settings.bundle_bytes,
        features_read: Vec::new(),
        features_write: Vec::new(),
        features_collect: Vec::new(),
        create_only: Text::new(create_only),
    }
}

fn put_config(store: &dyn Store, keys: &Keys, config: &Config) -> Result<ObjectHash> {
    let epoch = keys.current();
    let header = Header::new(ObjectKind::Config, epoch.number, keys.repository);
    let plain = config.encode();
    // What cannot be read back must not be written.
    Config::decode(&plain).map_err(|error| {
        Error::caused(Kind::InvalidSetting, "these chunk sizes are not possible", error)
    })?;
    let context = config_context(&header, config.generation);
    let mut object = header.encode().to_vec();
    object.extend(seal::seal(&epoch.config, domain::CONFIG, &context, &plain)?);
    let hash = envelope::finish(&mut object);
    store.put(&ObjectName::config(config.generation), Bytes::from(object), Put::Create)?;
    Ok(hash)
}

/// Context of a sealed configuration: that of the object, then its generation.
pub(super) fn config_context(header: &Header, generation: u32) -> Vec<u8> {
    [&header.context(0)[..], &generation.to_le_bytes()].concat()
}

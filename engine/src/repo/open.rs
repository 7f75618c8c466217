//! Opens a repository: marker, key slot, configuration. SPEC 4.1.

use std::path::PathBuf;
use std::sync::Arc;

use repo_format::config::Config;
use repo_format::object_name::{Meaning, prefix};
use repo_format::{ObjectKind, ObjectName, envelope, limits, marker};

use super::create::config_context;
use super::keys::{Keys, domain};
use super::{Repository, Secret, State, key_slots};
use crate::crypto::seal;
use crate::error::{Context as _, Error, Kind, Result};
use crate::store::Store;
use crate::store::layers::Cache;

/// Settings of an open repository.
#[derive(Debug, Clone, Default)]
pub struct OpenSettings {
    /// Cache folder, if state is to be kept.
    pub cache: Option<PathBuf>,
    /// Goes on although the history is shorter than it was.
    pub accepts_rollback: bool,
}

/// Opens the repository in `store`.
///
/// # Errors
/// [`Kind::NoRepository`], [`Kind::WrongPassword`], [`Kind::NewerFormat`], or what the store says.
pub fn open(store: Arc<dyn Store>, secret: &Secret, settings: &OpenSettings) -> Result<Repository> {
    let bytes = match store.get(&ObjectName::marker()) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => {
            let message = format!("there is no repository in {}", store.describe());
            return Err(Error::caused(Kind::NoRepository, message, error));
        }
        Err(error) => return Err(error.into()),
    };
    let id = marker::decode(&bytes).map_err(|error| match error.reason {
        repo_format::Reason::BadMagic => {
            let message = format!("what lies in {} is not a repository", store.describe());
            Error::caused(Kind::NoRepository, message, error)
        }
        _ => error.into(),
    })?;
    let (keys, slot) = key_slots::unlock(&*store, id, secret)?;
    let state = State::open(settings.cache.as_deref(), id)?;
    let origin = Arc::clone(&store);
    let store = cached(store, &state);
    let config = newest_config(&*store, &keys)?;
    if let Some(feature) = Config::unknown_feature(&config.features_read) {
        let message = format!("this program cannot read the repository's feature '{feature}'");
        return Err(Error::new(Kind::NewerFormat, message));
    }
    let mut repo = Repository::new(store, keys, config, state, slot);
    repo.origin = origin;
    repo.accepts_rollback = settings.accepts_rollback;
    Ok(repo)
}

/// Puts the metadata cache before a store that is far away.
fn cached(store: Arc<dyn Store>, state: &State) -> Arc<dyn Store> {
    match state.path("objects") {
        Some(folder) if store.traits().is_remote => Arc::new(Cache::new(store, &folder)),
        _ => store,
    }
}

/// Reads the newest generation of the configuration and the chain that leads to it.
fn newest_config(store: &dyn Store, keys: &Keys) -> Result<Config> {
    let mut generations: Vec<u32> = store
        .list(prefix::CONFIG)?
        .iter()
        .filter_map(|listed| match listed.name.meaning() {
            Some(Meaning::Config(generation)) => Some(generation),
            _ => None,
        })
        .collect();
    generations.sort_unstable();
    let mut newest: Option<(Config, repo_format::ObjectHash)> = None;
    for generation in generations {
        let (config, hash) = read_config(store, keys, generation)?;
        if let Some((before, before_hash)) = &newest
            && (config.previous != *before_hash || before.generation + 1 != generation)
        {
            let message = format!("configuration {generation} does not follow the one before");
            return Err(Error::new(Kind::Damaged, message));
        }
        newest = Some((config, hash));
    }
    newest.map(|(config, _)| config).ok_or_else(|| {
        Error::new(
            Kind::Damaged,
            "the repository has no configuration; put config/ back from a copy",
        )
    })
}

pub(crate) fn read_config(
    store: &dyn Store,
    keys: &Keys,
    generation: u32,
) -> Result<(Config, repo_format::ObjectHash)> {
    let name = ObjectName::config(generation);
    let bytes = store.get(&name)?;
    let read = || -> Result<_> {
        let object = envelope::open(
            &bytes,
            ObjectKind::Config,
            Some(keys.repository),
            limits::RECORD_BYTES_MAX,
        )?;
        let context = config_context(&object.header, generation);
        let key = &keys.epoch(object.header.epoch)?.config;
        let plain = seal::open(key, domain::CONFIG, &context, object.body)?;
        let config = Config::decode(&plain)?;
        if config.generation == generation {
            Ok((config, object.hash))
        } else {
            Err(Error::new(Kind::Damaged, format!("it says generation {}", config.generation)))
        }
    };
    read().context(format!("reading {name}"))
}

#[cfg(test)]
mod tests {
    use repo_format::tree::Body;

    use super::*;
    use crate::Ambient;
    use crate::browse::View;
    use crate::repo::fixture::Fixture;
    use crate::repo::history::History;
    use crate::store::Traits;
    use crate::store::layers::{Call, Trace};

    /// Opens the repository, lists a folder of its newest snapshot, and counts what was fetched.
    fn fetched(store: &Arc<Trace<crate::store::MemoryStore>>, cache: &std::path::Path) -> u64 {
        let calls = || {
            let counts = store.counts();
            counts.of(Call::Get).calls + counts.of(Call::GetRange).calls
        };
        let before = calls();
        let settings = OpenSettings { cache: Some(cache.to_owned()), ..OpenSettings::default() };
        let secret = Secret::passphrase("secret");
        let repo = open(Arc::clone(store) as Arc<dyn Store>, &secret, &settings).unwrap();
        let ambient = Ambient::default();
        let indexed = repo.load_index(&ambient).unwrap();
        let newest = History::load(&repo, &ambient).unwrap().snapshots().pop().unwrap();
        let view = View::new(&indexed, &newest);
        let Body::Directory { tree, .. } = view.lookup(b"d").unwrap().unwrap().body else {
            panic!("d is a folder");
        };
        assert_eq!(view.list(tree, b"", 10).unwrap().len(), 4);
        calls() - before
    }

    #[test]
    fn what_was_read_of_a_far_store_is_not_fetched_again() {
        let far = Traits { is_remote: true, ..Traits::default() };
        let store = Arc::new(Trace::new(Fixture::small().store.with_traits(far)));
        let cache = tempfile::tempdir().unwrap();
        assert!(fetched(&store, cache.path()) > 5);
        // The marker, the key slot and the configuration: none of them is kept.
        assert_eq!(fetched(&store, cache.path()), 3);
    }
}

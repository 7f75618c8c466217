//! What somebody might do to a store between two runs, and what must be noticed then.

use std::path::Path;
use std::sync::Arc;

use engine::error::Kind;
use engine::keys;
use engine::repo::history::History;
use engine::store::{MemoryStore, Put, Store};
use repo_format::ObjectName;
use repo_format::key_slot::KeySlot;

use crate::run::Run;
use crate::world::{calm, open};

fn names(store: &MemoryStore, prefix: &str) -> Vec<ObjectName> {
    store.names().into_iter().filter(|name| name.as_str().starts_with(prefix)).collect()
}

/// Says whether reading the history stops because of what is gone.
fn notices(store: &MemoryStore, cache: Option<&Path>) -> Result<bool, String> {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    let opened = open(Arc::clone(&store), "first", cache)
        .or_else(|_| open(store, "second", cache))
        .map_err(|error| error.to_string())?;
    match History::load(&opened, &calm()) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == Kind::Rollback => Ok(true),
        Err(error) => Err(error.to_string()),
    }
}

/// An older copy of the store is put back: the machine that wrote the newer one notices.
pub(crate) fn rolled_back(run: &mut Run<'_>) -> Result<(), String> {
    run.calm_attempt()?;
    let old = &run.scene.store;
    let is_longer = names(run.faulty.inner(), "history/").len() > names(old, "history/").len();
    if !run.scene.model.exists || !is_longer {
        return Ok(());
    }
    if notices(&old.copy(), Some(&run.cache()))? {
        Ok(())
    } else {
        Err("an older copy of the store is taken for the newest".to_owned())
    }
}

/// A record that another one names is removed: a machine that has never been there notices.
pub(crate) fn record_removed(run: &mut Run<'_>) -> Result<(), String> {
    run.calm_attempt()?;
    let now = run.faulty.inner();
    let old = names(&run.scene.store, "history/");
    if names(now, "history/").len() == old.len() {
        return Ok(());
    }
    for name in old {
        let store = now.copy();
        store.delete(&name).map_err(|error| error.to_string())?;
        if !notices(&store, None)? {
            return Err(format!("nobody notices that {name} is gone"));
        }
    }
    Ok(())
}

/// The sealed labels of two key slots change places: none is believed.
pub(crate) fn swapped(run: &mut Run<'_>) -> Result<(), String> {
    run.calm_attempt()?;
    let store = run.faulty.inner().copy();
    let slots = names(&store, "keys/");
    let [a, b] = &slots[..] else { return Ok(()) };
    let read = |name| {
        let bytes = store.get(name).map_err(|error| error.to_string())?;
        KeySlot::decode(&bytes, None).map_err(|error| error.to_string())
    };
    let (mut first, mut second) = (read(a)?, read(b)?);
    std::mem::swap(&mut first.sealed_label, &mut second.sealed_label);
    for (name, slot) in [(a, &first), (b, &second)] {
        let put = store.put(name, slot.encode().0.into(), Put::Overwrite);
        put.map_err(|error| error.to_string())?;
    }
    let repo = open(Arc::new(store), "first", None).map_err(|error| error.to_string())?;
    for slot in keys::list(&repo).map_err(|error| error.to_string())? {
        if slot.info.is_ok_and(|info| info.label.is_some()) {
            return Err(format!("the label of another slot is shown for {}", slot.id));
        }
    }
    Ok(())
}

//! Key slots: wrapping the master key, and finding the slot that a secret opens. SPEC 3.2.

use bytes::Bytes;
use repo_format::codec::Text;
use repo_format::key_slot::{Bundle, Derivation, KeySlot, Label};
use repo_format::object_name::{Meaning, prefix};
use repo_format::{ObjectName, RepositoryId, SlotId};
use zeroize::Zeroizing;

use super::Secret;
use super::keys::{Keys, domain};
use crate::crypto::passphrase::{self, Cost};
use crate::crypto::random;
use crate::crypto::seal::{self, Key};
use crate::error::{Context as _, Error, Kind, Result};
use crate::store::{Put, Store};

/// Most slots that are tried with a passphrase: each costs a whole derivation.
pub(crate) const PASSPHRASE_SLOTS_TRIED_MAX: usize = 16;
/// Most slots that are read at all.
const SLOTS_READ_MAX: usize = 256;

/// A slot as it is listed to people.
#[derive(Debug, Clone)]
pub struct SlotInfo {
    /// Slot.
    pub id: SlotId,
    /// How it is opened.
    pub derivation: Derivation,
    /// What a person calls it, where that could be opened.
    pub label: Option<Label>,
}

fn slot_key(secret: &Secret, slot: &KeySlot) -> Result<Option<Key>, crate::crypto::Error> {
    Ok(match (secret, slot.derivation) {
        (Secret::Passphrase(text), Derivation::Argon2id { memory_kib, passes, lanes }) => {
            Some(passphrase::derive(text, &slot.salt, Cost { memory_kib, passes, lanes })?)
        }
        (Secret::KeyFile(content), Derivation::KeyFile) => {
            Some(passphrase::from_key_file(content, &slot.salt)?)
        }
        _ => None,
    })
}

fn commitment(slot_key: &Key) -> [u8; 32] {
    *slot_key.derive("strongroom v1 slot commitment").as_bytes()
}

fn wrap_key(slot_key: &Key) -> Key {
    slot_key.derive("strongroom v1 slot wrap")
}

fn bundle_context(slot: &KeySlot) -> Vec<u8> {
    [&slot.header().context(0)[..], &slot.clear()].concat()
}

fn label_context(slot: &KeySlot) -> Vec<u8> {
    [&slot.header().context(1)[..], &slot.id.0].concat()
}

/// Writes a new slot that wraps the keys under `secret`.
pub(crate) fn add(
    store: &dyn Store,
    keys: &Keys,
    secret: &Secret,
    cost: Cost,
    label: &Label,
) -> Result<SlotId> {
    let derivation = match secret {
        Secret::Passphrase(_) => {
            cost.check()?;
            Derivation::Argon2id {
                memory_kib: cost.memory_kib,
                passes: cost.passes,
                lanes: cost.lanes,
            }
        }
        Secret::KeyFile(_) => Derivation::KeyFile,
    };
    let mut slot = KeySlot {
        repository: keys.repository,
        id: SlotId(random::array()?),
        derivation,
        salt: random::array()?,
        commitment: [0; 32],
        sealed_bundle: Vec::new(),
        sealed_label: Vec::new(),
    };
    let key = slot_key(secret, &slot)?
        .ok_or_else(|| Error::new(Kind::Other, "the secret does not fit the slot"))?;
    slot.commitment = commitment(&key);
    let bundle = Zeroizing::new(keys.bundle().encode());
    slot.sealed_bundle =
        seal::seal(&wrap_key(&key), domain::KEY_SLOT, &bundle_context(&slot), &bundle)?;
    slot.sealed_label =
        seal::seal(&keys.current().label, domain::LABEL, &label_context(&slot), &label.encode())?;
    let name = ObjectName::key_slot(slot.id);
    store.put(&name, Bytes::from(slot.encode().0), Put::Create)?;
    Ok(slot.id)
}

/// Names of all slots, in order.
fn names(store: &dyn Store) -> Result<Vec<(ObjectName, SlotId)>> {
    let mut names: Vec<_> = store
        .list(prefix::KEYS)?
        .into_iter()
        .filter_map(|listed| match listed.name.meaning() {
            Some(Meaning::KeySlot(id)) => Some((listed.name, id)),
            _ => None,
        })
        .collect();
    names.sort();
    names.truncate(SLOTS_READ_MAX);
    Ok(names)
}

fn read(store: &dyn Store, name: &ObjectName, repository: RepositoryId) -> Result<KeySlot> {
    let bytes = store.get(name)?;
    let slot =
        KeySlot::decode(&bytes, Some(repository)).with_context(|| format!("reading {name}"))?;
    if ObjectName::key_slot(slot.id) == *name {
        Ok(slot)
    } else {
        Err(Error::new(Kind::Damaged, format!("{name} holds the key slot {}", slot.id)))
    }
}

/// Opens the first slot that `secret` fits; the others may be damaged or foreign.
pub(crate) fn unlock(
    store: &dyn Store,
    repository: RepositoryId,
    secret: &Secret,
) -> Result<(Keys, SlotId)> {
    let names = names(store)?;
    if names.is_empty() {
        return Err(Error::new(
            Kind::Damaged,
            "the repository has no key slot left; put one back from a copy of its keys/ folder",
        ));
    }
    let (mut tried, mut trouble) = (0, None);
    for (name, id) in &names {
        if tried == PASSPHRASE_SLOTS_TRIED_MAX {
            break;
        }
        let opened = try_slot(store, name, repository, secret, &mut tried);
        match opened {
            Ok(Some(keys)) => return Ok((keys, *id)),
            Ok(None) => {}
            Err(error) => trouble = Some(error.context(name)),
        }
    }
    // A slot that could not be read at all may be the one that fits.
    Err(match trouble {
        Some(error) if tried == 0 || error.is_retryable() => error,
        Some(error) => Error::caused(
            Kind::WrongPassword,
            "no readable key slot opens with this password or key file",
            error,
        ),
        None => Error::new(Kind::WrongPassword, "no key slot opens with this password or key file"),
    })
}

/// Opens one slot; `None` when the secret is not the one it was made for.
fn try_slot(
    store: &dyn Store,
    name: &ObjectName,
    repository: RepositoryId,
    secret: &Secret,
    tried: &mut usize,
) -> Result<Option<Keys>> {
    let slot = read(store, name, repository)?;
    let Some(key) = slot_key(secret, &slot)? else { return Ok(None) };
    *tried += usize::from(matches!(secret, Secret::Passphrase(_)));
    // The commitment first: one slot opens under one secret only.
    if !constant_time_equal(&commitment(&key), &slot.commitment) {
        return Ok(None);
    }
    let context = bundle_context(&slot);
    let plain = seal::open(&wrap_key(&key), domain::KEY_SLOT, &context, &slot.sealed_bundle)?;
    let plain = Zeroizing::new(plain);
    let bundle = Bundle::decode(&plain)?;
    if bundle.repository != repository {
        return Err(Error::new(Kind::Damaged, "the key slot is of another repository"));
    }
    Ok(Some(Keys::from_bundle(bundle)))
}

/// Says whether a secret opens one slot, as it is in the store now.
pub(crate) fn opens(
    store: &dyn Store,
    repository: RepositoryId,
    slot: SlotId,
    secret: &Secret,
) -> Result<bool> {
    try_slot(store, &ObjectName::key_slot(slot), repository, secret, &mut 0)
        .map(|keys| keys.is_some())
}

fn constant_time_equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    // BLAKE3's own hash type compares in constant time.
    blake3::Hash::from_bytes(*a) == blake3::Hash::from_bytes(*b)
}

/// Lists every slot; one that cannot be read is given as an error beside its name.
pub(crate) fn list(store: &dyn Store, keys: &Keys) -> Result<Vec<(ObjectName, Result<SlotInfo>)>> {
    let describe = |name: &ObjectName| -> Result<SlotInfo> {
        let slot = read(store, name, keys.repository)?;
        let label = keys.bundle().epochs.iter().rev().find_map(|epoch| {
            let key = &keys.epoch(epoch.number).ok()?.label;
            let context = label_context(&slot);
            let plain = seal::open(key, domain::LABEL, &context, &slot.sealed_label).ok()?;
            Label::decode(&plain).ok()
        });
        Ok(SlotInfo { id: slot.id, derivation: slot.derivation, label })
    };
    Ok(names(store)?
        .into_iter()
        .map(|(name, _)| {
            let info = describe(&name);
            (name, info)
        })
        .collect())
}

/// Makes a label for something made here and now.
pub fn label(name: &str, host: &str, user: &str, created_ms: i64) -> Label {
    Label { name: Text::new(name), host: Text::new(host), user: Text::new(user), created_ms }
}

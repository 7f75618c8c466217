//! Slot keys: from a passphrase by Argon2id, or from a key file. SPEC 3.2.

use argon2::{Algorithm, Argon2, Params, Version};

use super::Error;
use super::seal::Key;

/// Cost of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for Cost {
    /// The second recommended option of RFC 9106: 64 MiB, 3 passes, 4 lanes. It fits the smallest
    /// memory budget that a backup is promised to keep to.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 4 }
    }
}

/// Most memory that a slot may ask for, in KiB.
pub const MEMORY_KIB_MAX: u32 = 2 << 20;
/// Most passes that a slot may ask for.
pub const PASSES_MAX: u32 = 16;
/// Most lanes that a slot may ask for.
pub const LANES_MAX: u32 = 16;

impl Cost {
    /// Checks the cost against the limits; a hostile slot is refused before memory is taken.
    pub fn check(self) -> Result<(), Error> {
        let within = |what, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            let (value, least, most) = (value.into(), least.into(), most.into());
            Err(Error::Limit { what, value, least, most })
        };
        within("Argon2id lanes", self.lanes, 1, LANES_MAX)?;
        within("Argon2id passes", self.passes, 1, PASSES_MAX)?;
        within("Argon2id memory in KiB", self.memory_kib, 8 * self.lanes, MEMORY_KIB_MAX)
    }
}

/// Derives the slot key of a passphrase.
pub fn derive(passphrase: &[u8], salt: &[u8; 32], cost: Cost) -> Result<Key, Error> {
    cost.check()?;
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))
        .map_err(|error| Error::Random(error.to_string()))?;
    let mut out = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, &mut out)
        .map_err(|error| Error::Random(error.to_string()))?;
    Ok(Key::new(out))
}

/// Least bytes of a key file.
pub const KEY_FILE_BYTES_MIN: usize = 32;
/// Most bytes of a key file.
pub const KEY_FILE_BYTES_MAX: usize = 1 << 20;

/// Derives the slot key of a key file.
pub fn from_key_file(content: &[u8], salt: &[u8; 32]) -> Result<Key, Error> {
    if !(KEY_FILE_BYTES_MIN..=KEY_FILE_BYTES_MAX).contains(&content.len()) {
        return Err(Error::Limit {
            what: "length of the key file",
            value: content.len() as u64,
            least: KEY_FILE_BYTES_MIN as u64,
            most: KEY_FILE_BYTES_MAX as u64,
        });
    }
    let mut hasher = blake3::Hasher::new_derive_key("strongroom v1 key file");
    hasher.update(salt);
    hasher.update(content);
    Ok(Key::new(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_costs_are_refused_before_memory_is_taken() {
        for (memory_kib, passes, lanes) in
            [(u32::MAX, 1, 1), (1 << 10, u32::MAX, 1), (8, 1, 4), (64, 1, 0), (64, 0, 1)]
        {
            let error = derive(b"x", &[0; 32], Cost { memory_kib, passes, lanes }).unwrap_err();
            assert!(matches!(error, Error::Limit { .. }), "{error}");
        }
    }

    #[test]
    fn passphrase_and_salt_both_count() {
        let cost = Cost { memory_kib: 64, passes: 1, lanes: 2 };
        let key = |p: &[u8], s: u8| *derive(p, &[s; 32], cost).unwrap().as_bytes();
        assert_eq!(key(b"a", 1), key(b"a", 1));
        assert_ne!(key(b"a", 1), key(b"a", 2));
        assert_ne!(key(b"a", 1), key(b"b", 1));
    }

    #[test]
    fn a_short_key_file_is_refused() {
        assert!(from_key_file(&[1; 31], &[0; 32]).is_err());
        assert!(from_key_file(&[1; 32], &[0; 32]).is_ok());
    }
}

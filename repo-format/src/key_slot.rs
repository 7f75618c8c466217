//! Key slots: a wrapped copy of the master key, under a passphrase or a key file. SPEC 3.2.
//!
//! The commitment is compared before anything is opened, so one slot opens under one secret only.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Text};
use crate::envelope::{self, Fields, HEADER_BYTES, Header, push_sized};
use crate::error::{Reason, Result};
use crate::id::{ObjectHash, RepositoryId, SlotId};
use crate::limits;
use crate::object_name::ObjectKind;

/// Version of the bundle and label that this crate reads and writes.
pub const VERSION: u8 = 1;

const RECORD: &str = "key slot";
/// Bytes of the clear part: everything that the sealed bundle is bound to.
pub const CLEAR_BYTES: usize = 112;

/// How the slot key comes from the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivation {
    /// Argon2id version 0x13 over a passphrase. Slot type 1.
    Argon2id {
        /// Memory, in KiB.
        memory_kib: u32,
        /// Passes over the memory.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// BLAKE3 over the bytes of a key file. Slot type 2.
    KeyFile,
}

/// A key slot, its parts still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySlot {
    /// Repository.
    pub repository: RepositoryId,
    /// Slot; also its name.
    pub id: SlotId,
    /// How the slot key is derived.
    pub derivation: Derivation,
    /// Salt of the derivation.
    pub salt: [u8; 32],
    /// Commitment to the slot key.
    pub commitment: [u8; 32],
    /// [`Bundle`], sealed under the slot key.
    pub sealed_bundle: Vec<u8>,
    /// [`Label`], sealed under the repository's own key.
    pub sealed_label: Vec<u8>,
}

impl KeySlot {
    /// Header of the object, for the context of its sealed parts.
    pub const fn header(&self) -> Header {
        Header::new(ObjectKind::KeySlot, 0, self.repository)
    }

    /// Encodes the clear part that the sealed bundle is bound to.
    pub fn clear(&self) -> [u8; CLEAR_BYTES] {
        let mut out = [0; CLEAR_BYTES];
        out[..16].copy_from_slice(&self.id.0);
        match self.derivation {
            Derivation::Argon2id { memory_kib, passes, lanes } => {
                out[16] = 1;
                out[20..24].copy_from_slice(&memory_kib.to_le_bytes());
                out[24..28].copy_from_slice(&passes.to_le_bytes());
                out[28..32].copy_from_slice(&lanes.to_le_bytes());
            }
            Derivation::KeyFile => out[16] = 2,
        }
        out[32..64].copy_from_slice(&self.salt);
        out[64..96].copy_from_slice(&self.commitment);
        out
    }

    /// Encodes the whole object.
    pub fn encode(&self) -> (Vec<u8>, ObjectHash) {
        let mut out = self.header().encode().to_vec();
        out.extend_from_slice(&self.clear());
        push_sized(&mut out, &self.sealed_bundle);
        push_sized(&mut out, &self.sealed_label);
        let hash = envelope::finish(&mut out);
        (out, hash)
    }

    /// Decodes a whole object.
    pub fn decode(bytes: &[u8], repository: Option<RepositoryId>) -> Result<Self> {
        let object =
            envelope::open(bytes, ObjectKind::KeySlot, repository, limits::RECORD_BYTES_MAX)?;
        let mut fields = Fields::new(RECORD, object.body);
        if object.header.epoch != 0 {
            return fields.fail(Reason::ReservedNotZero);
        }
        let id = SlotId(fields.array()?);
        let kind = fields.u8()?;
        fields.zeros(3)?;
        let (memory_kib, passes, lanes) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let derivation = match kind {
            1 => Derivation::Argon2id { memory_kib, passes, lanes },
            2 if (memory_kib, passes, lanes) == (0, 0, 0) => Derivation::KeyFile,
            2 => return fields.fail(Reason::ReservedNotZero),
            _ => return fields.fail(Reason::Unsupported),
        };
        let (salt, commitment) = (fields.array()?, fields.array()?);
        fields.zeros(CLEAR_BYTES - 96)?;
        let slot = Self {
            repository: object.header.repository,
            id,
            derivation,
            salt,
            commitment,
            sealed_bundle: fields.sized()?.to_vec(),
            sealed_label: fields.sized()?.to_vec(),
        };
        fields.end()?;
        Ok(slot)
    }
}

/// What a slot wraps: the master key. SPEC 3.1.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Repository that the keys belong to.
    pub repository: RepositoryId,
    /// Names blobs; for the life of the repository.
    pub id_key: [u8; 32],
    /// Decides cut points; for the life of the repository.
    pub chunk_key: [u8; 32],
    /// Root of the signing keys.
    pub signing_seed: [u8; 32],
    /// Secrets of each epoch, ascending by number; at least one.
    pub epochs: Vec<Epoch>,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundle of {:?}, {} epochs", self.repository, self.epochs.len())
    }
}

/// Secret from which the purpose keys of one epoch are derived.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Number, from 0.
    pub number: u32,
    /// Secret.
    pub secret: [u8; 32],
}

impl std::fmt::Debug for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Epoch {}", self.number)
    }
}

impl Bundle {
    /// Encodes the plain bytes of the sealed bundle.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the sealed bundle.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let bundle: Self = codec::decode_versioned("key bundle", VERSION, bytes)?;
        let ascending = bundle.epochs.windows(2).all(|pair| pair[0].number < pair[1].number);
        if bundle.epochs.is_empty() || !ascending {
            return Err(crate::DecodeError::new("key bundle", 0, Reason::OutOfOrder));
        }
        Ok(bundle)
    }
}

/// What a person calls a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Name given by its maker; may be empty.
    pub name: Text,
    /// Host on which it was made.
    pub host: Text,
    /// User who made it.
    pub user: Text,
    /// Time of making, in milliseconds since 1970.
    pub created_ms: i64,
}

impl Label {
    /// Encodes the plain bytes of the sealed label.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the sealed label.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        codec::decode_versioned("label", VERSION, bytes)
    }
}

/// Least bytes of a whole key slot.
pub const BYTES_MIN: usize = HEADER_BYTES + CLEAR_BYTES + 8 + envelope::TRAILER_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reads_back_and_its_every_prefix_is_an_error() {
        let slot = KeySlot {
            repository: RepositoryId([1; 16]),
            id: SlotId([2; 16]),
            derivation: Derivation::Argon2id { memory_kib: 65_536, passes: 3, lanes: 4 },
            salt: [3; 32],
            commitment: [4; 32],
            sealed_bundle: vec![5; 200],
            sealed_label: vec![6; 50],
        };
        let (bytes, _) = slot.encode();
        assert_eq!(KeySlot::decode(&bytes, None).unwrap(), slot);
        for end in 0..bytes.len() {
            assert!(KeySlot::decode(&bytes[..end], None).is_err());
        }
    }

    #[test]
    fn a_bundle_without_epochs_is_refused() {
        let bundle = Bundle {
            repository: RepositoryId([1; 16]),
            id_key: [1; 32],
            chunk_key: [2; 32],
            signing_seed: [3; 32],
            epochs: vec![],
        };
        assert!(Bundle::decode(&bundle.encode()).is_err());
    }
}

//! The history: one signed chain of records a writer. SPEC 8.
//!
//! A snapshot record is the only commit point of a backup. Every record names the newest record
//! that its writer saw of each other writer, so a missing tail shows to the next reader.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Text};
use crate::envelope::{self, Fields, HEADER_BYTES, Header, TRAILER_BYTES};
use crate::error::{DecodeError, Reason, Result};
use crate::gc::{Pruned, Rebase};
use crate::id::{ObjectHash, RepositoryId, SlotId, SnapshotId, WriterId};
use crate::limits;
use crate::object_name::ObjectKind;
use crate::retention::{Forget, Hold, Release, must_ascend};
pub use crate::snapshot::{Snapshot, Statistics, Stream};

/// Version of record bodies that this crate reads and writes.
pub const VERSION: u8 = 1;

const RECORD: &str = "history record";
/// Bytes of the clear part, after the envelope header.
pub const CLEAR_BYTES: usize = 120;
const SIGNATURE_BYTES: usize = 64;

/// Types of record, as the byte of the clear part says.
pub mod event_type {
    /// The repository was created.
    pub const CREATED: u8 = 1;
    /// A snapshot was committed.
    pub const SNAPSHOT: u8 = 2;
    /// Snapshots were forgotten.
    pub const FORGET: u8 = 3;
    /// A hold was put on snapshots.
    pub const HOLD: u8 = 4;
    /// A hold was released.
    pub const RELEASE: u8 = 5;
    /// A snapshot was restored for real and compared.
    pub const VERIFY: u8 = 6;
    /// A key slot was added or removed.
    pub const KEY: u8 = 7;
    /// A configuration generation was written.
    pub const CONFIG: u8 = 8;
    /// A prune came to its end.
    pub const PRUNE: u8 = 9;
    /// A snapshot was repaired after a prune that it raced with.
    pub const REBASE: u8 = 10;
    /// The tags of a snapshot were changed.
    pub const TAGS: u8 = 11;
}

/// The clear part of a record: the chain can be followed without any key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clear {
    /// Repository.
    pub repository: RepositoryId,
    /// Epoch of the key that seals the body.
    pub epoch: u32,
    /// Writer.
    pub writer: WriterId,
    /// Place in the writer's chain, from 0.
    pub seq: u64,
    /// Trailer of the record before; zero for the first.
    pub previous: ObjectHash,
    /// Time by the writer's clock, in milliseconds since 1970; never used for correctness.
    pub time_ms: i64,
    /// Until when what the record refers to must be kept; 0 for no such time.
    pub retain_until_ms: i64,
    /// Type, one of [`event_type`] or newer.
    pub event_type: u8,
    /// BLAKE3 of the sealed body.
    pub body_hash: [u8; 32],
}

impl Clear {
    /// Header of the object, for the context of its sealed body.
    pub const fn header(&self) -> Header {
        Header::new(ObjectKind::HistoryRecord, self.epoch, self.repository)
    }

    /// Encodes the clear part; the header's length field is left out of it.
    pub fn encode(&self) -> [u8; CLEAR_BYTES] {
        let mut out = [0; CLEAR_BYTES];
        out[..16].copy_from_slice(&self.writer.0);
        out[16..24].copy_from_slice(&self.seq.to_le_bytes());
        out[24..56].copy_from_slice(&self.previous.0);
        out[56..64].copy_from_slice(&self.time_ms.to_le_bytes());
        out[64..72].copy_from_slice(&self.retain_until_ms.to_le_bytes());
        out[72] = self.event_type;
        out[80..112].copy_from_slice(&self.body_hash);
        out
    }

    /// What the writer signs: domain, context of the object, clear part.
    pub fn signed(&self) -> Vec<u8> {
        [&b"strongroom v1 history record"[..], &self.header().context(0), &self.encode()].concat()
    }
}

/// A whole record, its body still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Clear part.
    pub clear: Clear,
    /// [`Body`], sealed.
    pub sealed_body: Vec<u8>,
    /// Ed25519 signature of [`Clear::signed`] by the writer.
    pub signature: [u8; 64],
}

impl Record {
    /// Encodes the whole object; the hash is its trailer and, for a snapshot, the snapshot's id.
    pub fn encode(&self) -> (Vec<u8>, ObjectHash) {
        let mut out = self.clear.header().encode().to_vec();
        out.extend_from_slice(&self.clear.encode());
        out.extend_from_slice(&self.sealed_body);
        out.extend_from_slice(&self.signature);
        let hash = envelope::finish(&mut out);
        (out, hash)
    }

    /// Decodes a whole object; the signature is the caller's to check.
    pub fn decode(bytes: &[u8], repository: RepositoryId) -> Result<(Self, ObjectHash)> {
        let object = envelope::open(
            bytes,
            ObjectKind::HistoryRecord,
            Some(repository),
            limits::RECORD_BYTES_MAX,
        )?;
        let Some(body_end) = object.body.len().checked_sub(SIGNATURE_BYTES) else {
            return Err(DecodeError::new(RECORD, bytes.len() as u64, Reason::Truncated));
        };
        let mut fields = Fields::new(RECORD, &object.body[..body_end]);
        let mut clear = Clear {
            repository,
            epoch: object.header.epoch,
            writer: WriterId(fields.array()?),
            seq: fields.u64()?,
            previous: ObjectHash(fields.array()?),
            time_ms: fields.i64()?,
            retain_until_ms: fields.i64()?,
            event_type: fields.u8()?,
            body_hash: [0; 32],
        };
        fields.zeros(7)?;
        clear.body_hash = fields.array()?;
        fields.zeros(8)?;
        let sealed_body = fields.take(body_end - CLEAR_BYTES)?.to_vec();
        if blake3::hash(&sealed_body).as_bytes() != &clear.body_hash {
            return fields.fail(Reason::WrongHash);
        }
        let mut signature = [0; SIGNATURE_BYTES];
        signature.copy_from_slice(&object.body[body_end..]);
        Ok((Self { clear, sealed_body, signature }, object.hash))
    }
}

/// Least bytes of a whole record.
pub const BYTES_MIN: usize = HEADER_BYTES + CLEAR_BYTES + SIGNATURE_BYTES + TRAILER_BYTES;

/// Newest record that a writer had seen of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Head {
    /// The other writer.
    pub writer: WriterId,
    /// Its newest record.
    pub seq: u64,
    /// Trailer of that record.
    pub hash: ObjectHash,
}

/// Plain body of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Newest records seen of all other writers, strictly ascending by writer.
    pub heads: Vec<Head>,
    /// What happened.
    pub event: Event,
}

/// What a record tells; its type byte stands in the clear part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The repository was created.
    Created(Created),
    /// A snapshot was committed.
    Snapshot(Box<Snapshot>),
    /// A key slot was added or removed.
    Key(KeyChange),
    /// The tags of a snapshot were changed.
    Tags(TagChange),
    /// Snapshots were forgotten.
    Forget(Forget),
    /// Snapshots were put under a hold.
    Hold(Hold),
    /// Holds or forgets were taken back.
    Release(Release),
    /// A snapshot was restored for real and compared.
    Verify(Verified),
    /// A configuration was written.
    Config(ConfigChange),
    /// Packs were deleted.
    Prune(Pruned),
    /// A snapshot was looked at again after a prune that it raced with.
    Rebase(Rebase),
    /// A type that this version does not read; its body is kept unread.
    Unknown(u8),
}

/// First record of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Program and version that created it.
    pub program: Text,
    /// Host.
    pub host: Text,
    /// User.
    pub user: Text,
    /// Trailer of the first configuration.
    pub config: ObjectHash,
}

/// A change of key slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// The slot.
    pub slot: SlotId,
    /// Whether it was added; else it was removed.
    pub is_added: bool,
    /// Name of the slot.
    pub name: Text,
    /// Who changed it: user at host.
    pub actor: Text,
}

/// New tags of a snapshot, in place of its old ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagChange {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// All its tags from now on.
    pub tags: Vec<Text>,
    /// Who changed them: user at host.
    pub actor: Text,
}

/// A snapshot that was restored for real and compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Whether all of it was as it must be.
    pub is_good: bool,
    /// Files restored.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were not as they must be.
    pub damaged: u64,
    /// How it was compared.
    pub note: Text,
    /// Who did it: user at host.
    pub actor: Text,
}

/// A new generation of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChange {
    /// The generation.
    pub generation: u32,
    /// Trailer of the configuration.
    pub config: ObjectHash,
    /// What changed.
    pub note: Text,
    /// Who changed it: user at host.
    pub actor: Text,
}

impl Event {
    /// Type byte of the clear part.
    pub const fn event_type(&self) -> u8 {
        match self {
            Self::Created(_) => event_type::CREATED,
            Self::Snapshot(_) => event_type::SNAPSHOT,
            Self::Key(_) => event_type::KEY,
            Self::Tags(_) => event_type::TAGS,
            Self::Forget(_) => event_type::FORGET,
            Self::Hold(_) => event_type::HOLD,
            Self::Release(_) => event_type::RELEASE,
            Self::Verify(_) => event_type::VERIFY,
            Self::Config(_) => event_type::CONFIG,
            Self::Prune(_) => event_type::PRUNE,
            Self::Rebase(_) => event_type::REBASE,
            Self::Unknown(found) => *found,
        }
    }
}

impl Event {
    /// Checks what the types cannot say.
    fn check(&self) -> Result<()> {
        match self {
            Self::Forget(Forget { snapshots, .. }) | Self::Hold(Hold { snapshots, .. }) => {
                must_ascend(RECORD, snapshots)
            }
            Self::Release(release) => {
                must_ascend(RECORD, &release.records)?;
                must_ascend(RECORD, &release.snapshots)
            }
            Self::Prune(pruned) => must_ascend(RECORD, &pruned.deleted),
            _ => Ok(()),
        }
    }
}

impl Body {
    /// Encodes the plain bytes of the sealed body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        codec::encode_into(&self.heads, &mut out);
        match &self.event {
            Event::Created(event) => codec::encode_into(event, &mut out),
            Event::Snapshot(event) => codec::encode_into(event, &mut out),
            Event::Key(event) => codec::encode_into(event, &mut out),
            Event::Tags(event) => codec::encode_into(event, &mut out),
            Event::Forget(event) => codec::encode_into(event, &mut out),
            Event::Hold(event) => codec::encode_into(event, &mut out),
            Event::Release(event) => codec::encode_into(event, &mut out),
            Event::Verify(event) => codec::encode_into(event, &mut out),
            Event::Config(event) => codec::encode_into(event, &mut out),
            Event::Prune(event) => codec::encode_into(event, &mut out),
            Event::Rebase(event) => codec::encode_into(event, &mut out),
            Event::Unknown(_) => {}
        }
        out
    }

    /// Decodes the plain bytes of the sealed body of a record of the given type.
    ///
    /// A type or version that this crate does not know gives [`Event::Unknown`], not an error, so
    /// that a newer writer's records never look like damage.
    pub fn decode(found: u8, bytes: &[u8]) -> Result<Self> {
        let Some((&version, rest)) = bytes.split_first() else {
            return Err(DecodeError::new(RECORD, 0, Reason::Truncated));
        };
        let (heads, event) = match (version, found) {
            (VERSION, event_type::CREATED) => parts(rest, Event::Created)?,
            (VERSION, event_type::SNAPSHOT) => parts(rest, Event::Snapshot)?,
            (VERSION, event_type::KEY) => parts(rest, Event::Key)?,
            (VERSION, event_type::TAGS) => parts(rest, Event::Tags)?,
            (VERSION, event_type::FORGET) => parts(rest, Event::Forget)?,
            (VERSION, event_type::HOLD) => parts(rest, Event::Hold)?,
            (VERSION, event_type::RELEASE) => parts(rest, Event::Release)?,
            (VERSION, event_type::VERIFY) => parts(rest, Event::Verify)?,
            (VERSION, event_type::CONFIG) => parts(rest, Event::Config)?,
            (VERSION, event_type::PRUNE) => parts(rest, Event::Prune)?,
            (VERSION, event_type::REBASE) => parts(rest, Event::Rebase)?,
            // The heads come first in every type of this version, and count whoever wrote them.
            (VERSION, _) => (codec::decode_start(RECORD, rest)?, Event::Unknown(found)),
            _ => (Vec::new(), Event::Unknown(found)),
        };
        event.check()?;
        Ok(Self { heads, event })
    }
}

/// Reads heads and event of a body.
fn parts<T: Serialize + for<'a> Deserialize<'a>>(
    bytes: &[u8],
    event: impl FnOnce(T) -> Event,
) -> Result<(Vec<Head>, Event)> {
    #[derive(Serialize, Deserialize)]
    struct Parts<T>(Vec<Head>, T);
    let Parts(heads, found) = codec::decode::<Parts<T>>(RECORD, bytes)?;
    if heads.windows(2).any(|pair| pair[0].writer >= pair[1].writer) {
        return Err(DecodeError::new(RECORD, 1, Reason::OutOfOrder));
    }
    Ok((heads, event(found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> (Record, Body) {
        let body = Body {
            heads: vec![Head { writer: WriterId([1; 16]), seq: 4, hash: ObjectHash([2; 32]) }],
            event: Event::Tags(TagChange {
                snapshot: ObjectHash([3; 32]),
                tags: vec![Text::new("month-end")],
                actor: Text::new("ann@till"),
            }),
        };
        let sealed_body = body.encode();
        let clear = Clear {
            repository: RepositoryId([9; 16]),
            epoch: 0,
            writer: WriterId([8; 16]),
            seq: 1,
            previous: ObjectHash([7; 32]),
            time_ms: 5,
            retain_until_ms: 0,
            event_type: body.event.event_type(),
            body_hash: *blake3::hash(&sealed_body).as_bytes(),
        };
        (Record { clear, sealed_body, signature: [6; 64] }, body)
    }

    #[test]
    fn a_record_reads_back() {
        let (record, body) = record();
        let (bytes, hash) = record.encode();
        let (read, read_hash) = Record::decode(&bytes, record.clear.repository).unwrap();
        assert_eq!((&read, read_hash), (&record, hash));
        assert_eq!(Body::decode(read.clear.event_type, &read.sealed_body).unwrap(), body);
    }

    #[test]
    fn every_prefix_of_a_record_is_an_error() {
        let (bytes, _) = record().0.encode();
        for end in 0..bytes.len() {
            assert!(Record::decode(&bytes[..end], RepositoryId([9; 16])).is_err());
        }
    }

    #[test]
    fn a_newer_type_is_unknown_and_not_damage() {
        let (_, body) = record();
        let read = Body::decode(200, &body.encode()).unwrap();
        assert_eq!(read.event, Event::Unknown(200));
        assert_eq!(read.heads, body.heads);
    }
}

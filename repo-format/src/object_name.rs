//! Names of objects in a store, both ways. SPEC 2.1.
//!
//! Names are ASCII `[0-9a-z./-]`, at most 100 characters, and stay apart where a store ignores
//! case.

use std::fmt;

use crate::gc::PlanName;
use crate::id::{ObjectHash, SlotId, WriterId, from_hex, to_hex};

/// Kinds of object, as the byte in the envelope says. SPEC 2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// Readable text that says what the store holds; the only object without an envelope.
    Marker = 1,
    /// Sealed repository configuration, one generation.
    Config = 2,
    /// A wrapped copy of the master key.
    KeySlot = 3,
    /// Public key and label of a writer.
    WriterCard = 4,
    /// Blobs of file content.
    DataPack = 5,
    /// Blobs of trees, content lists, attributes and pack sets.
    MetadataPack = 6,
    /// Sorted table from blob to place.
    IndexSegment = 7,
    /// One signed record of the history.
    HistoryRecord = 8,
    /// Many history records, verbatim.
    HistoryBatch = 9,
    /// What a prune means to delete.
    PrunePlan = 10,
    /// Announces that deletion begins.
    PruneSweep = 11,
    /// What a prune deleted.
    PruneDone = 12,
    /// Reserved for parity sets.
    Parity = 13,
}

impl ObjectKind {
    /// Reads the byte of the envelope.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Marker,
            2 => Self::Config,
            3 => Self::KeySlot,
            4 => Self::WriterCard,
            5 => Self::DataPack,
            6 => Self::MetadataPack,
            7 => Self::IndexSegment,
            8 => Self::HistoryRecord,
            9 => Self::HistoryBatch,
            10 => Self::PrunePlan,
            11 => Self::PruneSweep,
            12 => Self::PruneDone,
            13 => Self::Parity,
            _ => return None,
        })
    }

    /// Says whether objects of this kind are named by the hash of their bytes.
    pub const fn is_named_by_hash(self) -> bool {
        matches!(self, Self::DataPack | Self::MetadataPack | Self::IndexSegment | Self::Parity)
    }
}

/// Name of an object in a store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

/// Folder prefixes; each ends in a slash.
pub mod prefix {
    /// Configuration generations.
    pub const CONFIG: &str = "config/";
    /// Key slots.
    pub const KEYS: &str = "keys/";
    /// Writer cards.
    pub const WRITERS: &str = "writers/";
    /// Data packs.
    pub const PACKS: &str = "packs/";
    /// Metadata packs.
    pub const METADATA: &str = "meta/";
    /// Index segments.
    pub const INDEX: &str = "index/";
    /// History records and batches.
    pub const HISTORY: &str = "history/";
    /// Prune protocol.
    pub const GC: &str = "gc/";
}

impl ObjectName {
    /// Longest name, in bytes.
    pub const BYTES_MAX: usize = 100;

    /// Takes any name that the rules of SPEC 2.1 allow.
    ///
    /// Nothing else ever reaches a store, so a hostile listing cannot lead outside it.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed =
            |c: u8| c.is_ascii_digit() || c.is_ascii_lowercase() || matches!(c, b'.' | b'/' | b'-');
        let well_formed = !text.is_empty()
            && text.len() <= Self::BYTES_MAX
            && text.bytes().all(allowed)
            && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        well_formed.then(|| Self(text.to_owned()))
    }

    /// Name of the marker.
    pub fn marker() -> Self {
        Self("strongroom".to_owned())
    }

    /// Name of one generation of the configuration.
    pub fn config(generation: u32) -> Self {
        Self(format!("{}{generation:08x}", prefix::CONFIG))
    }

    /// Name of a key slot.
    pub fn key_slot(id: SlotId) -> Self {
        Self(format!("{}{id}", prefix::KEYS))
    }

    /// Name of a writer card.
    pub fn writer_card(id: WriterId) -> Self {
        Self(format!("{}{id}", prefix::WRITERS))
    }

    /// Name of a data pack.
    pub fn data_pack(hash: ObjectHash) -> Self {
        Self(format!("{}{}/{hash}", prefix::PACKS, to_hex(&hash.0[..1])))
    }

    /// Name of a metadata pack.
    pub fn metadata_pack(hash: ObjectHash) -> Self {
        Self(format!("{}{}/{hash}", prefix::METADATA, to_hex(&hash.0[..1])))
    }

    /// Name of an index segment.
    pub fn index_segment(hash: ObjectHash) -> Self {
        Self(format!("{}{hash}", prefix::INDEX))
    }

    /// Name of a history record: the slot of its writer, then the first half of its hash, so that
    /// two records that claim one slot can never overwrite each other. SPEC 8.2.
    pub fn history_record(writer: WriterId, seq: u64, hash: ObjectHash) -> Self {
        Self(format!("{}{writer}/{seq:016x}-{}", prefix::HISTORY, to_hex(&hash.0[..8])))
    }

    /// Folder of one writer's records.
    pub fn history_prefix(writer: WriterId) -> String {
        format!("{}{writer}/", prefix::HISTORY)
    }

    /// Name of the plan of a prune.
    pub fn prune_plan(plan: PlanName) -> Self {
        Self(plan.object("plan"))
    }

    /// Name of the mark that deletion begins.
    pub fn prune_sweep(plan: PlanName) -> Self {
        Self(plan.object("sweep"))
    }

    /// Name of the end of a prune.
    pub fn prune_done(plan: PlanName) -> Self {
        Self(plan.object("done"))
    }

    /// Spelling of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says what the name names, if it follows SPEC 2.1.
    pub fn meaning(&self) -> Option<Meaning> {
        if self.0 == "strongroom" {
            return Some(Meaning::Marker);
        }
        let (folder, rest) = self.0.split_once('/')?;
        Some(match folder {
            "config" => Meaning::Config(u32::from_be_bytes(from_hex(rest)?)),
            "keys" => Meaning::KeySlot(SlotId::from_hex(rest)?),
            "writers" => Meaning::WriterCard(WriterId::from_hex(rest)?),
            "packs" => Meaning::DataPack(fanned_out(rest)?),
            "meta" => Meaning::MetadataPack(fanned_out(rest)?),
            "index" => Meaning::IndexSegment(ObjectHash::from_hex(rest)?),
            "history" => {
                let (writer, slot) = rest.split_once('/')?;
                let (seq, hash) = slot.split_once('-')?;
                Meaning::HistoryRecord {
                    writer: WriterId::from_hex(writer)?,
                    seq: u64::from_be_bytes(from_hex(seq)?),
                    hash_start: from_hex(hash)?,
                }
            }
            "gc" => {
                let (plan, ending) = rest.split_once('.')?;
                let plan = PlanName::parse(plan)?;
                match ending {
                    "plan" => Meaning::PrunePlan(plan),
                    "sweep" => Meaning::PruneSweep(plan),
                    "done" => Meaning::PruneDone(plan),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }
}

/// What an object name says about the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The marker.
    Marker,
    /// One generation of the configuration.
    Config(u32),
    /// A key slot.
    KeySlot(SlotId),
    /// A writer card.
    WriterCard(WriterId),
    /// A data pack.
    DataPack(ObjectHash),
    /// A metadata pack.
    MetadataPack(ObjectHash),
    /// An index segment.
    IndexSegment(ObjectHash),
    /// A history record.
    HistoryRecord {
        /// Writer of the record.
        writer: WriterId,
        /// Place in the writer's chain, from 0.
        seq: u64,
        /// First eight bytes of the record's hash.
        hash_start: [u8; 8],
    },
    /// What a prune means to delete.
    PrunePlan(PlanName),
    /// The mark that deletion begins.
    PruneSweep(PlanName),
    /// The end of a prune.
    PruneDone(PlanName),
}

fn fanned_out(rest: &str) -> Option<ObjectHash> {
    let (folder, hash) = rest.split_once('/')?;
    let hash = ObjectHash::from_hex(hash)?;
    (folder == to_hex(&hash.0[..1])).then_some(hash)
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectName({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_what_they_name() {
        let hash = ObjectHash([0xab; 32]);
        let writer = WriterId([7; 16]);
        assert_eq!(ObjectName::data_pack(hash).meaning(), Some(Meaning::DataPack(hash)));
        assert_eq!(ObjectName::config(3).meaning(), Some(Meaning::Config(3)));
        assert_eq!(
            ObjectName::history_record(writer, 9, hash).meaning(),
            Some(Meaning::HistoryRecord { writer, seq: 9, hash_start: [0xab; 8] })
        );
    }

    #[test]
    fn hostile_names_are_refused() {
        for name in ["", "/", "a//b", "../x", "a/../b", "a/.b", "A", "a b", "a\0", &"a".repeat(101)]
        {
            assert!(ObjectName::parse(name).is_none(), "{name:?}");
        }
        assert!(ObjectName::parse("gc/00000001-0badcafe.plan").is_some());
    }
}

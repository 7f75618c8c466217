//! Objects and records of pruning: plans, sweeps, ends, and what the history keeps of them.
//! SPEC 10.3.
//!
//! A plan condemns packs; nobody relies on a pack from when a plan that condemns it is visible.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{self, Text};
use crate::envelope::Header;
use crate::error::{DecodeError, Reason, Result};
use crate::history::Head;
use crate::id::{ObjectHash, SnapshotId, from_hex, to_hex};
use crate::object_name::prefix;
use crate::retention::must_ascend;

/// Version of the bodies that this crate reads and writes.
pub const VERSION: u8 = 1;

/// Name of a plan: its generation, which only sorts, and a random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanName {
    /// One more than the highest generation that the pruner saw.
    pub generation: u32,
    /// Drawn at random.
    pub drawn: [u8; 4],
}

impl PlanName {
    /// Reads `GENERATION-DRAWN`, 8 hexadecimal digits each.
    pub fn parse(text: &str) -> Option<Self> {
        let (generation, drawn) = text.split_once('-')?;
        let generation = u32::from_be_bytes(from_hex(generation)?);
        Some(Self { generation, drawn: from_hex(drawn)? })
    }

    /// Spelling as snapshots and records hold it.
    pub fn text(self) -> Text {
        Text::new(&self.to_string())
    }

    /// Context of the sealed body of a plan, sweep or end: that of the object, then the name.
    pub fn context(self, header: &Header) -> Vec<u8> {
        [&header.context(0)[..], &self.generation.to_le_bytes(), &self.drawn].concat()
    }

    pub(crate) fn object(self, ending: &str) -> String {
        format!("{}{self}.{ending}", prefix::GC)
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.generation, to_hex(&self.drawn))
    }
}

/// A pack that a plan condemns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Condemned {
    /// The pack.
    pub pack: ObjectHash,
    /// Whether it is a metadata pack.
    pub is_metadata: bool,
    /// Bytes of the whole pack.
    pub bytes: u64,
}

/// What a prune means to delete, and on what knowledge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Records without a successor among those that the pruner had read, strictly ascending: it
    /// knew these and all that they follow, and no other.
    pub heads: Vec<Head>,
    /// Names of the plans that it had seen, and whose packs it relied on as little as on its own.
    pub seen: Vec<Text>,
    /// Time by the pruner's clock, in milliseconds since 1970.
    pub time_ms: i64,
    /// Time to wait between plan and sweep, in milliseconds.
    pub grace_ms: u64,
    /// Who made it: user at host.
    pub actor: Text,
    /// Packs to delete, strictly ascending.
    pub condemned: Vec<Condemned>,
    /// Packs that hold what is still needed of the condemned ones, strictly ascending.
    pub survivors: Vec<ObjectHash>,
}

/// Announces that deletion begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// Time by the pruner's clock, in milliseconds since 1970.
    pub time_ms: i64,
    /// Who began: user at host.
    pub actor: Text,
}

/// The end of a prune.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Time by the pruner's clock, in milliseconds since 1970.
    pub time_ms: i64,
    /// Who ended it: user at host.
    pub actor: Text,
    /// Condemned packs that were not deleted, strictly ascending.
    pub reprieved: Vec<ObjectHash>,
}

/// Record of packs that are gone for good: no pack of that name ever comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Name of the plan.
    pub plan: Text,
    /// Packs that were deleted, strictly ascending.
    pub deleted: Vec<ObjectHash>,
    /// Their bytes.
    pub bytes: u64,
    /// Number of condemned packs that were not deleted.
    pub reprieved: u64,
    /// Who deleted them: user at host.
    pub actor: Text,
}

/// Record of a snapshot that was looked at again: it needs no pack that the plans of the basis
/// condemn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebase {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Names of the plans seen.
    pub basis: Vec<Text>,
    /// Who looked: user at host.
    pub actor: Text,
}

impl Plan {
    /// Encodes the plain bytes of the sealed body.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the sealed body.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        const RECORD: &str = "prune plan";
        let plan: Self = codec::decode_versioned(RECORD, VERSION, bytes)?;
        let ascends = plan.heads.windows(2).all(|pair| pair[0] < pair[1])
            && plan.condemned.windows(2).all(|pair| pair[0].pack < pair[1].pack);
        if !ascends {
            return Err(DecodeError::new(RECORD, 0, Reason::OutOfOrder));
        }
        must_ascend(RECORD, &plan.survivors)?;
        Ok(plan)
    }
}

impl Sweep {
    /// Encodes the plain bytes of the sealed body.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the sealed body.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        codec::decode_versioned("prune sweep", VERSION, bytes)
    }
}

impl Done {
    /// Encodes the plain bytes of the sealed body.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the sealed body.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        const RECORD: &str = "prune end";
        let done: Self = codec::decode_versioned(RECORD, VERSION, bytes)?;
        must_ascend(RECORD, &done.reprieved)?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WriterId;

    #[test]
    fn names_have_one_spelling() {
        let name = PlanName { generation: 0x1f, drawn: [0xab, 0, 1, 2] };
        assert_eq!(name.to_string(), "0000001f-ab000102");
        assert_eq!(PlanName::parse("0000001f-ab000102"), Some(name));
        for text in ["1f-ab000102", "0000001F-ab000102", "0000001f-ab00010", "0000001fab000102"] {
            assert_eq!(PlanName::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_plan_reads_back_and_must_ascend() {
        let condemned =
            |n: u8| Condemned { pack: ObjectHash([n; 32]), is_metadata: false, bytes: 9 };
        let mut plan = Plan {
            heads: vec![Head { writer: WriterId([1; 16]), seq: 4, hash: ObjectHash([2; 32]) }],
            seen: vec![Text::new("00000001-0badcafe")],
            time_ms: 5,
            grace_ms: 6,
            actor: Text::new("ann@till"),
            condemned: vec![condemned(1), condemned(2)],
            survivors: vec![ObjectHash([7; 32])],
        };
        assert_eq!(Plan::decode(&plan.encode()).unwrap(), plan);
        plan.condemned.reverse();
        assert_eq!(Plan::decode(&plan.encode()).unwrap_err().reason, Reason::OutOfOrder);
    }
}

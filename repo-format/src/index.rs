//! Index segments: which pack holds which blob, sorted by blob, fixed width. SPEC 9.
//!
//! A segment only serves speed: packs alone can rebuild it.

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::envelope::Fields;
use crate::error::{DecodeError, Reason, Result};
use crate::id::{BlobId, ObjectHash};
use crate::limits;
use crate::pack::{self, BlobKind};

/// Version of segment heads that this crate reads and writes.
pub const VERSION: u8 = 1;

/// Head of a segment: its packs, and the segments that it replaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SegmentHead {
    /// Packs that the entries refer to by their place here.
    pub packs: Vec<PackRef>,
    /// Segments whose whole content this one repeats.
    pub supersedes: Vec<ObjectHash>,
    /// Entries of the body.
    pub entry_count: u32,
    /// Base ids after the entries.
    pub base_count: u32,
}

/// One pack of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackRef {
    /// Trailer and name of the pack.
    pub hash: ObjectHash,
    /// Whether it is a metadata pack.
    pub is_metadata: bool,
    /// Retention class.
    pub class: u8,
    /// Epoch of the keys that seal its blobs.
    pub epoch: u32,
    /// Bytes of the whole pack.
    pub total_bytes: u64,
}

impl SegmentHead {
    /// Encodes the plain bytes of the head.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the head.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let head: Self = codec::decode_versioned("index head", VERSION, bytes)?;
        let over = head.entry_count > limits::SEGMENT_ENTRIES_MAX
            || head.packs.iter().any(|pack| pack.total_bytes > limits::PACK_BYTES_MAX);
        if over {
            return Err(DecodeError::new("index head", 0, Reason::OverLimit));
        }
        Ok(head)
    }
}

/// Where one blob lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Pack, by its place in the pack table.
    pub pack: u32,
    /// Entry in that pack.
    pub entry: pack::Entry,
}

impl Place {
    /// Bytes of an encoded place. SPEC 9.2.
    pub const ENCODED_BYTES: usize = 60;

    /// Encodes the place: the pack entry with the pack number after the id.
    pub fn encode(&self) -> [u8; Self::ENCODED_BYTES] {
        let entry = self.entry.encode();
        let mut out = [0; Self::ENCODED_BYTES];
        out[..32].copy_from_slice(&entry[..32]);
        out[32..36].copy_from_slice(&self.pack.to_le_bytes());
        out[36..].copy_from_slice(&entry[32..]);
        out
    }

    /// Decodes one place; the caller checks it against the tables with [`Place::check`].
    pub fn decode(bytes: &[u8; Self::ENCODED_BYTES]) -> Result<Self> {
        let mut fields = Fields::new("index entry", bytes);
        let id = BlobId(fields.array()?);
        let pack = fields.u32()?;
        let (offset, stored_bytes, plain_bytes) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let Some(kind) = BlobKind::from_byte(fields.u8()?) else {
            return fields.fail(Reason::Unsupported);
        };
        let (encoding, depth, envelope) = (fields.u8()?, fields.u8()?, fields.u8()?);
        let base_count = fields.u8()?;
        fields.zeros(3)?;
        let base_first = fields.u32()?;
        let entry = pack::Entry {
            id,
            offset,
            stored_bytes,
            plain_bytes,
            kind,
            encoding,
            depth,
            envelope,
            base_count,
            base_first,
        };
        Ok(Self { pack, entry })
    }

    /// Checks the place against its pack and the base table.
    pub fn check(&self, packs: &[PackRef], base_count: usize) -> Result<()> {
        let Some(pack) = packs.get(self.pack as usize) else {
            return Err(DecodeError::new("index entry", 32, Reason::Invalid));
        };
        if pack.is_metadata != self.entry.kind.is_metadata() {
            return Err(DecodeError::new("index entry", 48, Reason::Invalid));
        }
        self.entry.check(pack.total_bytes.saturating_sub(pack::FOOTER_BYTES as u64), base_count)
    }
}

/// Body of a segment, decoded: places ascending by blob and pack, then bases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SegmentBody {
    /// The places.
    pub places: Vec<Place>,
    /// Base ids that places refer to.
    pub bases: Vec<BlobId>,
}

impl SegmentBody {
    /// Encodes the plain bytes of the body.
    pub fn encode(&self) -> Vec<u8> {
        let size = self.places.len() * Place::ENCODED_BYTES + self.bases.len() * 32;
        let mut out = Vec::with_capacity(size);
        for place in &self.places {
            out.extend_from_slice(&place.encode());
        }
        for base in &self.bases {
            out.extend_from_slice(&base.0);
        }
        out
    }

    /// Decodes the plain bytes of the body that belongs to `head`.
    pub fn decode(bytes: &[u8], head: &SegmentHead) -> Result<Self> {
        let fail =
            |offset: usize, reason| Err(DecodeError::new("index segment", offset as u64, reason));
        let places_end = head.entry_count as usize * Place::ENCODED_BYTES;
        if bytes.len() != places_end + head.base_count as usize * 32 {
            return fail(bytes.len(), Reason::WrongLength);
        }
        let (places, bases) = bytes.split_at(places_end);
        let (places, _) = places.as_chunks::<{ Place::ENCODED_BYTES }>();
        let mut body = Self::default();
        let mut previous: Option<(BlobId, u32)> = None;
        for (number, bytes) in places.iter().enumerate() {
            let place = Place::decode(bytes)?;
            place.check(&head.packs, head.base_count as usize)?;
            let key = (place.entry.id, place.pack);
            if previous.is_some_and(|previous| previous > key) {
                return fail(number * Place::ENCODED_BYTES, Reason::OutOfOrder);
            }
            previous = Some(key);
            body.places.push(place);
        }
        let (bases, _) = bases.as_chunks::<32>();
        body.bases = bases.iter().copied().map(BlobId).collect();
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::encoding;

    fn place(id: u8, pack: u32) -> Place {
        Place {
            pack,
            entry: pack::Entry {
                id: BlobId([id; 32]),
                offset: 64,
                stored_bytes: 41,
                plain_bytes: 1,
                kind: BlobKind::Data,
                encoding: encoding::RAW,
                depth: 0,
                envelope: 0,
                base_count: 0,
                base_first: 0,
            },
        }
    }

    fn head(entry_count: u32) -> SegmentHead {
        let pack = PackRef {
            hash: ObjectHash([5; 32]),
            is_metadata: false,
            class: 0,
            epoch: 0,
            total_bytes: 1000,
        };
        SegmentHead { packs: vec![pack], supersedes: vec![], entry_count, base_count: 0 }
    }

    #[test]
    fn a_segment_reads_back() {
        let body = SegmentBody { places: vec![place(1, 0), place(2, 0)], bases: vec![] };
        assert_eq!(SegmentBody::decode(&body.encode(), &head(2)).unwrap(), body);
        assert_eq!(SegmentHead::decode(&head(2).encode()).unwrap(), head(2));
    }

    #[test]
    fn a_lying_index_is_refused() {
        let unsorted = SegmentBody { places: vec![place(2, 0), place(1, 0)], bases: vec![] };
        let error = SegmentBody::decode(&unsorted.encode(), &head(2)).unwrap_err();
        assert_eq!(error.reason, Reason::OutOfOrder);
        let no_pack = SegmentBody { places: vec![place(1, 7)], bases: vec![] };
        assert!(SegmentBody::decode(&no_pack.encode(), &head(1)).is_err());
        let mut far = place(1, 0);
        far.entry.offset = 990;
        let far = SegmentBody { places: vec![far], bases: vec![] };
        assert!(SegmentBody::decode(&far.encode(), &head(1)).is_err());
        let short = SegmentBody { places: vec![place(1, 0)], bases: vec![] };
        assert!(SegmentBody::decode(&short.encode(), &head(2)).is_err());
    }
}

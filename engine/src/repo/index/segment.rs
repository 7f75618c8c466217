//! Index segments in the store: written whole, read back piece by piece. SPEC 9.1.

use bytes::Bytes;
use repo_format::envelope::{self, Header};
use repo_format::index::{PackRef, Place, SegmentBody, SegmentHead};
use repo_format::{BlobId, DecodeError, ObjectHash, ObjectKind, ObjectName, Reason, limits, pack};

use crate::crypto::seal;
use crate::error::{Context as _, Error, Kind, Result};
use crate::repo::Repository;
use crate::repo::keys::domain;
use crate::store::Put;

/// An opened segment, its body still in its plain bytes.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) head: SegmentHead,
    body: Vec<u8>,
}

impl Segment {
    /// Every place, decoded and checked, in order; stops at the first that does not hold.
    pub(crate) fn places(&self) -> impl Iterator<Item = Result<Place>> {
        let rows = self.body.as_chunks::<{ Place::ENCODED_BYTES }>().0;
        let rows = &rows[..self.head.entry_count as usize];
        let mut previous = None;
        rows.iter().map(move |row| {
            let place = Place::decode(row)?;
            place.check(&self.head.packs, self.head.base_count as usize)?;
            let key = (place.entry.id, place.pack);
            if previous.replace(key).is_some_and(|previous| previous > key) {
                return Err(DecodeError::new("index segment", 0, Reason::OutOfOrder).into());
            }
            Ok(place)
        })
    }

    /// Base ids.
    pub(crate) fn bases(&self) -> impl Iterator<Item = BlobId> {
        let start = self.head.entry_count as usize * Place::ENCODED_BYTES;
        self.body[start..].as_chunks::<32>().0.iter().copied().map(BlobId)
    }
}

impl Segment {
    /// What the segment says of each of its packs: entries in order of their frames, and bases.
    pub(crate) fn directories(&self) -> Result<Vec<(PackRef, pack::Directory)>> {
        let bases: Vec<BlobId> = self.bases().collect();
        let mut packs: Vec<_> =
            self.head.packs.iter().map(|pack| (*pack, pack::Directory::default())).collect();
        for place in self.places() {
            let place = place?;
            // Checked by `places`: the pack and the bases are there.
            let (_, directory) = &mut packs[place.pack as usize];
            let mut entry = place.entry;
            if entry.base_count > 0 {
                let first = entry.base_first as usize;
                entry.base_first = u32::try_from(directory.bases.len()).unwrap_or(u32::MAX);
                let own = &bases[first..first + usize::from(entry.base_count)];
                directory.bases.extend_from_slice(own);
            }
            directory.entries.push(entry);
        }
        for (_, directory) in &mut packs {
            directory.entries.sort_unstable_by_key(|entry| entry.offset);
        }
        Ok(packs)
    }
}

/// Context of the body: that of the object, then the hash of the sealed head, so that the two
/// belong together.
fn body_context(header: &Header, sealed_head: &[u8]) -> Vec<u8> {
    [&header.context(1)[..], blake3::hash(sealed_head).as_bytes()].concat()
}

/// Writes a segment over packs that are stored already (O-1).
pub(crate) fn write(
    repo: &Repository,
    packs: &[(PackRef, pack::Directory)],
    supersedes: &[ObjectHash],
) -> Result<ObjectHash> {
    let mut body = SegmentBody::default();
    for (number, (_, directory)) in packs.iter().enumerate() {
        let pack = u32::try_from(number)
            .map_err(|_| Error::new(Kind::Other, "too many packs for one index segment"))?;
        let shift = u32::try_from(body.bases.len()).unwrap_or(u32::MAX);
        for entry in &directory.entries {
            let mut entry = *entry;
            if entry.base_count > 0 {
                entry.base_first += shift;
            }
            body.places.push(Place { pack, entry });
        }
        body.bases.extend_from_slice(&directory.bases);
    }
    body.places.sort_unstable_by_key(|place| (place.entry.id, place.pack));
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let head = SegmentHead {
        packs: packs.iter().map(|(pack, _)| *pack).collect(),
        supersedes: supersedes.to_vec(),
        entry_count: count(body.places.len()),
        base_count: count(body.bases.len()),
    };
    let epoch = repo.keys.current();
    let header = Header::new(ObjectKind::IndexSegment, epoch.number, repo.id());
    let sealed_head =
        seal::seal(&epoch.index, domain::INDEX_HEAD, &header.context(0), &head.encode())?;
    let context = body_context(&header, &sealed_head);
    let sealed_body = seal::seal(&epoch.index, domain::INDEX_BODY, &context, &body.encode())?;
    let mut object = header.encode().to_vec();
    object.extend_from_slice(&count(sealed_head.len()).to_le_bytes());
    object.extend_from_slice(&sealed_head);
    object.extend_from_slice(&sealed_body);
    let hash = envelope::finish(&mut object);
    repo.store.put(&ObjectName::index_segment(hash), Bytes::from(object), Put::Overwrite)?;
    Ok(hash)
}

/// Reads a segment.
pub(crate) fn read(repo: &Repository, hash: ObjectHash) -> Result<Segment> {
    let name = ObjectName::index_segment(hash);
    let bytes = repo.store.get(&name)?;
    decode(repo, hash, &bytes).with_context(|| format!("reading {name}"))
}

fn decode(repo: &Repository, hash: ObjectHash, bytes: &[u8]) -> Result<Segment> {
    let fail = |reason| Err(DecodeError::new("index segment", 0, reason).into());
    // The name first: a flipped version byte is damage, not a newer format.
    let whole = bytes.len().saturating_sub(envelope::TRAILER_BYTES);
    if blake3::hash(&bytes[..whole]).as_bytes() != &hash.0 {
        return fail(Reason::WrongHash);
    }
    let object = envelope::open(
        bytes,
        ObjectKind::IndexSegment,
        Some(repo.id()),
        limits::SEGMENT_BYTES_MAX,
    )?;
    let Some((length, rest)) = object.body.split_first_chunk::<4>() else {
        return fail(Reason::Truncated);
    };
    let Some((sealed_head, sealed_body)) =
        rest.split_at_checked(u32::from_le_bytes(*length) as usize)
    else {
        return fail(Reason::Truncated);
    };
    let key = &repo.keys.epoch(object.header.epoch)?.index;
    let head = seal::open(key, domain::INDEX_HEAD, &object.header.context(0), sealed_head)?;
    let head = SegmentHead::decode(&head)?;
    let context = body_context(&object.header, sealed_head);
    let body = seal::open(key, domain::INDEX_BODY, &context, sealed_body)?;
    let expected = head.entry_count as usize * Place::ENCODED_BYTES + head.base_count as usize * 32;
    if body.len() != expected {
        return fail(Reason::WrongLength);
    }
    Ok(Segment { head, body })
}

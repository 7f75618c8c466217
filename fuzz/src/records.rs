//! Decoders of stored records: any bytes are refused or are the one encoding of what they decode
//! to, and neither takes more memory than the bytes justify. SPEC 1.3.

use repo_format::codec::{self, Bytes, Text};
use repo_format::config::Config;
use repo_format::content::ListNode;
use repo_format::envelope::{self, HEADER_BYTES, Header, TRAILER_BYTES};
use repo_format::history::{Body, Event, Record};
use repo_format::index::{SegmentBody, SegmentHead};
use repo_format::key_slot::{Bundle, KeySlot, Label};
use repo_format::pack::{Directory, FOOTER_BYTES, locate_directory};
use repo_format::tree::{AttributeList, Node};
use repo_format::writer_card::WriterCard;
use repo_format::{DecodeError, ObjectKind, RepositoryId, limits, marker};

use crate::memory::{KEY_HOLDER, Limit, STRANGER, within};
use crate::number;

/// Decodes within the limit of memory for what stood under a seal, and encodes again.
fn round<'a, T>(
    data: &'a [u8],
    decode: impl FnOnce(&'a [u8]) -> Result<T, DecodeError>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Option<T> {
    round_within(KEY_HOLDER, data, decode, encode)
}

/// Decodes within the limit of memory, and encodes again.
fn round_within<'a, T>(
    limit: Limit,
    data: &'a [u8],
    decode: impl FnOnce(&'a [u8]) -> Result<T, DecodeError>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Option<T> {
    match within(limit, data.len(), || decode(data)) {
        Ok(value) => {
            assert!(encode(&value) == data, "encodes to other bytes than it was decoded from");
            Some(value)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error without words");
            None
        }
    }
}

/// The repository that the header of an object names.
fn repository_of(data: &[u8]) -> Option<RepositoryId> {
    let bytes = data.get(16..32)?;
    RepositoryId::from_slice(bytes).ok()
}

/// A whole object: the kind that is expected, then its bytes.
pub fn envelope(data: &[u8]) {
    let Some((kind, data)) = number::<1>(data) else { return };
    let kind = u8::try_from(kind).ok().and_then(ObjectKind::from_byte);
    let _ = Header::decode(data).map(|header| {
        let encoded = header.encode();
        assert!(encoded[..] == data[..HEADER_BYTES], "another header");
    });
    let Some(kind) = kind else { return };
    let found =
        within(STRANGER, data.len(), || envelope::open(data, kind, None, limits::RECORD_BYTES_MAX));
    if let Ok(object) = found {
        assert_eq!(object.header.kind, kind);
        assert_eq!(object.body.len() + HEADER_BYTES + TRAILER_BYTES, data.len());
        let mut again = object.header.encode().to_vec();
        again.extend_from_slice(object.body);
        assert_eq!(envelope::finish(&mut again), object.hash);
        assert!(again == data, "finishes to other bytes");
    }
}

/// The marker, which has more spellings than one.
pub fn marker(data: &[u8]) {
    if let Ok(id) = within(STRANGER, data.len(), || marker::decode(data)) {
        assert_eq!(marker::decode(&marker::encode(id)), Ok(id));
    }
}

/// A whole key slot.
pub fn key_slot(data: &[u8]) {
    round_within(STRANGER, data, |data| KeySlot::decode(data, None), |slot| slot.encode().0);
}

/// A bundle of keys.
pub fn key_bundle(data: &[u8]) {
    round(data, Bundle::decode, Bundle::encode);
}

/// A label of a slot or a writer.
pub fn label(data: &[u8]) {
    round(data, Label::decode, Label::encode);
}

/// A configuration.
pub fn config(data: &[u8]) {
    round(data, Config::decode, Config::encode);
}

/// A whole writer card.
pub fn writer_card(data: &[u8]) {
    let Some(id) = repository_of(data) else { return };
    round_within(STRANGER, data, |data| WriterCard::decode(data, id), |card| card.encode().0);
}

/// The end of a pack: the length of the pack in eight bytes, then its last bytes.
pub fn pack_footer(data: &[u8]) {
    let Some((total, tail)) = number::<8>(data) else { return };
    if let Ok((offset, length)) = locate_directory(total, tail) {
        assert!(offset >= HEADER_BYTES as u64, "a directory within the header");
        assert_eq!(offset + u64::from(length) + FOOTER_BYTES as u64, total);
    }
}

/// A directory of a pack: where it begins in eight bytes, then its plain bytes.
pub fn pack_directory(data: &[u8]) {
    let Some((end, data)) = number::<8>(data) else { return };
    let found = round(data, |data| Directory::decode(data, end), Directory::encode);
    let mut free_from = HEADER_BYTES as u64;
    for entry in found.iter().flat_map(|directory| &directory.entries) {
        assert!(u64::from(entry.offset) >= free_from, "frames overlap");
        free_from = u64::from(entry.offset) + u64::from(entry.stored_bytes);
        assert!(free_from <= end, "a frame beyond the end");
    }
}

/// The head of an index segment.
pub fn index_head(data: &[u8]) {
    round(data, SegmentHead::decode, SegmentHead::encode);
}

/// The body of an index segment: the length of a head in two bytes, the head, the body.
pub fn index_body(data: &[u8]) {
    let Some((length, data)) = number::<2>(data) else { return };
    let Some((head, body)) = usize::try_from(length).ok().and_then(|at| data.split_at_checked(at))
    else {
        return;
    };
    let Ok(head) = SegmentHead::decode(head) else { return };
    let found = round(body, |body| SegmentBody::decode(body, &head), SegmentBody::encode);
    for place in found.iter().flat_map(|body| &body.places) {
        assert!((place.pack as usize) < head.packs.len(), "a place in no pack");
    }
}

/// A node of a directory.
pub fn tree_node(data: &[u8]) {
    round(data, Node::decode, Node::encode);
}

/// A node of a content list.
pub fn content_list(data: &[u8]) {
    if let Some(node) = round(data, ListNode::decode, ListNode::encode) {
        assert!(node.bytes() > 0, "a list of nothing");
    }
}

/// Extended attributes.
pub fn attributes(data: &[u8]) {
    round(data, AttributeList::decode, AttributeList::encode);
}

/// A whole record of the history.
pub fn history_record(data: &[u8]) {
    let Some(id) = repository_of(data) else { return };
    round_within(STRANGER, data, |data| Record::decode(data, id), |(record, _)| record.encode().0);
}

/// The body of a record of the history: its type, then the plain bytes.
pub fn history_body(data: &[u8]) {
    let Some((&found, data)) = data.split_first() else { return };
    if let Ok(body) = within(KEY_HOLDER, data.len(), || Body::decode(found, data))
        && !matches!(body.event, Event::Unknown(_))
    {
        assert!(body.encode() == data, "encodes to other bytes than it was decoded from");
    }
}

/// Single values of every type that records are made of.
pub fn values(data: &[u8]) {
    let Some((&which, data)) = data.split_first() else { return };
    match which % 10 {
        0 => drop(round(data, |d| codec::decode::<u8>("u8", d), codec::encode)),
        1 => drop(round(data, |d| codec::decode::<u32>("u32", d), codec::encode)),
        2 => drop(round(data, |d| codec::decode::<u64>("u64", d), codec::encode)),
        3 => drop(round(data, |d| codec::decode::<i64>("i64", d), codec::encode)),
        4 => drop(round(data, |d| codec::decode::<bool>("bool", d), codec::encode)),
        5 => drop(round(data, |d| codec::decode::<Bytes>("bytes", d), codec::encode)),
        6 => drop(round(data, |d| codec::decode::<Text>("text", d), codec::encode)),
        7 => drop(round(data, |d| codec::decode::<Option<u64>>("option", d), codec::encode)),
        8 => drop(round(data, |d| codec::decode::<Vec<u64>>("list", d), codec::encode)),
        _ => drop(round(data, |d| codec::decode::<Vec<Text>>("texts", d), codec::encode)),
    }
}

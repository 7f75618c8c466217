//! Single objects and blobs, opened and checked, as plain values.
//!
//! No key and nothing that a key could be guessed from is ever among them.

use repo_format::config::Config;
use repo_format::content::ListNode;
use repo_format::index::{PackRef, SegmentHead};
use repo_format::object_name::{Meaning, prefix};
use repo_format::pack::{self, BlobKind};
use repo_format::tree::{AttributeList, Node};
use repo_format::{BlobId, ObjectHash, ObjectName, SlotId};

use super::snapshots::PREFIX_DIGITS_MIN;
use crate::error::{Context as _, Error, Kind, Result};
use crate::repo::IndexedRepository;
use crate::repo::blobs::{BlobReader, pack_name, read_directory};
use crate::repo::history::{History, Loaded, Taken};
use crate::repo::index::read_segment;
use crate::repo::key_slots::{self, SlotInfo};

/// Most candidates that an error lists.
const LISTED_MAX: usize = 8;

/// What to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The configuration in force.
    Config,
    /// A snapshot.
    Snapshot(ObjectHash),
    /// Any record of the history.
    Record(ObjectHash),
    /// A blob of whatever kind.
    Blob(BlobId),
    /// The directory of a pack.
    Pack(PackRef),
    /// An index segment.
    Segment(ObjectHash),
    /// A key slot.
    Slot(SlotId),
}

/// What was found.
#[derive(Debug, Clone)]
pub enum Object {
    /// The configuration in force.
    Config(Config),
    /// A snapshot, its tags as they are now.
    Snapshot(Box<Taken>),
    /// A record of the history.
    Record(Box<Loaded>),
    /// A node of a directory.
    Tree(Node),
    /// A node of a content list.
    ContentList(ListNode),
    /// Extended attributes.
    Attributes(AttributeList),
    /// A blob that has no reading but its bytes.
    Bytes(Vec<u8>),
    /// A pack and its directory.
    Pack(PackRef, pack::Directory),
    /// An index segment: its head, and plain bytes and stored bytes of all its places.
    Segment {
        /// Head.
        head: SegmentHead,
        /// Bytes of its blobs.
        plain_bytes: u64,
        /// Bytes of their frames.
        stored_bytes: u64,
    },
    /// The public part of a key slot.
    Slot(SlotInfo),
}

impl Target {
    /// Reads how a person names an object: a kind (`config`, `snapshot`, `record`, `tree`, `blob`,
    /// `pack`, `index`, `key`) and the first digits of an id, at least four.
    ///
    /// # Errors
    /// [`Kind::NotFound`] and [`Kind::AmbiguousName`], with what comes into question.
    pub fn find(repo: &IndexedRepository, history: &History, kind: &str, id: &str) -> Result<Self> {
        let object = |objects: Vec<ObjectHash>| {
            unique(kind, id, objects.into_iter().map(|hash| (hash.to_hex(), hash)))
        };
        match kind {
            "config" => Ok(Self::Config),
            "snapshot" => {
                let ids = history.snapshots().into_iter().map(|taken| taken.id).collect();
                object(ids).map(Self::Snapshot)
            }
            "record" => {
                let ids = history.records().into_iter().map(|record| record.hash).collect();
                object(ids).map(Self::Record)
            }
            "index" => object(repo.index().segments().to_vec()).map(Self::Segment),
            "pack" => {
                let packs = repo.index().packs().into_iter();
                unique(kind, id, packs.map(|pack| (pack.hash.to_hex(), pack))).map(Self::Pack)
            }
            "key" => {
                let slots = repo.store().list(prefix::KEYS)?;
                let slots = slots.iter().filter_map(|listed| match listed.name.meaning() {
                    Some(Meaning::KeySlot(id)) => Some((id.to_hex(), id)),
                    _ => None,
                });
                unique(kind, id, slots).map(Self::Slot)
            }
            "blob" | "tree" => blob(repo, kind, id).map(Self::Blob),
            _ => {
                let what = format!(
                    "'{kind}' is none of config, snapshot, record, tree, blob, pack, index, key"
                );
                Err(Error::new(Kind::NotFound, what))
            }
        }
    }
}

/// Finds a blob by the first digits of its id; looks at the whole index once unless they are all.
fn blob(repo: &IndexedRepository, kind: &str, id: &str) -> Result<BlobId> {
    if let Some(whole) = BlobId::from_hex(id) {
        return unique(kind, id, Some((id.to_owned(), whole)).into_iter());
    }
    let wanted = (kind == "tree").then_some(BlobKind::Tree);
    let mut found: Vec<BlobId> = Vec::new();
    let digits = id.to_ascii_lowercase();
    repo.index().for_each(|_, place| {
        let entry = &place.entry;
        let fits = wanted.is_none_or(|kind| kind == entry.kind)
            && starts_with(&entry.id.0, digits.as_bytes());
        if fits && found.len() < 1000 && !found.contains(&entry.id) {
            found.push(entry.id);
        }
    });
    unique(kind, id, found.into_iter().map(|id| (id.to_hex(), id)))
}

/// Says whether the hexadecimal spelling of `id` starts with `digits`.
fn starts_with(id: &[u8; 32], digits: &[u8]) -> bool {
    digits.len() <= 64
        && digits.iter().enumerate().all(|(at, &digit)| {
            let half = if at % 2 == 0 { id[at / 2] >> 4 } else { id[at / 2] & 15 };
            char::from(digit).to_digit(16) == Some(u32::from(half))
        })
}

/// The one of several things whose id starts with `digits`.
fn unique<T>(kind: &str, digits: &str, all: impl Iterator<Item = (String, T)>) -> Result<T> {
    let digits = digits.to_ascii_lowercase();
    if digits.len() < PREFIX_DIGITS_MIN {
        let what =
            format!("'{digits}' is too short: an id needs {PREFIX_DIGITS_MIN} digits or more");
        return Err(Error::new(Kind::NotFound, what));
    }
    let mut found: Vec<(String, T)> = all.filter(|(id, _)| id.starts_with(&digits)).collect();
    match found.len() {
        1 => Ok(found.swap_remove(0).1),
        0 => Err(Error::new(
            Kind::NotFound,
            format!("no {kind} has an id that starts with {digits}"),
        )),
        count => {
            let ids: Vec<String> = found.into_iter().take(LISTED_MAX).map(|(id, _)| id).collect();
            let what =
                format!("{count} ids of kind {kind} start with {digits}: {}", ids.join(", "));
            Err(Error::new(Kind::AmbiguousName, what))
        }
    }
}

/// Reads an object.
///
/// # Errors
/// [`Kind::NotFound`]; [`Kind::Damaged`] naming the object.
pub fn read(repo: &IndexedRepository, history: &History, target: &Target) -> Result<Object> {
    let missing = |what: String| Error::new(Kind::NotFound, format!("there is no {what}"));
    match target {
        Target::Config => Ok(Object::Config(repo.config().clone())),
        Target::Snapshot(id) => {
            let found = history.snapshots().into_iter().find(|taken| taken.id == *id);
            let found = found.ok_or_else(|| missing(format!("snapshot {}", id.short())))?;
            Ok(Object::Snapshot(Box::new(found)))
        }
        Target::Record(hash) => {
            let found = history.records().into_iter().find(|record| record.hash == *hash);
            let found = found.ok_or_else(|| missing(format!("record {}", hash.short())))?;
            Ok(Object::Record(Box::new(found.clone())))
        }
        Target::Blob(id) => read_blob(repo, *id),
        Target::Pack(pack) => {
            let (pack, directory) = read_directory(repo, &pack_name(pack))?;
            Ok(Object::Pack(pack, directory))
        }
        Target::Segment(hash) => {
            let segment = read_segment(repo, *hash)?;
            let (mut plain_bytes, mut stored_bytes) = (0_u64, 0_u64);
            for place in segment.places() {
                let entry = place?.entry;
                plain_bytes += u64::from(entry.plain_bytes);
                stored_bytes += u64::from(entry.stored_bytes);
            }
            Ok(Object::Segment { head: segment.head, plain_bytes, stored_bytes })
        }
        Target::Slot(id) => {
            let name = ObjectName::key_slot(*id);
            let slots = key_slots::list(&**repo.store(), &repo.keys)?;
            let found = slots.into_iter().find(|(listed, _)| *listed == name);
            found.ok_or_else(|| missing(format!("key slot {}", id.short())))?.1.map(Object::Slot)
        }
    }
}

/// Reads a blob into its plain bytes, with its kind.
pub fn read_plain(repo: &IndexedRepository, id: BlobId) -> Result<(BlobKind, Vec<u8>)> {
    let Some(located) = repo.index().find(&id) else {
        let what = format!("blob {} is in no pack of the index", id.short());
        return Err(Error::new(Kind::NotFound, what));
    };
    let kind = located.entry.kind;
    let mut plain = Vec::new();
    BlobReader::new(repo)?.read(id, kind, &mut plain)?;
    Ok((kind, plain))
}

fn read_blob(repo: &IndexedRepository, id: BlobId) -> Result<Object> {
    let (kind, plain) = read_plain(repo, id)?;
    let object = match kind {
        BlobKind::Tree => Node::decode(&plain).map(Object::Tree),
        BlobKind::ContentList => ListNode::decode(&plain).map(Object::ContentList),
        BlobKind::Attributes => AttributeList::decode(&plain).map(Object::Attributes),
        BlobKind::Data | BlobKind::PackSet => Ok(Object::Bytes(plain)),
    };
    object.with_context(|| format!("opening blob {}", id.short()))
}

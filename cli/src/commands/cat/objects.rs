//! Opened objects as JSON; ids in full, names exact.

use engine::browse::cat::Object as Found;
use engine::browse::history::Row;
use engine::records::Config;
use engine::records::Text;
use engine::records::{BlobKind, Directory};
use engine::records::{Chunker, Content, Extent, ListNode};
use engine::records::{PackRef, SegmentHead};
use engine::repo::history::Loaded;
use engine::repo::key_slots::SlotInfo;
use repo_format::BlobId;
use repo_format::tree::{AttributeList, Attributes, Body, Entry, Node};
use serde_json::Value;

use crate::commands::{history, key, snapshots};
use crate::entry;
use crate::output::json::Object;

/// The object of what was found; `rows` are those of the history.
pub(super) fn object(found: &Found, rows: &[Row]) -> Object {
    match found {
        Found::Config(config) => of_config(config),
        Found::Snapshot(taken) => snapshots::object(taken)
            .field("root", taken.snapshot.root.to_hex())
            .field("root_entries", taken.snapshot.root_entries),
        Found::Record(record) => of_record(record, rows.iter().find(|row| row.hash == record.hash)),
        Found::Tree(node) => of_tree(node),
        Found::ContentList(list) => of_list(list),
        Found::Attributes(list) => Object::new("attributes").field("attributes", attributes(list)),
        Found::Bytes(bytes) => Object::new("bytes").field("bytes", bytes.len()),
        Found::Pack(pack, directory) => of_pack(pack, directory),
        Found::Segment { head, plain_bytes, stored_bytes } => {
            of_segment(head).field("plain_bytes", *plain_bytes).field("stored_bytes", *stored_bytes)
        }
        Found::Slot(slot) => of_slot(slot),
    }
}

fn list<T>(items: &[T], show: impl Fn(&T) -> Object) -> Value {
    items.iter().map(|item| show(item).into_value()).collect()
}

fn texts(texts: &[Text]) -> Value {
    texts.iter().map(Text::as_str).collect()
}

fn of_config(config: &Config) -> Object {
    Object::new("config")
        .field("generation", config.generation)
        .field("previous", config.previous.to_hex())
        .time_ms("created", config.created_ms)
        .field("files", chunker(config.files))
        .field("pages", chunker(config.pages))
        .field("cut_from_bytes", config.cut_from_bytes)
        .field("bundle_below_bytes", config.bundle_below_bytes)
        .field("bundle_bytes", config.bundle_bytes)
        .field("features_read", texts(&config.features_read))
        .field("features_write", texts(&config.features_write))
        .field("features_collect", texts(&config.features_collect))
        .field("create_only", config.create_only.as_str())
}

fn chunker(chunker: Chunker) -> Value {
    let object = Object::default();
    let object = match chunker {
        Chunker::Whole => object.field("kind", "whole"),
        Chunker::FastCdc { min, avg, max } => {
            object.field("kind", "fastcdc").field("min", min).field("avg", avg).field("max", max)
        }
        Chunker::Fixed { size } => object.field("kind", "fixed").field("size", size),
    };
    object.into_value()
}

fn of_record(record: &Loaded, row: Option<&Row>) -> Object {
    let heads = list(&record.body.heads, |head| {
        Object::default()
            .field("writer", head.writer.to_hex())
            .field("seq", head.seq)
            .field("hash", head.hash.to_hex())
    });
    row.map_or_else(|| Object::new("record"), history::object)
        .field("previous", record.clear.previous.to_hex())
        .field("epoch", record.clear.epoch)
        .field("heads", heads)
}

fn of_tree(node: &Node) -> Object {
    match node {
        Node::Leaf(entries) => Object::new("tree").field("entries", list(entries, of_entry)),
        Node::Inner { level, children } => Object::new("tree").field("level", *level).field(
            "children",
            list(children, |child| {
                Object::default()
                    .name("first_name", &child.first_name)
                    .field("id", child.id.to_hex())
                    .field("entries", child.entries)
                    .field("files", child.totals.files)
                    .field("bytes", child.totals.bytes)
            }),
        ),
    }
}

fn of_entry(entry: &Entry) -> Object {
    let object = Object::default().name("name", &entry.name).and(entry::fields(&entry.name, entry));
    let object = match &entry.metadata.attributes {
        Attributes::None => object,
        Attributes::Inline(inline) => {
            object.field("attributes", attributes(&AttributeList(inline.clone())))
        }
        Attributes::Blob(id) => object.field("attributes_blob", id.to_hex()),
    };
    match &entry.body {
        Body::Directory { tree, .. } => object.field("tree", tree.to_hex()),
        Body::File { content, .. } => match content {
            Content::Inline(bytes) => object.field("inline_bytes", bytes.len()),
            Content::Extents { chunker: how, extents } => {
                object.field("chunker", chunker(*how)).field("extents", list(extents, of_extent))
            }
            Content::List { chunker: how, root } => {
                object.field("chunker", chunker(*how)).field("content_list", root.to_hex())
            }
        },
        _ => object,
    }
}

fn of_extent(extent: &Extent) -> Object {
    let object = Object::default().field("blob", extent.blob().map(BlobId::to_hex));
    let object = match extent {
        Extent::Slice { offset, .. } => object.field("offset", *offset),
        Extent::Blob { .. } | Extent::Hole { .. } => object,
    };
    object.field("bytes", extent.length())
}

fn of_list(node: &ListNode) -> Object {
    let object = Object::new("content_list");
    match node {
        ListNode::Leaf(extents) => object.field("extents", list(extents, of_extent)),
        ListNode::Inner { level, children } => object.field("level", *level).field(
            "children",
            list(children, |child| {
                Object::default().field("id", child.id.to_hex()).field("bytes", child.bytes)
            }),
        ),
    }
}

fn attributes(all: &AttributeList) -> Value {
    list(&all.0, |one| Object::default().name("name", &one.name).name("value", &one.value))
}

fn pack_ref(pack: &PackRef) -> Object {
    Object::default()
        .field("hash", pack.hash.to_hex())
        .field("metadata", pack.is_metadata)
        .field("class", pack.class)
        .field("epoch", pack.epoch)
        .field("total_bytes", pack.total_bytes)
}

const fn blob_kind(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Data => "data",
        BlobKind::Tree => "tree",
        BlobKind::ContentList => "content_list",
        BlobKind::Attributes => "attributes",
        BlobKind::PackSet => "pack_set",
    }
}

fn of_pack(pack: &PackRef, directory: &Directory) -> Object {
    let blobs = list(&directory.entries, |entry| {
        Object::default()
            .field("id", entry.id.to_hex())
            .field("kind", blob_kind(entry.kind))
            .field("offset", entry.offset)
            .field("stored_bytes", entry.stored_bytes)
            .field("plain_bytes", entry.plain_bytes)
            .field("encoding", entry.encoding)
            .field("depth", entry.depth)
    });
    Object::new("pack").and(pack_ref(pack)).field("blobs", blobs)
}

fn of_segment(head: &SegmentHead) -> Object {
    let supersedes: Value = head.supersedes.iter().map(|hash| hash.to_hex()).collect();
    Object::new("index")
        .field("packs", list(&head.packs, pack_ref))
        .field("supersedes", supersedes)
        .field("entries", head.entry_count)
}

fn of_slot(slot: &SlotInfo) -> Object {
    Object::new("key").field("id", slot.id.to_hex()).and(key::info_fields(slot))
}

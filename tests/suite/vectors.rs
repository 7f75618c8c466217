//! Proves that the decoders give the verdict that the vectors ask for: what is sound is accepted
//! and encodes to the same bytes again, what has a fault is refused for the reason that the vector
//! names.
//!
//! tests/vectors/README.md says what a vector is.

use std::collections::BTreeMap;

use engine::chunk::compression::Decompressor;
use engine::chunk::cutter::{Cutter, Gear};
use engine::chunk::delta;
use engine::crypto::seal::{self, Key};
use engine::crypto::{Error as CryptoError, blob};
use repo_format::codec::{self, Bytes, Text};
use repo_format::config::Config;
use repo_format::content::{Chunker, ListNode};
use repo_format::gc::{Done, Plan, Sweep};
use repo_format::history::{Body, Event, Record};
use repo_format::id::from_hex;
use repo_format::index::{SegmentBody, SegmentHead};
use repo_format::key_slot::{Bundle, KeySlot, Label};
use repo_format::pack::{BlobKind, Directory, blob_context, locate_directory};
use repo_format::tree::{AttributeList, Node};
use repo_format::writer_card::WriterCard;
use repo_format::{BlobId, DecodeError, ObjectKind, RepositoryId, envelope, marker};
use strongroom_tests::repository_tree::{files, read};

/// Vectors that must be there once the folder is; fewer means that some were not found.
const COUNT_MIN: usize = 100;
/// Longest vector whose every beginning is tried, in bytes.
const CUT_BYTES_MAX: usize = 3000;
/// Records of which a beginning may be whole as well.
const OPEN_ENDED: [&str; 3] = ["history-body", "marker", "pack-footer"];

/// What a decoder found: the bytes that encoding again gives, where that is defined, or the reason.
type Verdict = Result<Option<Vec<u8>>, String>;

/// One vector.
struct Vector {
    record: String,
    fields: BTreeMap<String, String>,
    data: Vec<u8>,
}

impl Vector {
    fn read(path: &std::path::Path) -> Self {
        let text = read(path);
        let (head, body) = text.split_once("\n\n").unwrap_or_else(|| (text.trim_end(), ""));
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        };
        let body: String = body.split_whitespace().collect();
        Self {
            record: path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned(),
            fields: head.lines().map(field).collect(),
            data: hex(&body),
        }
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_else(|| panic!("{}: no {name}", self.record))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        hex(self.field(name))
    }

    fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap()
    }

    fn key(&self, name: &str) -> Key {
        Key::new(from_hex(self.field(name)).unwrap())
    }

    fn repository(&self) -> RepositoryId {
        RepositoryId::from_hex(self.field("repository")).unwrap()
    }
}

fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "half a byte");
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Turns the result of a decoder into a verdict.
fn verdict<T>(found: Result<T, DecodeError>, encode: impl FnOnce(T) -> Option<Vec<u8>>) -> Verdict {
    found.map(encode).map_err(|error| error.reason.to_string())
}

fn decode(vector: &Vector, data: &[u8]) -> Verdict {
    match vector.record.as_str() {
        "u64" => number(vector, codec::decode::<u64>("number", data).map(i128::from), data),
        "i64" => number(vector, codec::decode::<i64>("number", data).map(i128::from), data),
        "text" => verdict(codec::decode::<Text>("text", data), |v| Some(codec::encode(&v))),
        "bytes" => verdict(codec::decode::<Bytes>("bytes", data), |v| Some(codec::encode(&v))),
        "envelope" => {
            let kind = u8::try_from(vector.number("kind")).unwrap();
            let kind = ObjectKind::from_byte(kind).unwrap();
            let limit = vector.number("limit");
            verdict(envelope::open(data, kind, Some(vector.repository()), limit), |_| None)
        }
        "marker" => {
            let is_canonical = vector.fields.contains_key("canonical");
            verdict(marker::decode(data), |id| is_canonical.then(|| marker::encode(id)))
        }
        "key-slot" => {
            verdict(KeySlot::decode(data, Some(vector.repository())), |v| Some(v.encode().0))
        }
        "key-bundle" => verdict(Bundle::decode(data), |v| Some(v.encode())),
        "label" => verdict(Label::decode(data), |v| Some(v.encode())),
        "config" => verdict(Config::decode(data), |v| Some(v.encode())),
        "pack-directory" => {
            verdict(Directory::decode(data, vector.number("frames_end")), |v| Some(v.encode()))
        }
        "pack-footer" => verdict(locate_directory(vector.number("total_bytes"), data), |_| None),
        "tree-node" => verdict(Node::decode(data), |v| Some(v.encode())),
        "attributes" => verdict(AttributeList::decode(data), |v| Some(v.encode())),
        "content-list" => verdict(ListNode::decode(data), |v| Some(v.encode())),
        "history-record" => {
            verdict(Record::decode(data, vector.repository()), |(v, _)| Some(v.encode().0))
        }
        "history-body" => {
            let found = u8::try_from(vector.number("type")).unwrap();
            let known = |v: Body| (!matches!(v.event, Event::Unknown(_))).then(|| v.encode());
            verdict(Body::decode(found, data), known)
        }
        "prune-plan" => verdict(Plan::decode(data), |v| Some(v.encode())),
        "prune-sweep" => verdict(Sweep::decode(data), |v| Some(v.encode())),
        "prune-done" => verdict(Done::decode(data), |v| Some(v.encode())),
        "writer-card" => {
            verdict(WriterCard::decode(data, vector.repository()), |v| Some(v.encode().0))
        }
        "index-head" => verdict(SegmentHead::decode(data), |v| Some(v.encode())),
        "index-body" => {
            let head = SegmentHead::decode(&vector.bytes("head")).unwrap();
            verdict(SegmentBody::decode(data, &head), |v| Some(v.encode()))
        }
        "seal" => sealed(vector, data),
        "frame" => frame(vector, data),
        "cuts" => {
            cuts(vector);
            Ok(None)
        }
        other => panic!("no decoder for vectors of {other}"),
    }
}

fn number(vector: &Vector, found: Result<i128, DecodeError>, data: &[u8]) -> Verdict {
    let value = found.map_err(|error| error.reason.to_string())?;
    if let Some(expected) = vector.fields.get("value") {
        assert_eq!(value.to_string(), *expected);
    }
    // The decoder itself refuses any other spelling.
    Ok(Some(data.to_vec()))
}

fn crypto(error: CryptoError) -> String {
    match error {
        CryptoError::NotAuthentic => "not authentic".to_owned(),
        other => other.to_string(),
    }
}

fn sealed(vector: &Vector, data: &[u8]) -> Verdict {
    let (key, domain) = (vector.key("key"), vector.field("domain"));
    let plain = seal::open(&key, domain, &vector.bytes("aad"), data).map_err(crypto)?;
    assert_eq!(plain, vector.bytes("plain"));
    Ok(None)
}

fn frame(vector: &Vector, data: &[u8]) -> Verdict {
    let id = BlobId::from_hex(vector.field("id")).unwrap();
    let kind = match vector.field("kind") {
        "0" => BlobKind::Data,
        "1" => BlobKind::Tree,
        other => panic!("no vector has kind {other} yet"),
    };
    let encoding = u8::try_from(vector.number("encoding")).unwrap();
    let plain_bytes = u32::try_from(vector.number("plain_bytes")).unwrap();
    let named = vector.fields.get("bases").map_or("", String::as_str);
    let bases: Vec<BlobId> =
        named.split_whitespace().map(|base| BlobId::from_hex(base).unwrap()).collect();
    let context = blob_context(vector.repository(), id, kind, encoding, plain_bytes, &bases);
    let mut bytes = data.to_vec();
    let encoded = blob::open_frame(&mut bytes, &vector.key("key"), id, &context).map_err(crypto)?;
    let mut plain = Vec::new();
    let decoded = if bases.is_empty() {
        Decompressor::new().unwrap().decode(encoding, encoded, plain_bytes, &mut plain)
    } else {
        delta::decode(&vector.bytes("base_plain"), encoded, plain_bytes, &mut plain)
    };
    decoded.map_err(|_| "invalid value".to_owned())?;
    if blob::blob_id(&vector.key("id_key"), kind, &plain) != id {
        return Err("invalid value".to_owned());
    }
    assert_eq!(plain, vector.bytes("plain"));
    Ok(None)
}

fn cuts(vector: &Vector) {
    let sizes: Vec<u32> =
        vector.field("sizes").split(' ').map(|size| size.parse().unwrap()).collect();
    let chunker = Chunker::FastCdc { min: sizes[0], avg: sizes[1], max: sizes[2] };
    let cutter = Cutter::new(&Gear::new(&vector.key("chunk_key")), chunker);
    let mut bytes = vec![0; usize::try_from(vector.number("bytes")).unwrap()];
    match vector.field("source") {
        "zeros" => {}
        "noise" => blake3::Hasher::new().update(&[1]).finalize_xof().fill(&mut bytes),
        other => panic!("no source {other}"),
    }
    let mut rest = &bytes[..];
    let mut found = Vec::new();
    while let Some(length) = cutter.cut(rest, true) {
        found.push(length.to_string());
        rest = &rest[length..];
    }
    assert_eq!(found.join(" "), vector.field("lengths"));
}

/// Holds a decoder against one vector; says what is wrong.
fn judge(vector: &Vector) -> Result<(), String> {
    let expected = vector.field("expect");
    let found = decode(vector, &vector.data);
    match &found {
        Err(reason) if expected.split(" | ").any(|one| one == reason) => return Ok(()),
        Err(reason) => return Err(format!("expected {expected}, refused as {reason}")),
        Ok(_) if expected != "accept" => return Err(format!("expected {expected}, was accepted")),
        Ok(Some(again)) if *again != vector.data => {
            return Err("encodes to other bytes than it was decoded from".to_owned());
        }
        Ok(_) => {}
    }
    if !OPEN_ENDED.contains(&vector.record.as_str()) {
        for end in 0..vector.data.len().min(CUT_BYTES_MAX) {
            if decode(vector, &vector.data[..end]).is_ok() {
                return Err(format!("was accepted when cut to {end} bytes"));
            }
        }
    }
    Ok(())
}

#[test]
fn every_decoder_gives_the_verdict_of_every_vector() {
    let paths = files("tests/vectors", ".txt");
    if paths.is_empty() {
        eprintln!("passed over: there are no vectors");
        return;
    }
    assert!(paths.len() > COUNT_MIN, "only {} vectors", paths.len());
    let mut wrong = Vec::new();
    for path in &paths {
        if path.parent().is_none_or(|folder| folder.ends_with("vectors")) {
            continue;
        }
        if let Err(seen) = judge(&Vector::read(path)) {
            wrong.push(format!("{}: {seen}", path.display()));
        }
    }
    let count = paths.len();
    assert!(wrong.is_empty(), "{} of {count} wrong:\n  {}", wrong.len(), wrong.join("\n  "));
}

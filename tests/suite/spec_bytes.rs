//! Holds what SPEC.md shows against the code: each table of a layout byte for byte, each limit, each
//! kind of object, and each example of its appendix.

use std::collections::BTreeMap;

use engine::chunk::cutter::{Cutter, Gear};
use engine::crypto::passphrase;
use engine::crypto::seal::{self, Key};
use engine::crypto::{blob, passphrase::Cost};
use repo_format::codec::{self, Text};
use repo_format::content::{Chunker, Content};
use repo_format::envelope::{self, Header};
use repo_format::history::Clear;
use repo_format::index::Place;
use repo_format::key_slot::{Derivation, KeySlot};
use repo_format::pack::{BlobKind, Entry, encoding};
use repo_format::tree::{Body, Node};
use repo_format::{
    BlobId, ObjectHash, ObjectKind, ObjectName, RepositoryId, SlotId, WriterId, limits,
};
use strongroom_tests::repository_tree::read;

/// Rows of the first table after a heading or text, cells trimmed, head and rule left out.
fn table(after: &str) -> Vec<Vec<String>> {
    let text = read("SPEC.md");
    let at = text.find(after).unwrap_or_else(|| panic!("SPEC.md lacks {after:?}"));
    let lines = text[at..].lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    });
    rows.skip(2).collect()
}

/// A layout table: offset, bytes and words of each field. The fields follow each other.
fn layout(after: &str, total: usize) -> Vec<(usize, usize, String)> {
    let mut at = 0;
    let mut fields = Vec::new();
    for row in table(after) {
        let (offset, bytes) = (row[0].parse().unwrap(), row[1].parse().unwrap());
        assert_eq!(at, offset, "{after}: a gap or an overlap before {row:?}");
        at = offset + bytes;
        fields.push((offset, bytes, row[2].clone()));
    }
    assert_eq!(at, total, "{after}: the table does not end where the bytes do");
    fields
}

/// Holds encoded bytes against a table: each field, named by how its words begin, has these bytes;
/// what is not named is zero.
#[track_caller]
fn holds(after: &str, encoded: &[u8], expected: &[(&str, Vec<u8>)]) {
    let mut left: BTreeMap<&str, &Vec<u8>> = expected.iter().map(|(k, v)| (*k, v)).collect();
    for (offset, bytes, words) in layout(after, encoded.len()) {
        let found = &encoded[offset..offset + bytes];
        let name = left.keys().find(|name| words.starts_with(**name)).copied();
        match name.and_then(|name| left.remove(name)) {
            Some(value) => assert_eq!(found, &value[..], "{after}: {words}"),
            None => assert!(found.iter().all(|byte| *byte == 0), "{after}: {words} is {found:?}"),
        }
    }
    assert!(left.is_empty(), "{after}: the table lacks {:?}", left.keys());
}

fn entry() -> Entry {
    Entry {
        id: BlobId([0xaa; 32]),
        offset: 0x0102_0304,
        stored_bytes: 0x0506_0708,
        plain_bytes: 0x090a_0b0c,
        kind: BlobKind::ContentList,
        encoding: 7,
        depth: 8,
        envelope: 9,
        base_count: 10,
        base_first: 0x0d0e_0f10,
    }
}

/// Bytes of a number in a table.
fn word(value: u32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

#[test]
fn header_and_key_slot_are_as_their_tables_say() {
    let mut header = Header::new(ObjectKind::IndexSegment, 0x0102_0304, RepositoryId([5; 16]));
    header.total_bytes = 0x1112_1314_1516_1718;
    header.class = 9;
    let expected = [
        ("magic", b"STRGROOM".to_vec()),
        ("kind", vec![7]),
        ("version", vec![1]),
        ("epoch", word(0x0102_0304)),
        ("repository id", vec![5; 16]),
        ("length of the whole object", header.total_bytes.to_le_bytes().to_vec()),
        ("retention class", vec![9]),
    ];
    holds("### 2.2 Envelope", &header.encode(), &expected);

    let slot = KeySlot {
        repository: RepositoryId([0; 16]),
        id: SlotId([1; 16]),
        derivation: Derivation::Argon2id { memory_kib: 65_536, passes: 3, lanes: 4 },
        salt: [2; 32],
        commitment: [3; 32],
        sealed_bundle: Vec::new(),
        sealed_label: Vec::new(),
    };
    let expected = [
        ("slot id", vec![1; 16]),
        ("type", vec![1]),
        ("Argon2id memory", word(65_536)),
        ("Argon2id passes", word(3)),
        ("Argon2id lanes", word(4)),
        ("salt", vec![2; 32]),
        ("commitment", vec![3; 32]),
    ];
    holds("Clear part, 112 bytes", &slot.clear(), &expected);
}

#[test]
fn entry_place_and_record_are_as_their_tables_say() {
    let rest = [
        ("kind", vec![2]),
        ("encoding", vec![7]),
        ("depth", vec![8]),
        ("envelope", vec![9]),
        ("number of bases", vec![10]),
        ("first base", word(0x0d0e_0f10)),
    ];
    let mut expected = vec![
        ("blob id", vec![0xaa; 32]),
        ("offset of the frame", word(0x0102_0304)),
        ("bytes of the frame", word(0x0506_0708)),
        ("plain bytes", word(0x090a_0b0c)),
    ];
    expected.extend(rest);
    holds("### 5.3 Directory", &entry().encode(), &expected);

    let place = Place { pack: 0x2122_2324, entry: entry() }.encode();
    let expected = [
        ("blob id", vec![0xaa; 32]),
        ("pack", word(0x2122_2324)),
        ("the entry from its offset 32 on", entry().encode()[32..].to_vec()),
    ];
    holds("### 9.2 Places", &place, &expected);

    let clear = Clear {
        repository: RepositoryId([0; 16]),
        epoch: 0,
        writer: WriterId([1; 16]),
        seq: 0x0102_0304_0506_0708,
        previous: ObjectHash([2; 32]),
        time_ms: -5,
        retain_until_ms: 6,
        event_type: 7,
        body_hash: [8; 32],
    };
    let expected = [
        ("writer id", vec![1; 16]),
        ("sequence", clear.seq.to_le_bytes().to_vec()),
        ("trailer of the writer's record before", vec![2; 32]),
        ("time by the writer's clock", (-5_i64).to_le_bytes().to_vec()),
        ("until when", 6_i64.to_le_bytes().to_vec()),
        ("type", vec![7]),
        ("`H(sealed body)`", vec![8; 32]),
    ];
    holds("### 8.2 Records", &clear.encode(), &expected);
}

/// A number as the tables of SPEC.md write it.
fn quantity(text: &str) -> u64 {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number: u64 = number.replace(',', "").parse().unwrap_or_else(|_| panic!("{text}"));
    match unit {
        "" => number,
        "KiB" => number << 10,
        "MiB" => number << 20,
        "GiB" => number << 30,
        _ => panic!("{text}"),
    }
}

#[test]
fn every_limit_is_the_one_of_the_code() {
    let rows = table("### 1.5 Limits");
    let limit = |what: &str| {
        let row = rows.iter().find(|row| row[0] == what);
        row.unwrap_or_else(|| panic!("no limit of {what:?}"))[1].clone()
    };
    let expected = [
        ("plain bytes of a data blob", u64::from(limits::DATA_BLOB_BYTES_MAX)),
        ("plain bytes of any blob", limits::BLOB_BYTES_MAX.into()),
        ("bytes of a pack", limits::PACK_BYTES_MAX),
        ("blobs of a pack", limits::PACK_BLOBS_MAX.into()),
        ("bytes of an index segment", limits::SEGMENT_BYTES_MAX),
        ("entries of an index segment", limits::SEGMENT_ENTRIES_MAX.into()),
        ("bytes of a config, key slot, writer card or history record", limits::RECORD_BYTES_MAX),
        ("bytes of an object name", ObjectName::BYTES_MAX as u64),
        ("depth of a delta blob", limits::DELTA_DEPTH_MAX.into()),
        ("bytes of a name in a directory", limits::NAME_BYTES_MAX as u64),
        ("bytes of a symlink target", limits::LINK_BYTES_MAX as u64),
        ("extents of one entry or one list node", limits::EXTENTS_MAX as u64),
        ("level of a node", limits::NODE_LEVEL_MAX.into()),
        ("nesting of directories", limits::PATH_DEPTH_MAX as u64),
        ("bytes of a text", limits::TEXT_BYTES_MAX as u64),
    ];
    for (what, value) in expected {
        assert_eq!(quantity(&limit(what)), value, "{what}");
    }
    let inline = "bytes of inline content; of inline attributes of an entry together";
    assert_eq!(quantity(&limit(inline)), limits::INLINE_BYTES_MAX as u64);
    let bases = format!("{}, together at most 8 MiB of plain bytes", limits::DELTA_BASES_MAX);
    assert_eq!(limit("bases of a delta blob"), bases);
    assert_eq!(limit("Argon2id memory"), "8 KiB a lane, to 2 GiB");
    assert_eq!(u64::from(passphrase::MEMORY_KIB_MAX) << 10, 2 << 30);
    assert!(Cost { memory_kib: 8 * 3, passes: 1, lanes: 3 }.check().is_ok());
    assert!(Cost { memory_kib: 8 * 3 - 1, passes: 1, lanes: 3 }.check().is_err());
    assert_eq!(limit("Argon2id passes, lanes"), "1 to 16 each");
    assert_eq!((passphrase::PASSES_MAX, passphrase::LANES_MAX), (16, 16));
    let key_file = (passphrase::KEY_FILE_BYTES_MIN, passphrase::KEY_FILE_BYTES_MAX);
    assert_eq!(limit("bytes of a key file"), "32 to 1,048,576");
    assert_eq!(key_file, (32, 1_048_576));
}

#[test]
fn every_kind_of_object_is_the_one_of_the_code() {
    let (hash, writer) = (ObjectHash([0xab; 32]), WriterId([0xcd; 16]));
    let names: BTreeMap<u8, ObjectName> = BTreeMap::from([
        (1, ObjectName::marker()),
        (2, ObjectName::config(1)),
        (3, ObjectName::key_slot(SlotId([1; 16]))),
        (4, ObjectName::writer_card(writer)),
        (5, ObjectName::data_pack(hash)),
        (6, ObjectName::metadata_pack(hash)),
        (7, ObjectName::index_segment(hash)),
        (8, ObjectName::history_record(writer, 1, hash)),
    ]);
    let mut seen = 0;
    for row in table("### 2.1 Names and kinds") {
        let number: u8 = row[0].parse().unwrap();
        let kind = ObjectKind::from_byte(number);
        assert!(kind.is_some_and(|kind| kind as u8 == number), "kind {number}");
        let Some(name) = names.get(&number) else { continue };
        let (literal, _) = row[2].trim_start_matches('`').split_once('`').unwrap();
        // The second folder of a pack is said by a placeholder.
        let folder = literal.trim_end_matches("hh/");
        assert!(name.as_str().starts_with(folder), "{name} is not under {folder}");
        seen += 1;
    }
    assert_eq!(seen, names.len());
    assert!(ObjectKind::from_byte(0).is_none() && ObjectKind::from_byte(14).is_none());
}

/// Bytes of the block that follows a text of the appendix.
fn example(before: &str) -> Vec<u8> {
    let text = read("SPEC.md");
    let appendix = &text[text.find("## Appendix A").unwrap()..];
    let at = appendix.find(before).unwrap_or_else(|| panic!("no example {before:?}"));
    hex(appendix[at..].split("```").nth(1).unwrap())
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn repository() -> RepositoryId {
    RepositoryId(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

#[test]
fn every_value_of_the_appendix_is_encoded_so() {
    let mut seen = 0;
    for row in table("## Appendix A") {
        let (value, kind) = (row[0].as_str(), row[1].trim_matches('`'));
        let number = || value.parse::<u64>().unwrap();
        let found = match kind {
            "u64" => codec::encode(&number()),
            "i64" => codec::encode(&value.parse::<i64>().unwrap()),
            "text" => codec::encode(&Text::new(value.trim_matches('"'))),
            "option<u64>" => codec::encode(&(value != "none").then(number)),
            "list<u64>" => {
                let list: Vec<u64> = value.split(", ").map(|one| one.parse().unwrap()).collect();
                codec::encode(&list)
            }
            other => panic!("an example of {other}"),
        };
        assert_eq!(found, hex(row[2].trim_matches('`')), "{value} as {kind}");
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn every_object_and_key_of_the_appendix_is_made_so() {
    let object = example("A whole object of kind 2");
    let opened = envelope::open(&object, ObjectKind::Config, Some(repository()), 100).unwrap();
    assert_eq!((opened.body, opened.header.epoch), (&b"body"[..], 0));
    let header = Header::new(ObjectKind::Config, 0, repository());
    let mut again = [&header.encode()[..], b"body"].concat();
    envelope::finish(&mut again);
    assert_eq!(again, object);
    assert_eq!(header.context(0)[..], example("`C(0)` of that object"));

    let slot = KeySlot {
        repository: repository(),
        id: SlotId([0x11; 16]),
        derivation: Derivation::Argon2id { memory_kib: 64 << 10, passes: 3, lanes: 4 },
        salt: [0xaa; 32],
        commitment: [0xbb; 32],
        sealed_bundle: Vec::new(),
        sealed_label: Vec::new(),
    };
    assert_eq!(slot.clear()[..], example("Clear part of a key slot"));

    let entry = Entry {
        id: BlobId([0xaa; 32]),
        offset: 64,
        stored_bytes: 50,
        plain_bytes: 300,
        kind: BlobKind::Data,
        encoding: encoding::ZSTD,
        depth: 0,
        envelope: 0,
        base_count: 0,
        base_first: 0,
    };
    assert_eq!(entry.encode()[..], example("Entry of a pack directory"));
    assert_eq!(Place { pack: 7, entry }.encode()[..], example("The same as a place of the index"));

    let bytes = example("Tree node, a leaf with one file");
    let node = Node::decode(&bytes).unwrap();
    assert_eq!(node.encode(), bytes);
    let Node::Leaf(entries) = node else { panic!("no leaf") };
    assert_eq!((entries.len(), &entries[0].name.0[..]), (1, &b"a"[..]));
    assert_eq!((entries[0].metadata.mode, entries[0].metadata.ctime.seconds), (0o644, -1));
    let Body::File { size: 2, content: Content::Inline(content), .. } = &entries[0].body else {
        panic!("no inline file of 2 bytes: {:?}", entries[0].body)
    };
    assert_eq!(&content.0[..], b"hi");

    let sealed = example("`SEAL(k, \"strongroom v1 config\"");
    let context = [&header.context(0)[..], &0_u32.to_le_bytes()].concat();
    let opened = seal::open(&Key::new([0xaa; 32]), "strongroom v1 config", &context, &sealed);
    assert_eq!(opened.unwrap(), b"forty-two invoices");
    assert!(sealed[..24].iter().copied().eq(0..24));

    let id = blob::blob_id(&Key::new([0xbb; 32]), BlobKind::Data, b"plain bytes of a blob");
    assert_eq!(id.0[..], example("Id of the data blob"));
}

#[test]
fn the_cuts_of_the_appendix_are_made_so() {
    let mut table = [0; 32];
    let mut hasher = blake3::Hasher::new_derive_key("strongroom v1 gear table");
    hasher.update(&[1; 32]).finalize_xof().fill(&mut table);
    assert_eq!(table[..], example("First four numbers of the gear table"));
    let text = read("SPEC.md");
    let line = text.lines().find(|line| line.starts_with("FastCDC 65,536 / 262,144")).unwrap();
    let (_, lengths) = line.split_once("chunks of ").unwrap();
    let expected: Vec<usize> = lengths
        .trim_end_matches(" bytes.")
        .split(", ")
        .map(|length| length.parse().unwrap())
        .collect();
    let chunker = Chunker::FastCdc { min: 65_536, avg: 262_144, max: 1 << 20 };
    let cutter = Cutter::new(&Gear::new(&Key::new([1; 32])), chunker);
    let mut bytes = vec![0; 3_000_001];
    blake3::Hasher::new().update(&[1]).finalize_xof().fill(&mut bytes);
    let (mut rest, mut found) = (&bytes[..], Vec::new());
    while let Some(length) = cutter.cut(rest, true) {
        found.push(length);
        rest = &rest[length..];
    }
    assert_eq!(found, expected);
}

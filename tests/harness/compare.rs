//! Two trees side by side, and what differs in words.

use std::fmt::Write as _;
use std::path::Path;

use crate::walker::{Entry, Listing, Nature, walk};

/// Most differences that are shown.
const SHOWN: usize = 40;

/// Fails the test, saying what differs, unless two trees are the same in all that can be restored.
#[track_caller]
pub fn assert_same_tree(expected: &Path, found: &Path) {
    assert_same_listing(&walk(expected), &walk(found));
}

/// Fails the test, saying what differs, unless two listings are the same.
#[track_caller]
pub fn assert_same_listing(expected: &Listing, found: &Listing) {
    let differences = differences(expected, found);
    if differences.is_empty() {
        return;
    }
    let mut text = format!("{} differences between two trees:\n", differences.len());
    for line in differences.iter().take(SHOWN) {
        let _ = writeln!(text, "  {line}");
    }
    panic!("{text}");
}

/// What differs, one line each.
pub fn differences(expected: &Listing, found: &Listing) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, entry) in expected {
        match found.get(path) {
            None => lines.push(format!("{}: is missing", shown(path))),
            Some(other) => compare(path, entry, other, &mut lines),
        }
    }
    for path in found.keys().filter(|path| !expected.contains_key(*path)) {
        lines.push(format!("{}: was not there before", shown(path)));
    }
    lines
}

fn compare(path: &[u8], expected: &Entry, found: &Entry, lines: &mut Vec<String>) {
    let mut differ = |what: &str, is_same: bool, expected: String, found: String| {
        if !is_same {
            lines.push(format!("{}: {what} is {found} instead of {expected}", shown(path)));
        }
    };
    compare_nature(&expected.nature, &found.nature, &mut differ);
    let octal = |mode: u32| format!("{mode:04o}");
    differ("mode", expected.mode == found.mode, octal(expected.mode), octal(found.mode));
    differ("owner", expected.uid == found.uid, expected.uid.to_string(), found.uid.to_string());
    differ("group", expected.gid == found.gid, expected.gid.to_string(), found.gid.to_string());
    let time = |time: (i64, i64)| format!("{}.{:09}", time.0, time.1);
    differ("mtime", expected.mtime == found.mtime, time(expected.mtime), time(found.mtime));
    let links = |links: &Option<Vec<u8>>| links.as_deref().map_or("none".to_owned(), shown);
    differ("link of", expected.links == found.links, links(&expected.links), links(&found.links));
    for (name, value) in &expected.attributes {
        let other = found.attributes.get(name);
        let (what, is_same) = (format!("attribute {}", shown(name)), other == Some(value));
        let other = other.map_or("absent".to_owned(), |value| shown(value));
        differ(&what, is_same, shown(value), other);
    }
    for (name, value) in &found.attributes {
        if !expected.attributes.contains_key(name) {
            let what = format!("attribute {}", shown(name));
            differ(&what, false, "absent".to_owned(), shown(value));
        }
    }
}

fn compare_nature(
    expected: &Nature,
    found: &Nature,
    differ: &mut impl FnMut(&str, bool, String, String),
) {
    match (expected, found) {
        (
            Nature::File { size, content, data },
            Nature::File { size: other_size, content: other_content, data: other_data },
        ) => {
            differ("size", size == other_size, size.to_string(), other_size.to_string());
            let hex = |hash: &blake3::Hash| hash.to_hex()[..12].to_owned();
            differ("content", content == other_content, hex(content), hex(other_content));
            let ranges = |ranges: &[(u64, u64)]| format!("{ranges:?}");
            differ("data", data == other_data, ranges(data), ranges(other_data));
        }
        (Nature::Symlink(target), Nature::Symlink(other)) => {
            differ("target", target == other, shown(target), shown(other));
        }
        _ => differ("type", expected == found, format!("{expected:?}"), format!("{found:?}")),
    }
}

/// Bytes in a readable form that tells all of them apart.
pub fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    match text.len() {
        0 => "\"\"".to_owned(),
        1..=120 => text,
        length => format!("{}...({length})", &text[..100]),
    }
}

//! A listing of a tree as text, one thing a line, to be kept in a file and compared years later.

use std::fmt::Write as _;

use crate::walker::{Entry, Listing, Nature};

/// Writes a listing down. Owners are left out where they cannot have been put back.
pub fn text(listing: &Listing, with_owners: bool) -> String {
    let mut text = String::new();
    for (path, entry) in listing {
        let _ = write!(text, "{} {}", shown(path), nature(entry));
        let _ = write!(text, " mode={:04o}", entry.mode);
        if with_owners {
            let _ = write!(text, " owner={}:{}", entry.uid, entry.gid);
        }
        let _ = write!(text, " time={}.{:09}", entry.mtime.0, entry.mtime.1);
        if let Some(first) = &entry.links {
            let _ = write!(text, " link-of={}", shown(first));
        }
        for (name, value) in &entry.attributes {
            let _ = write!(text, " {}={}", shown(name), hash(value));
        }
        text.push('\n');
    }
    text
}

fn nature(entry: &Entry) -> String {
    match &entry.nature {
        Nature::File { size, content, .. } => format!("file {size} {}", content.to_hex()),
        Nature::Directory => "directory".to_owned(),
        Nature::Symlink(target) => format!("link-to {}", shown(target)),
        Nature::Fifo => "fifo".to_owned(),
        Nature::Socket => "socket".to_owned(),
        Nature::CharacterDevice(number) => format!("character-device {number}"),
        Nature::BlockDevice(number) => format!("block-device {number}"),
    }
}

/// Bytes without spaces, in a form that tells all of them apart.
fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string().replace(' ', "\\x20");
    if text.is_empty() { ".".to_owned() } else { text }
}

fn hash(value: &[u8]) -> String {
    blake3::hash(value).to_hex()[..16].to_owned()
}

//! A directory as a POSIX tar: plain headers, and extended ones for what they cannot hold.
//!
//! The two empty blocks that end an archive are written only after the last entry. After a failure
//! either much of a file is missing, or text stands where a header should be: every reader ends
//! with an error at both.

use std::io::{self, Write};

use repo_format::tree::{Body, Entry, Time};
use tar::{EntryType, Header};

use super::{Item, Report, Sink, output_error};
use crate::error::Result;

const BLOCK: usize = 512;

/// Most bytes that are missing of an entry when it is filled up to spoil what follows it; a file
/// that lacks more shows by its end.
const SPOILT_BYTES_MAX: usize = 64 << 10;
/// Largest number that seven octal digits hold.
const SEVEN_DIGITS_MAX: u32 = 0o7_777_777;
/// Largest number that eleven octal digits hold.
const ELEVEN_DIGITS_MAX: u64 = 0o77_777_777_777;

/// Writes the entries of a tar.
pub(super) struct TarSink<'a> {
    out: &'a mut dyn Write,
    /// Bytes of the current file that its header announced and that did not come yet.
    left: u64,
    padding: usize,
}

/// Records of an extended header.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    /// Adds `length key=value`, where the length counts itself.
    fn push(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(length.to_string().as_bytes());
        self.0.push(b' ');
        self.0.extend_from_slice(key);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }
}

impl<'a> TarSink<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, left: 0, padding: 0 }
    }

    /// Ends the archive, or spoils it where something failed.
    pub(super) fn close(mut self, poured: Result<Report>) -> Result<Report> {
        let ended = poured.and_then(|report| {
            self.out.write_all(&[0; 2 * BLOCK]).map_err(output_error)?;
            self.out.flush().map_err(output_error)?;
            Ok(report)
        });
        if ended.is_err() {
            let _ = self.spoil();
        }
        ended
    }

    /// Makes sure that what was written so far is not taken for a whole archive.
    ///
    /// Readers pass over a last block that is not whole, and take an archive that ends behind an
    /// entry for complete.
    fn spoil(&mut self) -> io::Result<()> {
        let missing = self.left.saturating_add(self.padding as u64);
        if let Ok(missing) = usize::try_from(missing)
            && missing <= SPOILT_BYTES_MAX
        {
            self.out.write_all(&vec![0; missing])?;
            let text = b"strongroom: this archive could not be completed\n";
            self.out.write_all(text)?;
            self.out.write_all(&[b'.'; BLOCK][text.len()..])?;
        }
        self.out.flush()
    }

    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.write_all(&[0; BLOCK][..padding_of(bytes.len() as u64)])
    }

    fn extended(&mut self, records: &Records) -> io::Result<()> {
        if records.0.is_empty() {
            return Ok(());
        }
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..10].copy_from_slice(b"PaxHeaders");
        header.set_mode(0o644);
        header.set_size(records.0.len() as u64);
        header.set_entry_type(EntryType::XHeader);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.padded(&records.0)
    }
}

/// Bytes from the end of a file to the end of its last block.
fn padding_of(length: u64) -> usize {
    let over = usize::try_from(length % BLOCK as u64).unwrap_or(0);
    (BLOCK - over) % BLOCK
}

impl Sink for TarSink<'_> {
    fn begin(&mut self, item: &Item) -> Result<bool> {
        let entry = &item.visited.entry;
        let Some((entry_type, size)) = type_and_size(item) else { return Ok(false) };
        let mut header = Header::new_ustar();
        let mut records = Records::default();
        header.set_entry_type(entry_type);
        if size > ELEVEN_DIGITS_MAX {
            // The header's own field then holds it in the binary form of GNU, which most read too.
            records.push(b"size", size.to_string().as_bytes());
        }
        header.set_size(size);
        set_metadata(&mut header, &mut records, entry);
        let mut path = item.visited.path.clone();
        if entry_type == EntryType::Directory {
            path.push(b'/');
        }
        set_name(&mut header, &mut records, &path);
        let target = match (&item.link, &entry.body) {
            (Some(first), _) => Some(first.as_slice()),
            (None, Body::Symlink { target }) => Some(&target.0[..]),
            _ => None,
        };
        if let Some(target) = target {
            set_field(&mut header.as_old_mut().linkname, &mut records, b"linkpath", target);
        }
        if let Body::BlockDevice { major, minor } | Body::CharacterDevice { major, minor } =
            entry.body
        {
            let is_set = header.set_device_major(major).and(header.set_device_minor(minor));
            is_set.map_err(output_error)?;
        }
        for attribute in &item.attributes {
            let mut key = b"SCHILY.xattr.".to_vec();
            for &byte in &attribute.name.0 {
                // An equals sign would end the key; tar spells it so.
                match byte {
                    b'=' => key.extend_from_slice(b"%3D"),
                    b'%' => key.extend_from_slice(b"%25"),
                    byte => key.push(byte),
                }
            }
            records.push(&key, &attribute.value);
        }
        header.set_cksum();
        self.extended(&records).map_err(output_error)?;
        self.out.write_all(header.as_bytes()).map_err(output_error)?;
        (self.left, self.padding) = (size, padding_of(size));
        Ok(true)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Err(io::Error::other("a file is longer than its header says"));
        };
        self.left = left;
        self.out.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(io::Error::other("a file is shorter than its header says"));
        }
        self.out.write_all(&[0; BLOCK][..self.padding])?;
        self.padding = 0;
        Ok(())
    }
}

/// Type in a tar and bytes that follow; `None` for what a tar cannot hold.
fn type_and_size(item: &Item) -> Option<(EntryType, u64)> {
    let device = |entry_type, major, minor| {
        (major <= SEVEN_DIGITS_MAX && minor <= SEVEN_DIGITS_MAX).then_some((entry_type, 0))
    };
    match item.visited.entry.body {
        Body::File { .. } if item.link.is_some() => Some((EntryType::Link, 0)),
        Body::File { size, .. } => Some((EntryType::Regular, size)),
        Body::Directory { .. } => Some((EntryType::Directory, 0)),
        Body::Symlink { .. } => Some((EntryType::Symlink, 0)),
        Body::BlockDevice { major, minor } => device(EntryType::Block, major, minor),
        Body::CharacterDevice { major, minor } => device(EntryType::Char, major, minor),
        Body::Fifo => Some((EntryType::Fifo, 0)),
        Body::Socket => None,
    }
}

fn set_metadata(header: &mut Header, records: &mut Records, entry: &Entry) {
    let metadata = &entry.metadata;
    header.set_mode(metadata.mode);
    header.set_uid(u64::from(metadata.uid.min(SEVEN_DIGITS_MAX)));
    header.set_gid(u64::from(metadata.gid.min(SEVEN_DIGITS_MAX)));
    for (key, number) in [(&b"uid"[..], metadata.uid), (b"gid", metadata.gid)] {
        if number > SEVEN_DIGITS_MAX {
            records.push(key, number.to_string().as_bytes());
        }
    }
    let Time { seconds, nanos } = metadata.mtime;
    let whole = u64::try_from(seconds).unwrap_or(0).min(ELEVEN_DIGITS_MAX);
    header.set_mtime(whole);
    if nanos != 0 || i64::try_from(whole) != Ok(seconds) {
        records.push(b"mtime", decimal(metadata.mtime).as_bytes());
    }
    if let Some(ustar) = header.as_ustar_mut() {
        // One byte stays for the end of the text.
        set_field(&mut ustar.uname[..31], records, b"uname", metadata.user.as_str().as_bytes());
        set_field(&mut ustar.gname[..31], records, b"gname", metadata.group.as_str().as_bytes());
    }
}

/// Seconds with a fraction, as extended headers spell them.
fn decimal(time: Time) -> String {
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let (sign, size) = if nanos < 0 { ("-", -nanos) } else { ("", nanos) };
    let (seconds, fraction) = (size / 1_000_000_000, size % 1_000_000_000);
    if fraction == 0 {
        return format!("{sign}{seconds}");
    }
    let text = format!("{sign}{seconds}.{fraction:09}");
    text.trim_end_matches('0').to_owned()
}

/// Puts bytes into a field of the header where they fit, else as much as fits and all of them into
/// a record.
fn set_field(field: &mut [u8], records: &mut Records, key: &[u8], value: &[u8]) {
    let fitting = value.len().min(field.len());
    field[..fitting].copy_from_slice(&value[..fitting]);
    if fitting < value.len() {
        records.push(key, value);
    }
}

/// Sets the path: whole, or divided at a slash as the format allows, else in a record.
fn set_name(header: &mut Header, records: &mut Records, path: &[u8]) {
    if let Some(ustar) = header.as_ustar_mut()
        && path.len() > ustar.name.len()
    {
        // The part before the slash has 155 bytes of room, the part after it 100 and must not be
        // empty.
        let divide =
            (1..path.len() - 1).rev().find(|&at| path[at] == b'/' && at <= ustar.prefix.len());
        if let Some(at) = divide.filter(|at| path.len() - at - 1 <= ustar.name.len()) {
            ustar.prefix[..at].copy_from_slice(&path[..at]);
            let rest = &path[at + 1..];
            ustar.name[..rest.len()].copy_from_slice(rest);
            return;
        }
    }
    set_field(&mut header.as_old_mut().name, records, b"path", path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for value in [0, 1, 5, 87, 88, 89, 90, 91, 985, 986, 987, 990, 9980, 9990] {
            let mut records = Records::default();
            records.push(b"path", &vec![b'x'; value]);
            let text = String::from_utf8(records.0.clone()).unwrap();
            let length: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(length, records.0.len());
        }
    }

    #[test]
    fn times_before_1970_are_spelt_as_one_number() {
        assert_eq!(decimal(Time { seconds: -2, nanos: 500_000_000 }), "-1.5");
        assert_eq!(decimal(Time { seconds: -2, nanos: 0 }), "-2");
        assert_eq!(decimal(Time { seconds: 7, nanos: 1 }), "7.000000001");
    }
}

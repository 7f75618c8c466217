//! The frame round every object but the marker: a header that says what it is, and a trailer that
//! proves it whole without any key. SPEC 2.2.

use crate::error::{DecodeError, Reason, Result};
use crate::id::{ObjectHash, RepositoryId};
use crate::object_name::ObjectKind;

/// First bytes of every object.
pub const MAGIC: [u8; 8] = *b"STRGROOM";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = 32;

const RECORD: &str = "object header";
const LENGTH_AT: usize = 32;

/// Header of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Kind of object.
    pub kind: ObjectKind,
    /// Version of that kind.
    pub version: u8,
    /// Epoch of the keys that seal it.
    pub epoch: u32,
    /// Repository that it belongs to.
    pub repository: RepositoryId,
    /// Bytes of the whole object.
    pub total_bytes: u64,
    /// Retention class; 0 is none.
    pub class: u8,
}

impl Header {
    /// Makes a header of version 1 and class 0 whose length is filled in by [`finish`].
    pub const fn new(kind: ObjectKind, epoch: u32, repository: RepositoryId) -> Self {
        Self { kind, version: 1, epoch, repository, total_bytes: 0, class: 0 }
    }

    /// Encodes the header.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8] = self.kind as u8;
        out[9] = self.version;
        out[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        out[16..32].copy_from_slice(&self.repository.0);
        out[LENGTH_AT..40].copy_from_slice(&self.total_bytes.to_le_bytes());
        out[40] = self.class;
        out
    }

    /// Decodes the first bytes of an object.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let fail = |offset: u64, reason| Err(DecodeError::new(RECORD, offset, reason));
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            return fail(bytes.len() as u64, Reason::Truncated);
        };
        if bytes[..8] != MAGIC {
            return fail(0, Reason::BadMagic);
        }
        let Some(kind) = ObjectKind::from_byte(bytes[8]) else {
            return fail(8, Reason::Unsupported);
        };
        // Version before the rest: a newer version may use what is reserved here.
        if bytes[9] != 1 {
            return fail(9, if bytes[9] == 0 { Reason::Invalid } else { Reason::Unsupported });
        }
        if bytes[10..12] != [0; 2] {
            return fail(10, Reason::Unsupported);
        }
        if bytes[41..] != [0; 23] {
            return fail(41, Reason::ReservedNotZero);
        }
        let four = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let mut length = [0; 8];
        length.copy_from_slice(&bytes[LENGTH_AT..40]);
        let mut repository = [0; 16];
        repository.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            kind,
            version: bytes[9],
            epoch: u32::from_le_bytes(four(12)),
            repository: RepositoryId(repository),
            total_bytes: u64::from_le_bytes(length),
            class: bytes[40],
        })
    }

    /// Context of one sealed part of the object: kind, version, repository, epoch, part. SPEC 3.3.
    pub fn context(&self, part: u8) -> [u8; 23] {
        let mut out = [0; 23];
        out[0] = self.kind as u8;
        out[1] = self.version;
        out[2..18].copy_from_slice(&self.repository.0);
        out[18..22].copy_from_slice(&self.epoch.to_le_bytes());
        out[22] = part;
        out
    }
}

/// Completes an object that starts with its header: fills in the length, appends the trailer.
///
/// # Panics
/// If `object` is shorter than a header: a mistake of the caller, never of input.
pub fn finish(object: &mut Vec<u8>) -> ObjectHash {
    let total = (object.len() + TRAILER_BYTES) as u64;
    object[LENGTH_AT..LENGTH_AT + 8].copy_from_slice(&total.to_le_bytes());
    let hash = blake3::hash(object);
    object.extend_from_slice(hash.as_bytes());
    ObjectHash(*hash.as_bytes())
}

/// A whole object whose trailer has been checked.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its header.
    pub header: Header,
    /// What stands between header and trailer.
    pub body: &'a [u8],
    /// Its trailer.
    pub hash: ObjectHash,
}

/// Checks that `bytes` are one whole object of the kind and repository that are expected.
pub fn open(
    bytes: &[u8],
    kind: ObjectKind,
    repository: Option<RepositoryId>,
    bytes_max: u64,
) -> Result<Object<'_>> {
    let fail = |offset: u64, reason| Err(DecodeError::new(RECORD, offset, reason));
    let header = Header::decode(bytes)?;
    if header.kind != kind {
        return fail(8, Reason::WrongKind);
    }
    if repository.is_some_and(|id| id != header.repository) {
        return fail(16, Reason::OtherRepository);
    }
    // The class is outside every seal and signature: only what is named by its hash may carry one.
    if header.class != 0 && !kind.is_named_by_hash() {
        return fail(40, Reason::ReservedNotZero);
    }
    let total = bytes.len() as u64;
    if total > bytes_max {
        return fail(32, Reason::OverLimit);
    }
    if bytes.len() < HEADER_BYTES + TRAILER_BYTES || header.total_bytes > total {
        return fail(total, Reason::Truncated);
    }
    if header.total_bytes != total {
        return fail(32, Reason::WrongLength);
    }
    let (whole, trailer) = bytes.split_at(bytes.len() - TRAILER_BYTES);
    let hash = blake3::hash(whole);
    if hash.as_bytes() != trailer {
        return fail(whole.len() as u64, Reason::WrongHash);
    }
    Ok(Object { header, body: &whole[HEADER_BYTES..], hash: ObjectHash(*hash.as_bytes()) })
}

/// Reads fixed-width fields one after another; every read is checked.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    record: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(record: &'static str, bytes: &'a [u8]) -> Self {
        Self { record, bytes, at: 0 }
    }

    pub(crate) fn fail<T>(&self, reason: Reason) -> Result<T> {
        Err(DecodeError::new(self.record, self.at as u64, reason))
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        match self.bytes.get(self.at..).and_then(|rest| rest.get(..count)) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => self.fail(Reason::Truncated),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn zeros(&mut self, count: usize) -> Result<()> {
        if self.take(count)?.iter().all(|&byte| byte == 0) {
            Ok(())
        } else {
            self.at -= count;
            self.fail(Reason::ReservedNotZero)
        }
    }

    /// A `u32` length, then that many bytes.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8]> {
        let count = self.u32()? as usize;
        self.take(count)
    }

    pub(crate) fn end(self) -> Result<()> {
        if self.at == self.bytes.len() { Ok(()) } else { self.fail(Reason::TrailingBytes) }
    }
}

/// Appends a `u32` length, then the bytes.
///
/// # Panics
/// If the bytes are over 4 GiB, which no record here can be.
#[expect(clippy::expect_used, reason = "sealed parts are far below 4 GiB by construction")]
pub(crate) fn push_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a sealed part is below 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Vec<u8> {
        let header = Header::new(ObjectKind::Config, 3, RepositoryId([9; 16]));
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(b"body");
        finish(&mut bytes);
        bytes
    }

    fn open_it(bytes: &[u8]) -> Result<Object<'_>> {
        open(bytes, ObjectKind::Config, Some(RepositoryId([9; 16])), 1 << 20)
    }

    #[test]
    fn a_whole_object_opens() {
        let bytes = object();
        let object = open_it(&bytes).unwrap();
        assert_eq!(object.body, b"body");
        assert_eq!(object.header.epoch, 3);
    }

    #[test]
    fn every_flip_prefix_and_extension_is_found() {
        let bytes = object();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(open_it(&flipped).is_err(), "byte {at} bit {bit}");
            }
            assert!(open_it(&bytes[..at]).is_err());
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(open_it(&longer).is_err());
    }

    #[test]
    fn a_class_outside_packs_is_refused() {
        let header =
            Header { class: 3, ..Header::new(ObjectKind::HistoryRecord, 0, RepositoryId([9; 16])) };
        let mut bytes = header.encode().to_vec();
        finish(&mut bytes);
        let error = open(&bytes, ObjectKind::HistoryRecord, None, 1 << 20).unwrap_err();
        assert_eq!(error.reason, Reason::ReservedNotZero);
    }

    #[test]
    fn another_kind_or_repository_is_refused() {
        let bytes = object();
        let kind = open(&bytes, ObjectKind::KeySlot, None, 1 << 20).unwrap_err();
        assert_eq!(kind.reason, Reason::WrongKind);
        let other = open(&bytes, ObjectKind::Config, Some(RepositoryId([8; 16])), 1 << 20);
        assert_eq!(other.unwrap_err().reason, Reason::OtherRepository);
    }
}

//! Frames: a blob's plain bytes encoded and sealed, then opened again and compared.

use repo_format::BlobId;
use repo_format::pack::{BlobKind, Entry, FRAME_OVERHEAD, blob_context, encoding};

use super::BlobWriter;
use super::basis::Basis;
use crate::chunk::compression::{Compressor, Decompressor};
use crate::chunk::delta;
use crate::crypto::{blob, seal};
use crate::error::{Error, Kind, Result};
use crate::repo::deltas::Opener;

/// What one thread needs for saving: contexts and buffers that are used again.
#[derive(Debug)]
pub struct Scratch {
    compressor: Compressor,
    decompressor: Decompressor,
    encoded: Vec<u8>,
    pub(super) frame: Vec<u8>,
    check: Vec<u8>,
    plain: Vec<u8>,
    /// Opens the bases of deltas.
    pub(crate) opener: Opener,
}

impl BlobWriter<'_> {
    /// Makes what one thread needs.
    pub fn scratch(&self) -> Result<Scratch> {
        let fail = |error| Error::caused(Kind::Other, "starting zstd", error);
        Ok(Scratch {
            compressor: Compressor::new(self.settings.level).map_err(fail)?,
            decompressor: Decompressor::new().map_err(fail)?,
            encoded: Vec::new(),
            frame: Vec::new(),
            check: Vec::new(),
            plain: Vec::new(),
            opener: Opener::new()?,
        })
    }

    /// Makes the frame of a blob that stands alone, and proves that it opens to the same bytes.
    pub(super) fn encode(
        &self,
        scratch: &mut Scratch,
        id: BlobId,
        kind: BlobKind,
        plain: &[u8],
    ) -> Result<Entry> {
        let encoded_as = scratch.compressor.encode(plain, &mut scratch.encoded);
        #[cfg(any(test, feature = "testkit"))]
        crate::planted::strike(&mut scratch.encoded);
        if let Some(entry) = self.seal(scratch, id, kind, encoded_as, plain, None)? {
            return Ok(entry);
        }
        // The compressor may be at fault: store the bytes as they are.
        scratch.encoded.clear();
        scratch.encoded.extend_from_slice(plain);
        self.seal(scratch, id, kind, encoding::RAW, plain, None)?.ok_or_else(|| {
            let what = "this machine does not compute reliably: a sealed blob did not open again";
            Error::new(Kind::Other, what)
        })
    }

    /// Makes the frame of a delta; `None` where that would not pay.
    pub(super) fn encode_delta(
        &self,
        scratch: &mut Scratch,
        id: BlobId,
        kind: BlobKind,
        plain: &[u8],
        basis: &Basis,
    ) -> Result<Option<Entry>> {
        let most = basis.frame_bytes_max.saturating_sub(seal::OVERHEAD);
        let level = self.settings.level;
        if !delta::encode(level, &basis.joined, plain, most, &mut scratch.encoded) {
            return Ok(None);
        }
        self.seal(scratch, id, kind, encoding::DELTA, plain, Some(basis))
    }

    /// Seals the encoded bytes, opens the frame again and compares; `None` where it does not hold.
    fn seal(
        &self,
        scratch: &mut Scratch,
        id: BlobId,
        kind: BlobKind,
        encoded_as: u8,
        plain: &[u8],
        basis: Option<&Basis>,
    ) -> Result<Option<Entry>> {
        let plain_bytes = u32::try_from(plain.len())
            .ok()
            .filter(|&bytes| bytes <= repo_format::limits::BLOB_BYTES_MAX)
            .ok_or_else(|| Error::new(Kind::Other, "a blob is over the limit of the format"))?;
        let keys = self.repo.keys.current();
        let key = if kind.is_metadata() { &keys.metadata } else { &keys.data };
        let bases = basis.map_or(&[][..], |basis| &basis.ids);
        let context = blob_context(self.repo.id(), id, kind, encoded_as, plain_bytes, bases);
        scratch.frame.clear();
        blob::seal_frame(&mut scratch.frame, key, id, &context, &scratch.encoded)?;
        scratch.check.clear();
        scratch.check.extend_from_slice(&scratch.frame);
        let out = &mut scratch.plain;
        let decoder = &mut scratch.decompressor;
        let opened = blob::open_frame(&mut scratch.check, key, id, &context);
        let is_sound = planted!(IdUnchecked)
            || opened.is_ok_and(|encoded| match basis {
                Some(basis) => delta::decode(&basis.joined, encoded, plain_bytes, out).is_ok(),
                None => decoder.decode(encoded_as, encoded, plain_bytes, out).is_ok(),
            }) && scratch.plain == plain
                && blob::blob_id(&self.repo.keys.id_key, kind, plain) == id;
        Ok(is_sound.then(|| Entry {
            id,
            offset: 0,
            stored_bytes: u32::try_from(scratch.frame.len()).unwrap_or(u32::MAX),
            plain_bytes,
            kind,
            encoding: encoded_as,
            depth: basis.map_or(0, |basis| basis.depth),
            envelope: 0,
            base_count: u8::try_from(bases.len()).unwrap_or(u8::MAX),
            base_first: 0,
        }))
    }
}

const _: () = assert!(FRAME_OVERHEAD as usize == seal::OVERHEAD);

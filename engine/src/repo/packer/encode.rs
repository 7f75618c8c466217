//! Frames: a blob's plain bytes encoded and sealed, then opened again and compared.

use repo_format::BlobId;
use repo_format::pack::{BlobKind, Entry, FRAME_OVERHEAD, blob_context};

use super::BlobWriter;
use crate::chunk::compression::{Compressor, Decompressor};
use crate::crypto::{blob, seal};
use crate::error::{Error, Kind, Result};

/// What one thread needs for saving: contexts and buffers that are used again.
#[derive(Debug)]
pub struct Scratch {
    compressor: Compressor,
    decompressor: Decompressor,
    encoded: Vec<u8>,
    pub(super) frame: Vec<u8>,
    check: Vec<u8>,
    plain: Vec<u8>,
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
        })
    }

    /// Makes the frame of a blob, and proves that it opens to the same bytes.
    pub(super) fn encode(
        &self,
        scratch: &mut Scratch,
        id: BlobId,
        kind: BlobKind,
        plain: &[u8],
    ) -> Result<Entry> {
        let plain_bytes = u32::try_from(plain.len())
            .ok()
            .filter(|&bytes| bytes <= repo_format::limits::BLOB_BYTES_MAX)
            .ok_or_else(|| Error::new(Kind::Other, "a blob is over the limit of the format"))?;
        let keys = self.repo.keys.current();
        let key = if kind.is_metadata() { &keys.metadata } else { &keys.data };
        let mut encoding = scratch.compressor.encode(plain, &mut scratch.encoded);
        for attempt in 0.. {
            let context = blob_context(self.repo.id(), id, kind, encoding, plain_bytes, &[]);
            scratch.frame.clear();
            blob::seal_frame(&mut scratch.frame, key, id, &context, &scratch.encoded)?;
            scratch.check.clear();
            scratch.check.extend_from_slice(&scratch.frame);
            let is_sound =
                blob::open_frame(&mut scratch.check, key, id, &context).is_ok_and(|encoded| {
                    let decoder = &mut scratch.decompressor;
                    decoder.decode(encoding, encoded, plain_bytes, &mut scratch.plain).is_ok()
                }) && scratch.plain == plain
                    && blob::blob_id(&self.repo.keys.id_key, kind, plain) == id;
            if is_sound {
                break;
            }
            if attempt == 1 {
                let what =
                    "this machine does not compute reliably: a sealed blob did not open again";
                return Err(Error::new(Kind::Other, what));
            }
            // The compressor may be at fault: store the bytes as they are.
            encoding = repo_format::pack::encoding::RAW;
            scratch.encoded.clear();
            scratch.encoded.extend_from_slice(plain);
        }
        Ok(Entry {
            id,
            offset: 0,
            stored_bytes: u32::try_from(scratch.frame.len()).unwrap_or(u32::MAX),
            plain_bytes,
            kind,
            encoding,
            depth: 0,
            envelope: 0,
            base_count: 0,
            base_first: 0,
        })
    }
}

const _: () = assert!(FRAME_OVERHEAD as usize == seal::OVERHEAD);

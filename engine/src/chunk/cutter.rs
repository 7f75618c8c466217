//! Keyed FastCDC: where a stream is cut. SPEC 4.2.
//!
//! The gear table is drawn from the chunk key, so that cut points say nothing to who lacks it. The
//! cuts depend on the bytes alone, never on how they were buffered.

use fastcdc::v2020::{Normalization, cut_gear, select_masks};
use repo_format::content::Chunker;

use crate::crypto::seal::Key;

/// Gear table of a repository: 256 numbers of 64 bits, and each doubled.
#[derive(Clone)]
pub struct Gear {
    table: Box<[u64; 256]>,
    doubled: Box<[u64; 256]>,
}

impl std::fmt::Debug for Gear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gear(..)")
    }
}

impl Gear {
    /// Draws the table: the first 2048 bytes of BLAKE3 `derive_key` over the chunk key, as
    /// little-endian numbers.
    pub fn new(chunk_key: &Key) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("strongroom v1 gear table");
        hasher.update(chunk_key.as_bytes());
        let mut reader = hasher.finalize_xof();
        let mut table = Box::new([0; 256]);
        for number in table.iter_mut() {
            let mut bytes = [0; 8];
            reader.fill(&mut bytes);
            *number = u64::from_le_bytes(bytes);
        }
        let doubled = Box::new(table.map(|number| number << 1));
        Self { table, doubled }
    }
}

impl Gear {
    /// Number of a byte.
    pub(super) fn value(&self, byte: u8) -> u64 {
        self.table[usize::from(byte)]
    }
}

/// Cuts streams in one way.
#[derive(Debug, Clone)]
pub struct Cutter {
    gear: Gear,
    chunker: Chunker,
    masks: (u64, u64),
}

impl Cutter {
    /// Makes a cutter; the chunker's sizes are sound, as [`repo_format::config`] checks them.
    pub fn new(gear: &Gear, chunker: Chunker) -> Self {
        let masks = match chunker {
            Chunker::FastCdc { avg, .. } => select_masks(avg as usize, Normalization::Level2),
            _ => (0, 0),
        };
        Self { gear: gear.clone(), chunker, masks }
    }

    /// How it cuts.
    pub const fn chunker(&self) -> Chunker {
        self.chunker
    }

    /// Most bytes of one chunk; a file that stays whole is at most one data blob.
    pub const fn chunk_bytes_max(&self) -> usize {
        match self.chunker {
            Chunker::Whole => repo_format::limits::DATA_BLOB_BYTES_MAX as usize,
            Chunker::FastCdc { max, .. } => max as usize,
            Chunker::Fixed { size } => size as usize,
        }
    }

    /// Length of the first chunk of `bytes`; `None` when that depends on bytes that are still to
    /// come.
    pub fn cut(&self, bytes: &[u8], at_end: bool) -> Option<usize> {
        if bytes.is_empty() || (!at_end && bytes.len() < self.chunk_bytes_max()) {
            return None;
        }
        Some(match self.chunker {
            Chunker::Whole | Chunker::Fixed { .. } => bytes.len().min(self.chunk_bytes_max()),
            Chunker::FastCdc { min, avg, max } => {
                let (small, large) = self.masks;
                let (_, length) = cut_gear(
                    bytes,
                    min as usize,
                    avg as usize,
                    max as usize,
                    small,
                    large,
                    small << 1,
                    large << 1,
                    &*self.gear.table,
                    &*self.gear.doubled,
                );
                length.clamp(1, bytes.len())
            }
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn cutter(key: u8) -> Cutter {
        let sizes = Chunker::FastCdc { min: 4096, avg: 16_384, max: 65_536 };
        Cutter::new(&Gear::new(&Key::new([key; 32])), sizes)
    }

    pub(crate) fn noise(seed: u8, length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut out);
        out
    }

    fn cuts(cutter: &Cutter, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        while let Some(length) = cutter.cut(bytes, true) {
            chunks.push(bytes[..length].to_vec());
            bytes = &bytes[length..];
        }
        chunks
    }

    #[test]
    fn chunks_keep_to_their_bounds() {
        let chunks = cuts(&cutter(1), &noise(1, 3_000_001));
        let (last, rest) = chunks.split_last().unwrap();
        assert!(rest.iter().all(|c| (4096..=65_536).contains(&c.len())));
        assert!(last.len() <= 65_536);
        let mean = 3_000_001 / chunks.len();
        assert!((10_000..30_000).contains(&mean), "{mean}");
    }

    #[test]
    fn another_key_cuts_elsewhere() {
        let bytes = noise(1, 1_000_000);
        let (a, b) = (cuts(&cutter(1), &bytes), cuts(&cutter(2), &bytes));
        assert!(a.iter().filter(|chunk| b.contains(chunk)).count() <= 1);
    }

    #[test]
    fn an_insertion_moves_few_cuts() {
        let bytes = noise(1, 3_000_000);
        let mut edited = bytes.clone();
        edited.splice(1_000_000..1_000_000, [1, 2, 3]);
        let (a, b) = (cuts(&cutter(1), &bytes), cuts(&cutter(1), &edited));
        let new = b.iter().filter(|chunk| !a.contains(chunk)).count();
        assert!(new <= 3, "{new}");
    }

    #[test]
    fn zeros_are_cut_at_the_bounds() {
        let chunks = cuts(&cutter(1), &vec![0; 1_000_000]);
        assert!(chunks.iter().all(|chunk| chunk.len() <= 65_536));
        assert_eq!(chunks.concat().len(), 1_000_000);
    }
}

//! Encodings of a blob's plain bytes: as they are, or a zstd frame. SPEC 5.4.

use repo_format::pack::encoding;
use zstd::bulk;

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Not at all.
    Off,
    /// zstd level 1.
    Fast,
    /// zstd level 3.
    #[default]
    Default,
    /// zstd level 12.
    Max,
}

impl Level {
    /// Level of zstd; none where nothing is compressed.
    pub(crate) const fn number(self) -> Option<i32> {
        match self {
            Self::Off => None,
            Self::Fast => Some(1),
            Self::Default => Some(3),
            Self::Max => Some(12),
        }
    }
}

/// Why bytes could not be decoded to what they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The encoding is not known to this program.
    #[error("encoding {0} is not known to this program")]
    Unsupported(u8),
    /// The frame is damaged, or is not as long as it claims.
    #[error("does not decode: {0}")]
    Damaged(String),
}

/// Compresses blob after blob with one context.
pub struct Compressor(Option<bulk::Compressor<'static>>);

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}

impl Compressor {
    /// Makes a compressor.
    pub fn new(level: Level) -> std::io::Result<Self> {
        level.number().map(bulk::Compressor::new).transpose().map(Self)
    }

    /// Encodes `plain` into `out`, replacing it; raw where zstd would not be smaller.
    pub fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> u8 {
        out.clear();
        if let Some(compressor) = &mut self.0 {
            // No room for more than the plain bytes: what does not shrink fails, and stays raw.
            out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
            if matches!(compressor.compress_to_buffer(plain, out), Ok(n) if n < plain.len()) {
                return encoding::ZSTD;
            }
            out.clear();
        }
        out.extend_from_slice(plain);
        encoding::RAW
    }
}

/// Decompresses blob after blob with one context.
pub struct Decompressor(bulk::Decompressor<'static>);

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decompressor")
    }
}

impl Decompressor {
    /// Makes a decompressor.
    pub fn new() -> std::io::Result<Self> {
        let mut context = bulk::Decompressor::new()?;
        // Frames are at most one blob: a larger window is a lie about memory.
        context.window_log_max(repo_format::limits::ZSTD_WINDOW_LOG_MAX)?;
        Ok(Self(context))
    }

    /// Decodes `encoded` to exactly `plain_bytes` bytes in `out`, replacing it.
    ///
    /// No more than `plain_bytes` are ever allocated for it, whatever the frame claims.
    pub fn decode(
        &mut self,
        encoded_as: u8,
        encoded: &[u8],
        plain_bytes: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let plain_bytes = plain_bytes as usize;
        out.clear();
        match encoded_as {
            encoding::RAW => out.extend_from_slice(encoded),
            encoding::ZSTD => {
                out.reserve_exact(plain_bytes);
                // It fills what the buffer has room for and no more; the length is checked below.
                self.0
                    .decompress_to_buffer(encoded, out)
                    .map_err(|error| Error::Damaged(error.to_string()))?;
            }
            unknown => return Err(Error::Unsupported(unknown)),
        }
        if out.len() == plain_bytes {
            Ok(())
        } else {
            let found = out.len();
            out.clear();
            Err(Error::Damaged(format!("{found} bytes where {plain_bytes} were promised")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_noise_stays_raw() {
        let mut compressor = Compressor::new(Level::Default).unwrap();
        let mut decompressor = Decompressor::new().unwrap();
        let mut noise = vec![0; 70_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        let (mut encoded, mut plain) = (Vec::new(), Vec::new());
        for (bytes, expected) in
            [(vec![7_u8; 70_000], encoding::ZSTD), (noise, encoding::RAW), (vec![], encoding::RAW)]
        {
            let kind = compressor.encode(&bytes, &mut encoded);
            assert_eq!(kind, expected);
            let length = u32::try_from(bytes.len()).unwrap();
            decompressor.decode(kind, &encoded, length, &mut plain).unwrap();
            assert_eq!(plain, bytes);
        }
    }

    #[test]
    fn a_bomb_and_a_lie_about_the_length_are_refused() {
        let mut compressor = Compressor::new(Level::Default).unwrap();
        let mut decompressor = Decompressor::new().unwrap();
        let mut encoded = Vec::new();
        compressor.encode(&vec![0; 10 << 20], &mut encoded);
        let mut plain = Vec::new();
        for claimed in [0, 1, 1000, (10 << 20) - 1, (10 << 20) + 1] {
            assert!(decompressor.decode(encoding::ZSTD, &encoded, claimed, &mut plain).is_err());
            assert!(plain.capacity() <= (10 << 20) + 1);
        }
        // Again with a buffer that has room to spare.
        assert!(decompressor.decode(encoding::ZSTD, &encoded, 1000, &mut plain).is_err());
        assert!(decompressor.decode(9, &encoded, 1000, &mut plain).is_err());
    }
}

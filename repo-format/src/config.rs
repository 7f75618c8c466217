//! Configuration of a repository, one generation an object. SPEC 4.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Text};
use crate::content::Chunker;
use crate::error::{DecodeError, Reason, Result};
use crate::id::ObjectHash;
use crate::limits;

/// Version of the configuration that this crate reads and writes.
pub const VERSION: u8 = 1;

/// Features that this crate knows; a repository that needs another is unsupported.
pub const FEATURES: &[&str] = &[];

/// One generation of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Number of the generation, from 0; also its name.
    pub generation: u32,
    /// Trailer of the generation before; zero for the first.
    pub previous: ObjectHash,
    /// Time of writing, in milliseconds since 1970; information only.
    pub created_ms: i64,
    /// How files of [`Config::cut_from_bytes`] and more are cut.
    pub files: Chunker,
    /// How files made of pages are cut.
    pub pages: Chunker,
    /// Files of this length and more are cut; shorter ones stay whole.
    pub cut_from_bytes: u32,
    /// Files below this length share blobs.
    pub bundle_below_bytes: u32,
    /// Bytes that a shared blob aims at.
    pub bundle_bytes: u32,
    /// Features without which the repository cannot be read.
    pub features_read: Vec<Text>,
    /// Features without which it must not be written.
    pub features_write: Vec<Text>,
    /// Features without which nothing may be deleted.
    pub features_collect: Vec<Text>,
    /// How far create-only writes of the store held when probed: `atomic`, `racy` or `none`.
    pub create_only: Text,
}

impl Config {
    /// Encodes the plain bytes of the sealed part.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    /// Decodes the plain bytes of the sealed part.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let config: Self = codec::decode_versioned("config", VERSION, bytes)?;
        let fail = |reason| Err(DecodeError::new("config", 0, reason));
        let sizes = [config.cut_from_bytes, config.bundle_below_bytes, config.bundle_bytes];
        let sound = chunker_is_sound(config.files)
            && chunker_is_sound(config.pages)
            && sizes.iter().all(|&size| size > 0 && size <= limits::DATA_BLOB_BYTES_MAX);
        if sound { Ok(config) } else { fail(Reason::Invalid) }
    }

    /// First feature of `list` that this crate does not know.
    pub fn unknown_feature(list: &[Text]) -> Option<&Text> {
        list.iter().find(|feature| !FEATURES.contains(&feature.as_str()))
    }
}

fn chunker_is_sound(chunker: Chunker) -> bool {
    match chunker {
        Chunker::Whole => true,
        Chunker::FastCdc { min, avg, max } => {
            min >= 64
                && min <= avg
                && avg <= max
                && max <= limits::DATA_BLOB_BYTES_MAX
                && [min, avg, max].iter().all(|size| size % 2 == 0)
        }
        Chunker::Fixed { size } => size > 0 && size <= limits::DATA_BLOB_BYTES_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_reads_back_and_impossible_sizes_are_refused() {
        let mut config = Config {
            generation: 0,
            previous: ObjectHash::default(),
            created_ms: 1,
            files: Chunker::FastCdc { min: 65_536, avg: 262_144, max: 1_048_576 },
            pages: Chunker::Fixed { size: 262_144 },
            cut_from_bytes: 1 << 20,
            bundle_below_bytes: 1 << 15,
            bundle_bytes: 1 << 18,
            features_read: vec![],
            features_write: vec![],
            features_collect: vec![Text::new("x")],
            create_only: Text::new("atomic"),
        };
        assert_eq!(Config::decode(&config.encode()).unwrap(), config);
        assert_eq!(Config::unknown_feature(&config.features_collect).unwrap().as_str(), "x");
        config.files = Chunker::FastCdc { min: 65_536, avg: 262_144, max: u32::MAX - 1 };
        assert!(Config::decode(&config.encode()).is_err());
    }
}

//! What a check is asked to read.

use repo_format::{ObjectHash, SnapshotId};

use crate::error::{Error, Kind, Result};

/// Which packs are read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadData {
    /// None but those that look wrong from outside.
    #[default]
    None,
    /// All.
    All,
    /// The `part`th of `of` parts, by the packs' names: going through all parts reads everything.
    Subset {
        /// From 1.
        part: u64,
        /// At least 1.
        of: u64,
    },
    /// A random share of the bytes.
    Percent {
        /// In hundredths of a percent: 250 is 2.5 %.
        hundredths: u32,
    },
    /// A random choice of about this many bytes.
    Bytes(u64),
}

/// Settings of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Which packs are read whole.
    pub read_data: ReadData,
    /// The only snapshot whose trees are walked; every one where absent.
    pub snapshot: Option<SnapshotId>,
    /// Packs read at once; 0 for what the machine and the store take.
    pub threads: usize,
    /// Bytes of packs in memory at once; 0 for 256 MiB. One pack is always read.
    pub memory: u64,
    /// Decides what a random choice takes; the same seed takes the same packs.
    pub seed: u64,
}

impl Options {
    pub(super) const fn memory(&self) -> u64 {
        if self.memory == 0 { 256 << 20 } else { self.memory }
    }
}

impl ReadData {
    pub(super) fn validate(self) -> Result<()> {
        let fail = |message: &str| Err(Error::new(Kind::InvalidSetting, message));
        match self {
            Self::Subset { part, of } if part == 0 || part > of => {
                fail("a part n/t of the data needs n from 1 to t")
            }
            Self::Percent { hundredths } if hundredths > 10_000 => {
                fail("more than 100 % of the data cannot be read")
            }
            _ => Ok(()),
        }
    }

    /// Chooses from packs, given with their lengths; gives their numbers in order.
    pub(super) fn choose(self, seed: u64, packs: &[(ObjectHash, u64)]) -> Vec<usize> {
        let total: u64 = packs.iter().map(|(_, bytes)| bytes).sum();
        match self {
            Self::None => Vec::new(),
            Self::All => (0..packs.len()).collect(),
            Self::Subset { part, of } => (0..packs.len())
                .filter(|&number| first_eight(&packs[number].0.0) % of == part - 1)
                .collect(),
            Self::Percent { hundredths } => {
                let wanted = u128::from(total) * u128::from(hundredths) / 10_000;
                draw(seed, packs, u64::try_from(wanted).unwrap_or(total))
            }
            Self::Bytes(wanted) => draw(seed, packs, wanted),
        }
    }
}

/// Draws packs until they hold `wanted` bytes.
fn draw(seed: u64, packs: &[(ObjectHash, u64)], wanted: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..packs.len()).collect();
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    order.sort_by_cached_key(|&number| *blake3::keyed_hash(&key, &packs[number].0.0).as_bytes());
    let mut taken = 0;
    let mut chosen: Vec<usize> = order
        .into_iter()
        .take_while(|&number| {
            let goes_on = taken < wanted;
            taken += packs[number].1;
            goes_on
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

fn first_eight(bytes: &[u8; 32]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs() -> Vec<(ObjectHash, u64)> {
        (0..100_u8).map(|n| (ObjectHash(*blake3::hash(&[n]).as_bytes()), 1000)).collect()
    }

    #[test]
    fn the_parts_of_a_subset_are_everything_once() {
        let mut all = Vec::new();
        for part in 1..=7 {
            let read = ReadData::Subset { part, of: 7 };
            read.validate().unwrap();
            all.extend(read.choose(0, &packs()));
        }
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert!(ReadData::Subset { part: 0, of: 7 }.validate().is_err());
        assert!(ReadData::Subset { part: 8, of: 7 }.validate().is_err());
        assert!(ReadData::Subset { part: 0, of: 0 }.validate().is_err());
    }

    #[test]
    fn a_share_is_as_large_as_asked_and_another_seed_takes_another() {
        let packs = packs();
        let share = ReadData::Percent { hundredths: 1050 };
        assert_eq!(share.choose(1, &packs).len(), 11);
        assert_eq!(share.choose(1, &packs), share.choose(1, &packs));
        assert_ne!(share.choose(1, &packs), share.choose(2, &packs));
        assert_eq!(ReadData::Bytes(2500).choose(1, &packs).len(), 3);
        assert_eq!(ReadData::Bytes(u64::MAX).choose(1, &packs).len(), 100);
        assert_eq!(ReadData::Percent { hundredths: 0 }.choose(1, &packs).len(), 0);
        assert!(ReadData::Percent { hundredths: 10_001 }.validate().is_err());
    }
}

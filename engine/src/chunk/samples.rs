//! Samples of bytes by which pieces that are alike are recognised: values of the gear hash at
//! positions that the bytes themselves choose.
//!
//! A sample depends on the 64 bytes before it alone, so equal stretches give equal samples wherever
//! they lie. The table is the repository's own secret one.

use super::cutter::Gear;

/// Bytes a sample, as a binary logarithm: one in 2 KiB.
pub const RATE: u32 = 11;
/// Highest bits of a hash: they depend on all of the last 64 bytes.
const MASK: u64 = !(u64::MAX >> RATE);

/// Takes the samples of `bytes` into `out`, replacing it: ascending, each once.
pub fn sample(gear: &Gear, bytes: &[u8], out: &mut Vec<u32>) {
    out.clear();
    let mut hash = 0_u64;
    for &byte in bytes {
        hash = (hash << 1).wrapping_add(gear.value(byte));
        if hash & MASK == 0 {
            out.push(value_of(hash));
        }
    }
    out.sort_unstable();
    out.dedup();
}

/// Says whether a sample is among those that are kept when only one in `2^thinner` is.
pub const fn is_kept(sample: u32, thinner: u32) -> bool {
    sample.trailing_zeros() >= thinner
}

/// The bits of a hash below those that the mask looks at.
#[expect(clippy::cast_possible_truncation, reason = "the higher bits are zero in every sample")]
const fn value_of(hash: u64) -> u32 {
    (hash >> (32 - RATE)) as u32
}

#[cfg(test)]
mod tests {
    use super::super::cutter::tests::noise;
    use super::*;
    use crate::crypto::seal::Key;

    fn samples(bytes: &[u8]) -> Vec<u32> {
        let mut out = Vec::new();
        sample(&Gear::new(&Key::new([1; 32])), bytes, &mut out);
        out
    }

    #[test]
    fn equal_stretches_give_equal_samples_wherever_they_lie() {
        let bytes = noise(1, 200_000);
        let moved = [&noise(2, 777)[..], &bytes].concat();
        let (all, again) = (samples(&bytes), samples(&moved));
        assert!((60..140).contains(&all.len()), "{}", all.len());
        let shared = all.iter().filter(|sample| again.binary_search(sample).is_ok()).count();
        assert!(shared + 1 >= all.len(), "{shared} of {}", all.len());
    }

    #[test]
    fn thinning_keeps_one_in_so_many() {
        let all = samples(&noise(1, 2_000_000));
        let kept = all.iter().filter(|&&sample| is_kept(sample, 3)).count();
        assert!((60..190).contains(&kept), "{kept} of {}", all.len());
    }

    #[test]
    fn zeros_give_few_samples() {
        assert!(samples(&vec![0; 1 << 20]).len() < 100);
    }
}

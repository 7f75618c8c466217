//! Deltas: a zstd frame of a blob, made with the bytes of its bases as raw prefix. SPEC 5.4.
//!
//! The window is always said: left to the level it would be too short, and the bases would fall out
//! of it unnoticed, at fifty times the bytes.

use repo_format::limits::{DELTA_BASE_BYTES_MAX, ZSTD_WINDOW_LOG_MAX};
use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use super::compression::{Error, Level};

/// Shortest window, as its binary logarithm.
const WINDOW_LOG_MIN: u32 = 17;
/// Level of zstd: below it too few positions of a base are remembered to be found again.
const LEVEL_MIN: i32 = 3;
/// Entries of the two tables of positions, as binary logarithms: enough for one in three positions
/// of the bases, which is what zstd enters.
const TABLE_LOGS: std::ops::RangeInclusive<u32> = 17..=21;

/// Encodes `plain` against `base` into `out`, replacing it.
///
/// Gives `false`, and nothing in `out`, where the frame would have more than `bytes_max` bytes,
/// where nothing is to be compressed, and where the two are longer than any window.
pub fn encode(
    level: Level,
    base: &[u8],
    plain: &[u8],
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    let (Some(level), Some(window_log)) = (level.number(), window_log(base.len() + plain.len()))
    else {
        return false;
    };
    if base.is_empty() || base.len() > DELTA_BASE_BYTES_MAX as usize {
        return false;
    }
    // zstd may write right up to the bound before it knows how long the frame is.
    out.reserve(zstd_safe::compress_bound(plain.len()));
    // A context borrows its prefix for as long as it lives, so there is one a frame.
    let mut context = CCtx::create();
    let table_log = (window_log - 2).clamp(*TABLE_LOGS.start(), *TABLE_LOGS.end());
    let encoded = context
        .set_parameter(CParameter::CompressionLevel(level.max(LEVEL_MIN)))
        .and_then(|_| context.set_parameter(CParameter::WindowLog(window_log)))
        .and_then(|_| context.set_parameter(CParameter::HashLog(table_log)))
        .and_then(|_| context.set_parameter(CParameter::ChainLog(table_log - 1)))
        .and_then(|_| context.ref_prefix(base))
        .and_then(|_| context.compress2(out, plain));
    let fits = encoded.is_ok_and(|bytes| bytes <= bytes_max);
    if !fits {
        out.clear();
    }
    fits
}

/// Decodes `encoded` against `base` to exactly `plain_bytes` bytes in `out`, replacing it.
///
/// No more than `plain_bytes` are ever allocated for it, whatever the frame claims.
pub fn decode(
    base: &[u8],
    encoded: &[u8],
    plain_bytes: u32,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let plain_bytes = plain_bytes as usize;
    out.clear();
    out.reserve_exact(plain_bytes);
    let fail = |code| Error::Damaged(zstd_safe::get_error_name(code).to_owned());
    let mut context = DCtx::create();
    context.ref_prefix(base).map_err(fail)?;
    context.decompress(out, encoded).map_err(fail)?;
    if out.len() == plain_bytes {
        return Ok(());
    }
    let found = out.len();
    out.clear();
    Err(Error::Damaged(format!("{found} bytes where {plain_bytes} were promised")))
}

/// Window that covers so many bytes; none where the format has no such window.
fn window_log(bytes: usize) -> Option<u32> {
    let log = bytes.checked_next_power_of_two()?.ilog2().max(WINDOW_LOG_MIN);
    (log <= ZSTD_WINDOW_LOG_MAX).then_some(log)
}

#[cfg(test)]
mod tests {
    use super::super::cutter::tests::noise;
    use super::*;

    /// `base` with a few bytes changed every so often, and some put in between.
    fn edited(base: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        for (number, piece) in base.chunks(20_000).enumerate() {
            plain.extend_from_slice(piece);
            plain.extend_from_slice(&number.to_le_bytes()[..number % 4]);
            plain[number * 19_000] ^= 0x55;
        }
        plain
    }

    #[test]
    fn bytes_come_back_and_take_no_more_than_what_changed() {
        for length in [1000, 256 << 10, 8 << 20] {
            let base = noise(1, length);
            let mut plain = edited(&base);
            plain.truncate(1 << 20);
            for level in [Level::Fast, Level::Default] {
                let (mut encoded, mut found) = (Vec::new(), Vec::new());
                assert!(encode(level, &base, &plain, plain.len(), &mut encoded));
                assert!(encoded.len() < 200 + plain.len() / 100, "{length}: {}", encoded.len());
                decode(&base, &encoded, u32::try_from(plain.len()).unwrap(), &mut found).unwrap();
                assert_eq!(found, plain);
            }
        }
    }

    #[test]
    fn a_base_of_the_very_first_bytes_still_serves_the_last_ones() {
        // With the window of the level the beginning of the base would be out of reach.
        let base = noise(1, 8 << 20);
        let plain = base[..1 << 20].to_vec();
        let mut encoded = Vec::new();
        assert!(encode(Level::Fast, &base, &plain, plain.len(), &mut encoded));
        assert!(encoded.len() < 2000, "{}", encoded.len());
    }

    #[test]
    fn what_is_not_like_its_base_is_not_a_delta() {
        let (base, plain) = (noise(1, 100_000), noise(2, 100_000));
        let mut encoded = Vec::new();
        assert!(!encode(Level::Default, &base, &plain, plain.len() / 2, &mut encoded));
        assert!(encoded.is_empty());
        assert!(!encode(Level::Off, &base, &base, base.len(), &mut encoded));
        assert!(!encode(Level::Default, &[], &plain, plain.len() * 2, &mut encoded));
        let much = vec![0; (8 << 20) + 1];
        assert!(!encode(Level::Default, &much, &plain, plain.len() * 2, &mut encoded));
    }

    #[test]
    fn a_wrong_base_and_a_lie_about_the_length_do_not_pass() {
        let base = noise(1, 100_000);
        let plain = edited(&base);
        let length = u32::try_from(plain.len()).unwrap();
        let (mut encoded, mut found) = (Vec::new(), Vec::new());
        assert!(encode(Level::Default, &base, &plain, plain.len(), &mut encoded));
        let wrong = noise(2, 100_000);
        // It may decode to other bytes, which the id then refuses; never to these.
        let decoded = decode(&wrong, &encoded, length, &mut found);
        assert!(decoded.is_err() || found != plain);
        assert!(decode(&[], &encoded, length, &mut found).is_err() || found != plain);
        for claimed in [0, 1, length - 1, length + 1] {
            let mut found = Vec::new();
            assert!(decode(&base, &encoded, claimed, &mut found).is_err());
            assert!(found.capacity() <= claimed as usize);
        }
        for end in 0..encoded.len().min(300) {
            assert!(decode(&base, &encoded[..end], length, &mut found).is_err());
        }
    }
}

//! Sizes, spans and counts as people write and read them: `4MiB` in, `4.0 MiB` out.

use std::num::NonZeroU64;
use std::time::Duration;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Parses a size in bytes: a whole number, then nothing, `K`, `KiB` (1024) or `KB` (1000), and so
/// on to `E`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a whole number and a unit, such as 4MiB".to_owned())?;
    let unit = unit.trim().to_ascii_lowercase();
    let factor = factor(&unit)
        .ok_or_else(|| format!("unknown unit `{unit}`; use K, M, G or T, KiB ..., or KB ..."))?;
    number.checked_mul(factor).ok_or_else(|| "larger than 16 EiB".to_owned())
}

/// Like [`parse`], but at least one byte.
pub(crate) fn parse_positive(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(parse(text)?).ok_or_else(|| "must be more than 0".to_owned())
}

fn factor(unit: &str) -> Option<u64> {
    let mut letters = unit.chars();
    let exponent = match letters.next() {
        None => return Some(1),
        Some('b') if unit.len() == 1 => return Some(1),
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some('e') => 6,
        Some(_) => return None,
    };
    match letters.as_str() {
        "" | "ib" => 1024_u64.checked_pow(exponent),
        "b" => 1000_u64.checked_pow(exponent),
        _ => None,
    }
}

/// Writes a size with one decimal, rounded down.
pub(crate) fn format(bytes: u64) -> String {
    let mut unit = 0;
    let mut scale = 1_u64;
    while unit + 1 < UNITS.len() && bytes / scale >= 1024 {
        scale *= 1024;
        unit += 1;
    }
    if unit == 0 {
        return format!("{bytes} B");
    }
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Writes a span roughly: seconds, minutes and seconds, or hours and minutes.
pub(crate) fn format_span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Writes a number and its noun.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Length of a list, as reports count.
pub(crate) fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17b", 17),
            ("4MiB", 4 << 20),
            ("4m", 4 << 20),
            ("4 mib", 4 << 20),
            ("4MB", 4_000_000),
            ("1K", 1024),
            ("2GiB", 2 << 30),
            ("3T", 3 << 40),
            ("15EiB", 15 << 60),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_and_said() {
        for text in
            ["", "MiB", "-1", "1.5GiB", "4MiBs", "4bb", "4x", "16EiB", "99999999999999999999"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_positive("0").is_err());
    }

    #[test]
    fn sizes_are_written_with_one_decimal() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(format(bytes), text);
        }
    }

    #[test]
    fn spans_are_written_in_two_units() {
        for (seconds, text) in [(5, "5 s"), (200, "3 min 20 s"), (3720, "1 h 02 min")] {
            assert_eq!(format_span(Duration::from_secs(seconds)), text);
        }
    }
}

//! `check`: proves that everything is there and sound, and says what was read.

use std::str::FromStr;

use crate::context::{Context, Outcome};
use crate::size;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read and verify all content too
    #[arg(long, conflicts_with = "read_data_subset")]
    read_data: bool,

    /// Read and verify a part of the content: n/t, P% or a size
    #[arg(long, value_name = "PART")]
    read_data_subset: Option<Subset>,

    /// Check only what this snapshot needs (repeatable)
    #[arg(long = "snapshot", value_name = "SNAP")]
    snapshots: Vec<String>,
}

/// Part of the content to read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Subset {
    /// The n-th of t parts, so that t runs read everything.
    Part {
        /// Which, from 1.
        number: u32,
        /// Of how many.
        parts: u32,
    },
    /// A random part, in percent.
    Percent(f64),
    /// A random part, in bytes.
    Bytes(u64),
}

impl FromStr for Subset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some((number, parts)) = text.split_once('/') {
            let parsed = number.parse().ok().zip(parts.parse().ok());
            return parsed
                .filter(|(number, parts)| (1..=*parts).contains(number))
                .map(|(number, parts)| Self::Part { number, parts })
                .ok_or_else(|| "expected n/t with n from 1 to t, such as 2/7".to_owned());
        }
        if let Some(percent) = text.strip_suffix('%') {
            return percent
                .trim()
                .parse()
                .ok()
                .filter(|percent| *percent > 0.0 && *percent <= 100.0)
                .map(Self::Percent)
                .ok_or_else(|| "expected more than 0% and at most 100%".to_owned());
        }
        size::parse_positive(text).map(|bytes| Self::Bytes(bytes.get()))
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    for name in &args.snapshots {
        crate::snapshot_name::SnapshotName::parse(name).map_err(crate::failure::Failure::usage)?;
    }
    super::not_yet(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_fraction_a_percentage_or_a_size() {
        for (text, subset) in [
            ("2/7", Subset::Part { number: 2, parts: 7 }),
            ("1/1", Subset::Part { number: 1, parts: 1 }),
            ("2.5%", Subset::Percent(2.5)),
            ("100%", Subset::Percent(100.0)),
            ("10GiB", Subset::Bytes(10 << 30)),
        ] {
            assert_eq!(text.parse(), Ok(subset), "{text}");
        }
        for text in ["", "0/7", "8/7", "1/0", "a/b", "0%", "101%", "NaN%", "-1%", "0", "5x"] {
            assert!(text.parse::<Subset>().is_err(), "{text}");
        }
    }
}

//! `check`: proves that everything is there and sound, and says what was read.

use engine::Severity;
use engine::browse::Selector;
use engine::check::{self, Options, ReadData, Report};
use engine::repo::history::History;

use crate::context::{Context, Done, Outcome};
use crate::output::json::Object;
use crate::repository::pick;
use crate::{size, snapshot_name};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read and verify all content too
    #[arg(long, conflicts_with = "read_data_subset")]
    read_data: bool,

    /// Read and verify a part of the content: n/t, P% or a size
    #[arg(long, value_name = "PART", value_parser = parse_subset)]
    read_data_subset: Option<ReadData>,

    /// Check only what this snapshot needs
    #[arg(long, value_name = "SNAP")]
    snapshot: Option<String>,
}

impl Args {
    fn read_data(&self) -> ReadData {
        if self.read_data { ReadData::All } else { self.read_data_subset.unwrap_or_default() }
    }
}

/// Reads a part of the content, as `n/t`, `P%` or a size.
fn parse_subset(text: &str) -> Result<ReadData, String> {
    let text = text.trim();
    if let Some((part, of)) = text.split_once('/') {
        let parsed = part.parse().ok().zip(of.parse().ok());
        return parsed
            .filter(|(part, of)| (1..=*of).contains(part))
            .map(|(part, of)| ReadData::Subset { part, of })
            .ok_or_else(|| "expected n/t with n from 1 to t, such as 2/7".to_owned());
    }
    if let Some(percent) = text.strip_suffix('%') {
        return hundredths(percent.trim())
            .filter(|hundredths| (1..=10_000).contains(hundredths))
            .map(|hundredths| ReadData::Percent { hundredths })
            .ok_or_else(|| "expected 0.01% to 100%, with two decimals at most".to_owned());
    }
    size::parse_positive(text).map(|bytes| ReadData::Bytes(bytes.get()))
}

/// Reads a decimal number with at most two decimals, in hundredths.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 2 || !is_plain(whole) || !is_plain(decimals) {
        return None;
    }
    format!("{whole}{decimals:0<2}").parse().ok()
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let name = args.snapshot.as_deref().map(snapshot_name::parse).transpose()?;
    let repository = context.repository()?;
    let snapshot = match name {
        None => None,
        Some(name) => {
            // A check must not stop at a damaged history, so it is only examined.
            let history = History::examine(&repository, &context.ambient)?;
            Some(pick(&history, &name, &Selector::default())?.id)
        }
    };
    let options = Options {
        read_data: args.read_data(),
        snapshot,
        threads: context.settings.threads,
        memory: context.settings.memory_bytes_max,
        // Another choice each time, so that many runs read everything in the end.
        seed: context.ambient.clock.now_ms().unsigned_abs(),
    };
    let report = {
        let _shown = context.report_progress();
        check::check(&repository, &options, &context.ambient)?
    };
    for finding in &report.findings {
        context.output.finding(finding);
    }
    context.output.line(&report.sentence());
    Ok(Done::with_findings(&report.findings, summary(&report)))
}

fn summary(report: &Report) -> Object {
    Object::default()
        .field("sentence", report.sentence())
        .field("losses", report.count(Severity::Loss))
        .field("repairable", report.count(Severity::Repairable))
        .field("notices", report.count(Severity::Notice))
        .field("objects", report.objects)
        .field("packs", report.packs)
        .field("pack_bytes", report.pack_bytes)
        .field("packs_read", report.packs_read)
        .field("bytes_read", report.bytes_read)
        .field("blobs_checked", report.blobs_checked)
        .field("snapshots", report.snapshots)
        .field("trees", report.trees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_fraction_a_percentage_or_a_size() {
        for (text, subset) in [
            ("2/7", ReadData::Subset { part: 2, of: 7 }),
            ("1/1", ReadData::Subset { part: 1, of: 1 }),
            ("2.5%", ReadData::Percent { hundredths: 250 }),
            ("100%", ReadData::Percent { hundredths: 10_000 }),
            ("10GiB", ReadData::Bytes(10 << 30)),
        ] {
            assert_eq!(parse_subset(text), Ok(subset), "{text}");
        }
        for text in [
            "", "0/7", "8/7", "1/0", "a/b", "0%", "101%", "1.234%", "%", ".5%", "NaN%", "-1%", "0",
            "5x",
        ] {
            assert!(parse_subset(text).is_err(), "{text}");
        }
    }
}

//! `prune`: takes back the space of what no snapshot needs, beside running backups.

use engine::prune::{self, GRACE_MS, Options, Report};

use crate::args::DryRun;
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::json::Object;
use crate::repository::actor;
use crate::{size, time};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is deleted in the run that finds it: packs are condemned by a plan, and a \
run after the grace time deletes them, after a look at everything that came since. So run it \
regularly. Backups, restores and other prunes may run meanwhile, and a prune that was stopped is \
gone on with by the next, on any machine."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) tuning: Tuning,

    #[command(flatten)]
    dry_run: DryRun,
}

/// How much to take back, and when.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Pruning")]
pub(crate) struct Tuning {
    /// Leave so much unused within packs that are partly used, as a part of all that is used
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = parse_percent)]
    max_unused: u32,

    /// Write at most so many bytes of packs anew in one run
    #[arg(long, value_name = "SIZE", value_parser = size::parse_positive)]
    max_repack: Option<std::num::NonZeroU64>,

    /// Wait so long between condemning packs and deleting them, such as 12h or 2d; 0 deletes at
    /// once, which readers that began before may see as damage
    #[arg(long, value_name = "SPAN", default_value = "1d", value_parser = parse_grace)]
    grace: u64,
}

fn parse_percent(text: &str) -> Result<u32, String> {
    let wrong = || "no percentage from 0% to 100%".to_owned();
    let number: u32 = text.strip_suffix('%').unwrap_or(text).parse().map_err(|_| wrong())?;
    if number > 100 { Err(wrong()) } else { Ok(number * 10) }
}

fn parse_grace(text: &str) -> Result<u64, String> {
    let wrong = || "no span such as 0, 30m, 12h or 2d".to_owned();
    if text == "0" {
        return Ok(0);
    }
    let unit_ms = match text.chars().last() {
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => GRACE_MS,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit_ms).filter(|ms| *ms <= 366 * GRACE_MS).ok_or_else(wrong)
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let report = prune_with(&args.tuning, args.dry_run.dry_run, context)?;
    Ok(Done::well(show(&report, args.dry_run.dry_run, context)))
}

/// Prunes.
pub(crate) fn prune_with(
    tuning: &Tuning,
    is_dry_run: bool,
    context: &Context,
) -> Result<Report, Failure> {
    let repository = context.repository()?;
    let options = Options {
        unused_per_mille_max: tuning.max_unused,
        repack_bytes_max: tuning.max_repack.map_or(u64::MAX, Into::into),
        grace_ms: tuning.grace,
        memory_bytes: context.settings.memory_bytes_max,
        actor: actor(None),
        is_dry_run,
    };
    let _reporter = context.report_progress();
    Ok(prune::prune(&repository, &options, &context.ambient)?)
}

/// Shows what was done, or would be; gives the summary.
pub(crate) fn show(report: &Report, is_dry_run: bool, context: &Context) -> Object {
    let line = |text: String| context.output.line(&text);
    let packs = |count| size::count(count, "pack");
    let would = if is_dry_run { "would be " } else { "" };
    line(format!(
        "{} of {} hold {} that {} need",
        packs(report.packs),
        size::format(report.bytes),
        size::format(report.used_bytes),
        size::count(report.snapshots, "snapshot"),
    ));
    if report.deleted_packs > 0 {
        let (count, bytes) = (packs(report.deleted_packs), size::format(report.deleted_bytes));
        line(format!("{count} of {bytes} deleted"));
    }
    if report.reprieved_packs > 0 {
        line(format!("{} came to be needed again and stayed", packs(report.reprieved_packs)));
    }
    if report.condemned_packs > 0 {
        let (count, bytes) = (packs(report.condemned_packs), size::format(report.condemned_bytes));
        let (unused, copied) = (report.unused_packs, size::format(report.copied_bytes));
        line(format!(
            "{count} of {bytes} {would}condemned: {unused} unused, out of the others {copied} {would}copied"
        ));
    }
    if report.segments_merged > 0 {
        let segments = size::count(report.segments_merged, "index segment");
        line(format!("{segments} {would}replaced"));
    }
    if report.young_packs > 0 {
        let (count, bytes) = (packs(report.young_packs), size::format(report.young_bytes));
        line(format!("{count} of {bytes} may belong to a running backup and stay for 7 days"));
    }
    for waiting in &report.waiting {
        let (count, bytes) = (packs(waiting.packs), size::format(waiting.bytes));
        let due = time::local_ms(waiting.due_ms);
        line(format!("{count} of {bytes} are deleted by a prune after {due}"));
        context.output.object(
            &Object::new("waiting")
                .field("plan", waiting.plan.as_str())
                .field("packs", waiting.packs)
                .field("bytes", waiting.bytes)
                .time_ms("due", waiting.due_ms),
        );
    }
    if report.is_idle {
        line("nothing to do".to_owned());
    }
    Object::default()
        .field("dry_run", is_dry_run)
        .field("snapshots", report.snapshots)
        .field("packs", report.packs)
        .field("bytes", report.bytes)
        .field("used_bytes", report.used_bytes)
        .field("deleted_packs", report.deleted_packs)
        .field("deleted_bytes", report.deleted_bytes)
        .field("reprieved_packs", report.reprieved_packs)
        .field("condemned_packs", report.condemned_packs)
        .field("condemned_bytes", report.condemned_bytes)
        .field("copied_bytes", report.copied_bytes)
        .field("young_packs", report.young_packs)
        .field("segments_replaced", report.segments_merged)
        .field("waiting", report.waiting.len())
        .field("idle", report.is_idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_percentages_are_read() {
        assert_eq!(parse_grace("0"), Ok(0));
        assert_eq!(parse_grace("90m"), Ok(5_400_000));
        assert_eq!(parse_grace("2d"), Ok(2 * GRACE_MS));
        for text in ["", "1", "d", "1w", "-1d", "9999d", "1.5h"] {
            assert!(parse_grace(text).is_err(), "{text}");
        }
        assert_eq!(parse_percent("5%"), Ok(50));
        assert_eq!(parse_percent("0"), Ok(0));
        assert!(parse_percent("101%").is_err());
    }
}

//! `repair`: mends what can be mended, after showing what cannot.

use clap::Subcommand;
use engine::repair::{self, Options, Report};
use engine::{Finding, Severity};

use crate::args::{DryRun, Yes};
use crate::confirmation::confirm;
use crate::context::{Context, Done, Outcome};
use crate::output::json::Object;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to mend.
#[derive(Debug, Subcommand)]
enum What {
    /// Rebuild the index from the packs
    Index(IndexArgs),
}

/// Arguments of `repair index`.
#[derive(Debug, clap::Args)]
struct IndexArgs {
    #[command(flatten)]
    dry_run: DryRun,

    #[command(flatten)]
    yes: Yes,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    match &args.what {
        What::Index(args) => repair_index(args, context),
    }
}

fn repair_index(args: &IndexArgs, context: &Context) -> Outcome {
    let repository = context.repository()?;
    let repair = |is_dry_run| {
        let _shown = context.report_progress();
        let options = Options { is_dry_run, threads: context.settings.threads };
        repair::index(&repository, &options, &context.ambient)
    };
    let planned = repair(true)?;
    // What is lost is shown before anything is changed.
    for finding in &planned.findings {
        context.output.finding(finding);
    }
    context.output.line(&planned.sentence());
    if args.dry_run.dry_run || !planned.has_changed() {
        return Ok(end(&planned));
    }
    confirm(args.yes, "repair the index", context)?;
    let report = repair(false)?;
    context.output.line(&report.sentence());
    Ok(end(&report))
}

/// Ends the command: what was repairable is damage until it is repaired.
fn end(report: &Report) -> Done {
    let is_repaired = !report.is_dry_run;
    let left: Vec<Finding> = report
        .findings
        .iter()
        .filter(|finding| !(is_repaired && finding.severity == Severity::Repairable))
        .cloned()
        .collect();
    Done::with_findings(&left, summary(report))
}

fn summary(report: &Report) -> Object {
    let removed: Vec<String> = report.segments_removed.iter().map(|hash| hash.to_hex()).collect();
    Object::default()
        .field("dry_run", report.is_dry_run)
        .field("changed", report.has_changed())
        .field("findings", report.findings.len())
        .field("packs", report.packs)
        .field("packs_missing", report.packs_missing)
        .field("blobs_missing", report.blobs_missing)
        .field("packs_indexed", report.packs_indexed)
        .field("blobs_indexed", report.blobs_indexed)
        .field("segments_written", report.segments_written)
        .field("segments_removed", removed)
}

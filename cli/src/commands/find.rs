//! `find`: looks for names in all snapshots.

use engine::browse::find::{self, Match, Query};
use engine::browse::snapshots;
use engine::error::Kind;

use crate::args::FilterArgs;
use crate::context::{Context, Done, Outcome};
use crate::output::escape;
use crate::output::json::Object;
use crate::{entry, size, time};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Glob to match against names, or against whole paths if it holds a slash
    pattern: String,

    /// Take upper and lower case for the same
    #[arg(short, long)]
    ignore_case: bool,

    /// Show mode, owner, size and time
    #[arg(short, long)]
    long: bool,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let opened = context.opened()?;
    let chosen = snapshots::list(&opened.history, &args.filter.lower(), None);
    let query = Query {
        patterns: vec![args.pattern.clone()],
        ignores_case: args.ignore_case,
        ..Query::default()
    };
    let mut last = None;
    let mut found = |found: Match<'_>| {
        if context.output.is_closed() {
            return Err(engine::Error::new(Kind::Interrupted, "nobody reads on"));
        }
        if last.replace(found.taken.id) != Some(found.taken.id) {
            let time = time::local_ms(found.taken.snapshot.time_ms);
            let host = escape::name(found.taken.snapshot.host.as_str().as_bytes());
            let id = found.taken.id.short();
            context.output.line(&format!("in snapshot {id} of {host}, {time}:"));
        }
        show(&found, args.long, context);
        Ok(())
    };
    let report = match find::find(&opened.repository, &chosen, &query, &mut found, &context.ambient)
    {
        Err(_) if context.output.is_closed() => return Ok(Done::default()),
        report => report?,
    };
    for finding in &report.findings {
        context.output.finding(finding);
    }
    let searched = size::count(size::length(&chosen), "snapshot");
    context.output.line(&format!("{} found in {searched}", report.matches));
    let summary = Object::default()
        .field("matches", report.matches)
        .field("entries", report.entries)
        .field("snapshots", chosen.len())
        .field("findings", report.findings.len());
    Ok(Done::with_findings(&report.findings, summary))
}

fn show(found: &Match<'_>, is_long: bool, context: &Context) {
    let path = entry::path_from_root(&found.visited.path);
    let entry = &found.visited.entry;
    if context.output.is_json() {
        let id = found.taken.id.to_hex();
        let object = Object::new("match").field("snapshot_id", id);
        context.output.object(&object.and(entry::fields(&path, entry)));
    } else if is_long {
        context.output.line(&entry::long_line(&path, entry));
    } else {
        context.output.line(&escape::name(&path));
    }
}

//! `snapshots`: lists snapshots, newest last, perhaps in groups.

use std::collections::BTreeMap;

use clap::ValueEnum;
use engine::browse::snapshots;
use engine::records::Text;
use engine::repo::history::Taken;
use repo_format::SnapshotId;

use crate::args::FilterArgs;
use crate::context::{Context, Done, Outcome};
use crate::output::escape;
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::{size, time};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Only the newest N of each group, or of each host and set of sources
    #[arg(long, value_name = "N")]
    latest: Option<usize>,

    /// Group by these, parted by commas
    #[arg(long, value_enum, value_name = "WHAT,...", value_delimiter = ',')]
    group_by: Vec<GroupBy>,
}

/// What the snapshots of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// The host.
    Host,
    /// The source paths.
    Paths,
    /// The tags.
    Tags,
}

impl GroupBy {
    /// What a snapshot has of it, for people and for comparison.
    fn of(self, taken: &Taken) -> String {
        let snapshot = &taken.snapshot;
        match self {
            Self::Host => format!("host {}", escape::name(snapshot.host.as_str().as_bytes())),
            Self::Paths => format!("paths {}", joined(snapshot.sources.iter().map(|s| &s.0[..]))),
            Self::Tags if snapshot.tags.is_empty() => "no tags".to_owned(),
            Self::Tags => {
                format!("tags {}", joined(snapshot.tags.iter().map(|t| t.as_str().as_bytes())))
            }
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let repository = context.repository()?;
    let history = context.history(&repository)?;
    // Without a grouping of its own, the newest are those of each host and set of sources.
    let latest = args.latest.filter(|_| args.group_by.is_empty());
    let mut groups: BTreeMap<Vec<String>, Vec<Taken>> = BTreeMap::new();
    for taken in snapshots::list(&history, &args.filter.lower(), latest) {
        let group = args.group_by.iter().map(|by| by.of(&taken)).collect();
        groups.entry(group).or_default().push(taken);
    }
    let mut count = 0_u64;
    for (group, mut all) in groups {
        if let Some(latest) = args.latest.filter(|_| !args.group_by.is_empty()) {
            all.drain(..all.len().saturating_sub(latest));
        }
        count += size::length(&all);
        show(&group, &all, context);
    }
    context.output.line(&size::count(count, "snapshot"));
    let damage = u64::try_from(history.findings.len()).unwrap_or(u64::MAX);
    Ok(Done::well(Object::default().field("snapshots", count).field("unreadable_records", damage)))
}

fn show(group: &[String], all: &[Taken], context: &Context) {
    for taken in all {
        context.output.object(&object(taken).field("group", group));
    }
    if !group.is_empty() {
        context.output.line(&format!("{}:", group.join(", ")));
    }
    let mut table = Table::new(&[
        ("ID", Side::Left),
        ("TIME", Side::Left),
        ("HOST", Side::Left),
        ("TAGS", Side::Left),
        ("SIZE", Side::Right),
        ("STATE", Side::Left),
        ("SOURCES", Side::Left),
    ]);
    for taken in all {
        let snapshot = &taken.snapshot;
        table.row([
            taken.id.short(),
            time::local_ms(snapshot.time_ms),
            escape::name(snapshot.host.as_str().as_bytes()),
            joined(snapshot.tags.iter().map(|tag| tag.as_str().as_bytes())),
            size::format(snapshot.totals.bytes),
            state(taken),
            joined(snapshot.sources.iter().map(|source| &source.0[..])),
        ]);
    }
    for line in table.lines() {
        context.output.line(&line);
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a [u8]>) -> String {
    names.map(escape::name).collect::<Vec<_>>().join(", ")
}

fn state(taken: &Taken) -> String {
    match (taken.snapshot.is_partial, taken.snapshot.unreadable) {
        (true, _) => "partial".to_owned(),
        (false, 0) => "complete".to_owned(),
        (false, unreadable) => format!("{unreadable} unreadable"),
    }
}

/// The object of a snapshot.
pub(crate) fn object(taken: &Taken) -> Object {
    let snapshot = &taken.snapshot;
    let sources: Vec<&[u8]> = snapshot.sources.iter().map(|source| &source.0[..]).collect();
    let tags: Vec<&str> = snapshot.tags.iter().map(Text::as_str).collect();
    let retain_until = Some(taken.retain_until_ms).filter(|ms| *ms != 0).map(time::rfc3339_ms);
    Object::new("snapshot")
        .field("id", taken.id.to_hex())
        .time_ms("time", snapshot.time_ms)
        .time_ms("committed", taken.committed_ms)
        .field("host", snapshot.host.as_str())
        .field("user", snapshot.user.as_str())
        .field("program", snapshot.program.as_str())
        .names("sources", &sources)
        .field("tags", tags)
        .field("label", snapshot.label.as_str())
        .field("parent_id", snapshot.parent.map(SnapshotId::to_hex))
        .field("partial", snapshot.is_partial)
        .field("unreadable", snapshot.unreadable)
        .field("retain_until", retain_until)
        .field("files", snapshot.totals.files)
        .field("folders", snapshot.totals.directories)
        .field("bytes", snapshot.totals.bytes)
        .field("bytes_new", snapshot.statistics.bytes_new)
        .field("bytes_stored", snapshot.statistics.bytes_stored)
}

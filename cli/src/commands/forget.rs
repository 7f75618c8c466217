//! `forget`: drops snapshots by a policy or by name; the data stays until `prune`.

use std::collections::BTreeSet;

use clap::ValueEnum;
use engine::error::Kind;
use engine::forget::{
    self, Count, Decision, Group, GroupBy, Options, Plan, Policy, Reason, RelativeTo, Span,
};
use jiff::tz::TimeZone;
use repo_format::SnapshotId;

use super::prune;
use crate::args::{DryRun, FilterArgs, split_tags};
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::escape;
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::repository::{actor, pick};
use crate::{size, snapshot_name, time};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A snapshot that any rule keeps is kept. Each rule goes from the newest to the \
oldest and keeps the newest of each hour, day, week, month, quarter or year, until it has N; \
the oldest of all is kept too while a rule is not full, so that a daily one grows into a weekly \
one and that into a monthly one. Seven daily, four weekly and twelve monthly ones:\n\n  \
strongroom forget --keep-daily 7 --keep-weekly 4 --keep-monthly 12\n\n\
Held and retained snapshots always stay, and so does the last complete one of a group. What was \
forgotten can be taken back with --undo until a prune has deleted it."
)]
pub(crate) struct Args {
    /// Snapshots to forget, whatever the rules
    #[arg(value_name = "SNAP")]
    snapshots: Vec<String>,

    #[command(flatten)]
    keep: KeepArgs,

    /// Decide for each group of these by itself, parted by commas; an empty text is one group
    #[arg(long, value_name = "WHAT,...", default_value = "host,paths")]
    group_by: String,

    /// Let a group lose its last complete snapshot
    #[arg(long)]
    allow_empty_group: bool,

    /// Why, for the history
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,

    /// Take back the forgetting of the named snapshots
    #[arg(long, requires = "snapshots", conflicts_with = "KeepArgs")]
    undo: bool,

    /// Prune afterwards, as `strongroom prune` does
    #[arg(long, conflicts_with = "undo")]
    prune: bool,

    #[command(flatten)]
    dry_run: DryRun,

    #[command(flatten)]
    tuning: prune::Tuning,

    #[command(flatten)]
    filter: FilterArgs,
}

/// The rules.
#[derive(Debug, clap::Args)]
#[group(id = "KeepArgs", multiple = true)]
#[command(next_help_heading = "Rules")]
pub(crate) struct KeepArgs {
    /// Keep the N newest; N may be `unlimited`, here and below
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_last: Option<Count>,
    /// Keep the newest of each of N hours that have one
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_hourly: Option<Count>,
    /// Keep the newest of each of N days that have one
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_daily: Option<Count>,
    /// Keep the newest of each of N weeks that have one; weeks begin on Monday
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_weekly: Option<Count>,
    /// Keep the newest of each of N months that have one
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_monthly: Option<Count>,
    /// Keep the newest of each of N quarters that have one
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_quarterly: Option<Count>,
    /// Keep the newest of each of N years that have one
    #[arg(long, value_name = "N", value_parser = parse_count)]
    keep_yearly: Option<Count>,
    /// Keep all within a span, such as 1y6m2w10d12h
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    keep_within: Option<Span>,
    /// Keep one an hour within a span
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    keep_within_hourly: Option<Span>,
    /// Keep one a day within a span
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    keep_within_daily: Option<Span>,
    /// Keep one a week within a span
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    keep_within_weekly: Option<Span>,
    /// Keep one a month within a span
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    keep_within_monthly: Option<Span>,
    /// Keep one a quarter within a span
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    keep_within_quarterly: Option<Span>,
    /// Keep one a year within a span
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    keep_within_yearly: Option<Span>,
    /// Keep those with all of these tags, parted by commas (repeatable: any of the sets)
    #[arg(long, value_name = "TAG,...")]
    keep_tag: Vec<String>,
    /// What spans reach back from
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    relative_to: From,
    /// Zone whose calendar counts, such as Europe/London [default: that of this machine]
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    time_zone: Option<TimeZone>,
}

/// What spans reach back from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum From {
    /// The newest snapshot of the group.
    #[default]
    Newest,
    /// Now.
    Now,
}

fn parse_count(text: &str) -> Result<Count, String> {
    match text {
        "unlimited" => Ok(Count::All),
        number => {
            number.parse().map(Count::AtMost).map_err(|_| "no number, nor `unlimited`".into())
        }
    }
}

fn parse_span(text: &str) -> Result<Span, String> {
    Span::parse(text).ok_or_else(|| "no span such as 1y6m2w10d12h".to_owned())
}

fn parse_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "no time zone such as Europe/London or UTC".to_owned())
}

impl KeepArgs {
    fn lower(&self) -> Policy {
        let counts = [
            self.keep_last,
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_quarterly,
            self.keep_yearly,
        ];
        Policy {
            counts: counts.map(Option::unwrap_or_default),
            within: [
                self.keep_within,
                self.keep_within_hourly,
                self.keep_within_daily,
                self.keep_within_weekly,
                self.keep_within_monthly,
                self.keep_within_quarterly,
                self.keep_within_yearly,
            ],
            tags: self.keep_tag.iter().map(|set| split_tags(set)).collect(),
            relative_to: match self.relative_to {
                From::Newest => RelativeTo::Newest,
                From::Now => RelativeTo::Now,
            },
            zone: self.time_zone.clone().unwrap_or_else(TimeZone::system),
        }
    }
}

fn parse_group_by(text: &str) -> Result<GroupBy, Failure> {
    let mut by = GroupBy { host: false, paths: false, tags: false };
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "host" => by.host = true,
            "paths" => by.paths = true,
            "tags" => by.tags = true,
            _ => {
                let what =
                    format!("--group-by takes host, paths and tags, not `{}`", escape::text(word));
                return Err(Failure::usage(what));
            }
        }
    }
    Ok(by)
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let group_by = parse_group_by(&args.group_by)?;
    let policy = args.keep.lower();
    if args.keep.keep_tag.iter().any(|set| split_tags(set).is_empty()) {
        return Err(Failure::usage("--keep-tag without a tag would keep everything"));
    }
    if !args.snapshots.is_empty() && !policy.is_empty() {
        return Err(Failure::usage("give either snapshots or rules, not both"));
    }
    if args.snapshots.is_empty() && policy.is_empty() {
        return Err(Failure::usage(
            "nothing to decide by: give rules such as --keep-daily 7, or snapshots",
        ));
    }
    for name in &args.snapshots {
        snapshot_name::parse(name)?;
    }
    let repository = context.repository()?;
    let mut history = context.history(&repository)?;
    if args.undo {
        return undo(args, &repository, &mut history, context);
    }
    let selector = args.filter.lower();
    let plan = if args.snapshots.is_empty() {
        let fitting: BTreeSet<SnapshotId> = history
            .snapshots()
            .into_iter()
            .filter(|taken| selector.matches(taken))
            .map(|taken| taken.id)
            .collect();
        let options = Options { policy, group_by, may_empty_groups: args.allow_empty_group };
        forget::plan(&history, &options, &|one| fitting.contains(&one.id), &context.ambient)?
    } else {
        let mut ids = Vec::new();
        for name in &args.snapshots {
            ids.push(pick(&history, name, &selector)?.id);
        }
        forget::plan_named(&history, &ids, args.allow_empty_group, &context.ambient)
            .map_err(explained)?
    };
    show(&plan, context);
    let forgotten = plan.forgotten().len();
    if !args.dry_run.dry_run {
        let actor = actor(None);
        forget::execute(&repository, &mut history, &plan, &args.reason, &actor, &context.ambient)?;
    }
    let verb = if args.dry_run.dry_run { "would be forgotten" } else { "forgotten" };
    let kept = plan.kept();
    context.output.line(&format!(
        "{} {verb}, {kept} kept",
        size::count(size::length(&plan.forgotten()), "snapshot")
    ));
    let summary = if args.prune {
        let report = prune::prune_with(&args.tuning, args.dry_run.dry_run, context)?;
        prune::show(&report, args.dry_run.dry_run, context)
    } else {
        Object::default().field("dry_run", args.dry_run.dry_run)
    };
    Ok(Done::well(summary.field("forgotten", forgotten).field("kept", kept)))
}

fn explained(error: engine::Error) -> Failure {
    let is_refused = error.kind() == Kind::Refused;
    let failure = Failure::from(error);
    if is_refused {
        failure.hint("`strongroom hold list` shows what is held and retained; --allow-empty-group lets a group lose its last snapshot")
    } else {
        failure
    }
}

fn undo(
    args: &Args,
    repository: &engine::repo::Repository,
    history: &mut engine::repo::history::History,
    context: &Context,
) -> Outcome {
    let forgotten = forget::list_forgotten(history);
    let mut ids = Vec::new();
    for name in &args.snapshots {
        let wanted = name.to_ascii_lowercase();
        let mut fitting =
            forgotten.iter().map(|one| one.taken.id).filter(|id| id.to_hex().starts_with(&wanted));
        let (Some(id), None) = (fitting.next(), fitting.next()) else {
            let what = format!(
                "`{}` is the beginning of no forgotten snapshot's id, or of several",
                escape::text(name)
            );
            return Err(Failure::new(Kind::NotFound, what)
                .hint("`strongroom history` shows what was forgotten and when"));
        };
        ids.push(id);
    }
    if !args.dry_run.dry_run {
        let actor = actor(None);
        forget::undo(repository, history, &ids, &args.reason, &actor, &context.ambient)?;
    }
    for id in &ids {
        context.output.object(&Object::new("undone").field("id", id.to_hex()));
        context.output.line(&format!("{}: back", id.short()));
    }
    let summary =
        Object::default().field("dry_run", args.dry_run.dry_run).field("undone", ids.len());
    Ok(Done::well(summary))
}

fn show(plan: &Plan, context: &Context) {
    for (group, decisions) in &plan.groups {
        context.output.line(&format!("{}:", named(group)));
        let mut table = Table::new(&[
            ("ID", Side::Left),
            ("TIME", Side::Left),
            ("", Side::Left),
            ("WHY", Side::Left),
        ]);
        for decision in decisions {
            context.output.object(&object(decision, group));
            table.row([
                decision.candidate.id.short(),
                time::local_ms(decision.candidate.time_ms),
                if decision.is_kept() { "keep" } else { "forget" }.to_owned(),
                decision.reasons.iter().map(spelled).collect::<Vec<_>>().join("; "),
            ]);
        }
        for line in table.lines() {
            context.output.line(&line);
        }
    }
}

fn spelled(reason: &Reason) -> String {
    match reason {
        Reason::Retained(until) => format!("retained until {}", time::local_ms(*until)),
        other => escape::text(&other.to_string()),
    }
}

fn named((host, paths, tags): &Group) -> String {
    let mut parts = Vec::new();
    if let Some(host) = host {
        parts.push(format!("host {}", escape::text(host)));
    }
    if let Some(paths) = paths {
        let paths: Vec<String> = paths.iter().map(|path| escape::name(path)).collect();
        parts.push(format!("paths {}", paths.join(", ")));
    }
    if let Some(tags) = tags {
        parts.push(format!("tags {}", escape::text(&tags.join(", "))));
    }
    if parts.is_empty() { "all snapshots".to_owned() } else { parts.join(", ") }
}

fn object(decision: &Decision, group: &Group) -> Object {
    let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
    Object::new("decision")
        .field("id", decision.candidate.id.to_hex())
        .time_ms("time", decision.candidate.time_ms)
        .field("keep", decision.is_kept())
        .field("reasons", reasons)
        .field("group", named(group))
        .field("retained_until", decision.candidate.retained_until_ms.map(time::rfc3339_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::commands::Command;
    use clap::Parser;
    use engine::forget::Period;

    fn args(flags: &[&str]) -> Args {
        let line = ["strongroom", "forget"].iter().chain(flags);
        let Command::Forget(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        *args
    }

    #[test]
    fn rules_become_one_policy() {
        let args = args(&[
            "--keep-daily",
            "7",
            "--keep-yearly",
            "unlimited",
            "--keep-within",
            "1y2w",
            "--keep-tag",
            "a,b",
            "--time-zone",
            "UTC",
            "--relative-to",
            "now",
        ]);
        let policy = args.keep.lower();
        assert_eq!(policy.counts[2], Count::AtMost(7));
        assert_eq!(policy.counts[6], Count::All);
        assert_eq!(policy.within[0].unwrap().to_string(), "1y14d");
        assert_eq!(policy.tags, [["a", "b"]]);
        assert_eq!(policy.relative_to, RelativeTo::Now);
        assert!(policy.counts.iter().zip(Period::ALL).all(|(count, period)| {
            matches!(period, Period::Day | Period::Year) || *count == Count::None
        }));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for flags in [
            &["--keep-daily", "-1"][..],
            &["--keep-daily", "many"],
            &["--keep-within", "7"],
            &["--keep-within", "1d1d"],
            &["--keep-within", "0d"],
            &["--time-zone", "Mars/Olympus"],
            &["--relative-to", "then"],
            &["--undo"],
        ] {
            let line = ["strongroom", "forget"].iter().chain(flags);
            assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2, "{flags:?}");
        }
        assert!(parse_group_by("host,users").is_err());
        assert_eq!(parse_group_by("").unwrap(), GroupBy { host: false, paths: false, tags: false });
    }
}

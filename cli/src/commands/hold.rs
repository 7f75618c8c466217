//! `hold`: bans on forgetting snapshots, with a reason.

use engine::forget::{self, HoldRow};
use jiff::Timestamp;

use crate::args::FilterArgs;
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::escape;
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::repository::{actor, pick};
use crate::{size, snapshot_name, time};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Hold snapshots: none of them is forgotten until the hold is removed
    Add(AddArgs),
    /// Remove the holds on snapshots; what is retained until a time stays so
    Remove(RemoveArgs),
    /// List what is held or retained
    List,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Snapshots to hold
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<String>,

    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Retain them until the end of this date, which can never be shortened
    #[arg(long, value_name = "DATE", value_parser = time::parse_end)]
    until: Option<Timestamp>,

    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Snapshots to release
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<String>,

    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    match &args.action {
        Action::Add(args) => add(args, context),
        Action::Remove(args) => remove(args, context),
        Action::List => list(context),
    }
}

fn add(args: &AddArgs, context: &Context) -> Outcome {
    for name in &args.snapshots {
        snapshot_name::parse(name)?;
    }
    let until_ms = args.until.map_or(0, Timestamp::as_millisecond);
    if until_ms < 0 || (until_ms > 0 && until_ms <= context.ambient.clock.now_ms()) {
        return Err(Failure::usage("--until lies in the past"));
    }
    let repository = context.repository()?;
    let mut history = context.history(&repository)?;
    let selector = args.filter.lower();
    let mut ids = Vec::new();
    for name in &args.snapshots {
        ids.push(pick(&history, name, &selector)?.id);
    }
    let (actor, ambient) = (actor(None), &context.ambient);
    let record =
        forget::add_hold(&repository, &mut history, &ids, until_ms, &args.reason, &actor, ambient)?;
    let how = if until_ms == 0 {
        "held".to_owned()
    } else {
        format!("retained until {}", time::local_ms(until_ms))
    };
    context.output.line(&format!("{} {how}", size::count(size::length(&ids), "snapshot")));
    let summary = Object::default()
        .field("snapshots", ids.len())
        .field("record", record.to_hex())
        .field("until", args.until.map(|until| time::rfc3339_ms(until.as_millisecond())));
    Ok(Done::well(summary))
}

fn remove(args: &RemoveArgs, context: &Context) -> Outcome {
    for name in &args.snapshots {
        snapshot_name::parse(name)?;
    }
    let repository = context.repository()?;
    let mut history = context.history(&repository)?;
    let selector = args.filter.lower();
    let mut ids = Vec::new();
    for name in &args.snapshots {
        ids.push(pick(&history, name, &selector)?.id);
    }
    let (actor, ambient) = (actor(None), &context.ambient);
    let count =
        forget::remove_hold(&repository, &mut history, &ids, &args.reason, &actor, ambient)?;
    context.output.line(&format!(
        "{} taken off {}",
        size::count(u64::try_from(count).unwrap_or(u64::MAX), "hold"),
        size::count(size::length(&ids), "snapshot")
    ));
    Ok(Done::well(Object::default().field("snapshots", ids.len()).field("holds", count)))
}

fn list(context: &Context) -> Outcome {
    let repository = context.repository()?;
    let history = context.history(&repository)?;
    let rows = forget::list_holds(&history, &context.ambient);
    let mut table = Table::new(&[
        ("ID", Side::Left),
        ("TIME", Side::Left),
        ("HOST", Side::Left),
        ("RETAINED UNTIL", Side::Left),
        ("HELD BECAUSE", Side::Left),
    ]);
    for row in &rows {
        context.output.object(&object(row));
        table.row([
            row.taken.id.short(),
            time::local_ms(row.taken.snapshot.time_ms),
            escape::text(row.taken.snapshot.host.as_str()),
            row.retained_until_ms.map(time::local_ms).unwrap_or_default(),
            row.holds
                .iter()
                .map(|hold| {
                    let (reason, actor) = (hold.reason.as_str(), hold.actor.as_str());
                    format!("{} ({})", escape::text(reason), escape::text(actor))
                })
                .collect::<Vec<_>>()
                .join("; "),
        ]);
    }
    for line in table.lines() {
        context.output.line(&line);
    }
    context.output.line(&size::count(size::length(&rows), "snapshot"));
    Ok(Done::well(Object::default().field("snapshots", rows.len())))
}

fn object(row: &HoldRow) -> Object {
    let reasons: Vec<&str> = row.holds.iter().map(|hold| hold.reason.as_str()).collect();
    let actors: Vec<&str> = row.holds.iter().map(|hold| hold.actor.as_str()).collect();
    Object::new("hold")
        .field("id", row.taken.id.to_hex())
        .time_ms("time", row.taken.snapshot.time_ms)
        .field("host", row.taken.snapshot.host.as_str())
        .field("retained_until", row.retained_until_ms.map(time::rfc3339_ms))
        .field("reasons", reasons)
        .field("actors", actors)
}

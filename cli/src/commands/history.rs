//! `history`: shows and verifies the signed chains of records.

use engine::browse::checkpoint::Checkpoint;
use engine::browse::history::{self, Row};
use engine::finding::Finding;

use crate::context::{Context, Done, Outcome};
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::{size, time};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one line that stands for the whole history, to be kept outside
    #[arg(long, conflicts_with = "against")]
    checkpoint: bool,

    /// Prove that the history has only grown since a line was printed
    #[arg(long, value_name = "LINE")]
    against: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let against = args.against.as_deref().map(Checkpoint::parse).transpose()?;
    let repository = context.repository()?;
    if args.checkpoint {
        let line = Checkpoint::of(&repository, &context.history(&repository)?).to_string();
        context.output.line(&line);
        return Ok(Done::well(Object::default().field("checkpoint", line)));
    }
    if let Some(checkpoint) = against {
        let history = context.history(&repository)?;
        let since = checkpoint.prove(&repository, &history)?;
        context.output.line(&format!(
            "the history holds all {} of the line, and {since} more",
            size::count(checkpoint.records, "record")
        ));
        let summary = Object::default().field("records", checkpoint.records).field("since", since);
        return Ok(Done::well(summary));
    }
    let (rows, verified) = history::examine(&repository, &context.ambient)?;
    if context.output.is_json() {
        for row in &rows {
            context.output.object(&object(row));
        }
    } else {
        show(&rows, context);
    }
    let gone = |what: &String| Finding::loss(what.as_str(), "this record is gone");
    let findings: Vec<Finding> =
        verified.findings.iter().cloned().chain(verified.missing.iter().map(gone)).collect();
    for finding in &findings {
        context.output.finding(finding);
    }
    let end = if verified.holds() { "all of them hold" } else { "the history does not hold" };
    let (records, writers) = (verified.records, verified.writers);
    context.output.line(&format!("records: {records}, of writers: {writers}; {end}"));
    let summary = Object::default()
        .field("records", records)
        .field("writers", writers)
        .field("missing", verified.missing.len())
        .field("findings", findings.len())
        .field("holds", verified.holds());
    Ok(Done::with_findings(&findings, summary))
}

fn show(rows: &[Row], context: &Context) {
    let mut table = Table::new(&[
        ("TIME", Side::Left),
        ("WRITER", Side::Left),
        ("SEQ", Side::Right),
        ("RECORD", Side::Left),
        ("EVENT", Side::Left),
        ("WHO", Side::Left),
        ("WHAT", Side::Left),
    ]);
    for row in rows {
        table.row([
            time::local_ms(row.time_ms),
            row.writer.short(),
            row.seq.to_string(),
            row.hash.short(),
            row.event.clone(),
            row.actor.clone(),
            row.summary.clone(),
        ]);
    }
    for line in table.lines() {
        context.output.line(&line);
    }
}

/// The object of a record.
pub(crate) fn object(row: &Row) -> Object {
    let retain_until = Some(row.retain_until_ms).filter(|ms| *ms != 0).map(time::rfc3339_ms);
    Object::new("record")
        .field("hash", row.hash.to_hex())
        .time_ms("time", row.time_ms)
        .field("writer", row.writer.to_hex())
        .field("seq", row.seq)
        .field("event", row.event.as_str())
        .field("actor", row.actor.as_str())
        .field("what", row.summary.as_str())
        .field("object", row.object.as_str())
        .field("retain_until", retain_until)
}

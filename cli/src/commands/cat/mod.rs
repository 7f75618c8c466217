//! `cat`: shows one object of the repository, opened and checked.

mod objects;

use std::io::Write as _;

use clap::ValueEnum;
use engine::browse::cat::{self, Object as Found, Target};
use engine::browse::{Selector, history};

use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::json::Object;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What it is
    #[arg(value_enum)]
    kind: Kind,

    /// Id or its beginning; a snapshot may also be `latest` or a time
    id: Option<String>,
}

/// Kinds of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The configuration in force.
    Config,
    /// A snapshot.
    Snapshot,
    /// A record of the history.
    Record,
    /// A node of a folder.
    Tree,
    /// Any blob.
    Blob,
    /// The directory of a pack.
    Pack,
    /// An index segment.
    Index,
    /// The public part of a key slot.
    Key,
}

impl Kind {
    /// Name that the engine knows it by.
    const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Snapshot => "snapshot",
            Self::Record => "record",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Pack => "pack",
            Self::Index => "index",
            Self::Key => "key",
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let id = match (args.kind, &args.id) {
        (Kind::Config, None) => "",
        (_, Some(id)) => id,
        (_, None) => return Err(Failure::usage("cat: give the id, or its beginning")),
    };
    let opened = context.opened()?;
    let target = if args.kind == Kind::Snapshot {
        Target::Snapshot(opened.pick(id, &Selector::default())?.id)
    } else {
        Target::find(&opened.repository, &opened.history, args.kind.name(), id)?
    };
    let found = cat::read(&opened.repository, &opened.history, &target)?;
    if let Found::Bytes(bytes) = found {
        // A reader that went away is noticed at the end.
        let _ = context.output.data().write_all(&bytes);
        return Ok(Done::well(Object::default().field("bytes", bytes.len())));
    }
    let object = objects::object(&found, &history::rows(&opened.history));
    context.output.object(&object);
    if !context.output.is_json() {
        let text = serde_json::to_string_pretty(&object)
            .map_err(|error| Failure::new(engine::error::Kind::Other, error.to_string()))?;
        for line in text.lines() {
            context.output.line(line);
        }
    }
    Ok(Done::default())
}

//! `mount`: shows snapshots as folders until it is asked to end.

mod background;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::browse::Caches;
use engine::browse::catalog::Catalog;
use engine::store::Store;
use engine::store::layers::Deadline;

use crate::args::FilterArgs;
use crate::context::{Context, Done, Outcome};
use crate::output::escape;
use crate::output::json::Object;
use crate::{size, snapshot_name};

/// Longest time that a read waits for a store over a network; programs get an error then.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long such a store is left alone after it has not answered.
const PAUSE: Duration = Duration::from_secs(5);
/// Share of the memory that caches may take: the rest is for calls under way and the file table.
const CACHE_SHARE: u64 = 3;
const SHARES: u64 = 8;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder to mount on
    #[arg(value_name = "DIR")]
    target: PathBuf,

    /// Show this snapshot alone, its own folders at the top: an id or its beginning, `latest`, or a
    /// time
    #[arg(long, value_name = "SNAP")]
    snapshot: Option<String>,

    /// Let other users look too, as far as owners and modes allow them
    #[arg(long)]
    allow_other: bool,

    /// Show everything as owned by the user who mounts
    #[arg(long)]
    squash_owner: bool,

    /// Stay in the foreground; Ctrl-C ends it
    #[arg(short, long)]
    foreground: bool,

    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    if let Some(name) = &args.snapshot {
        snapshot_name::parse(name)?;
    }
    context.settings.repository()?;
    let is_child = background::is_child(&context.environment);
    if !args.foreground && !is_child {
        return background::start(&args.target, context);
    }
    if is_child {
        background::leave_terminal();
    }
    let store = context.store()?;
    let store: Arc<dyn Store> = if store.traits().is_remote {
        Arc::new(Deadline::new(store, PATIENCE, PAUSE))
    } else {
        store
    };
    let repository = context.repository_in(store)?;
    let history = context.history(&repository)?;
    let selector = args.filter.lower();
    let only = match &args.snapshot {
        Some(name) => Some(crate::repository::pick(&history, name, &selector)?.id),
        None => None,
    };
    let indexed = repository.load_index_of(&history, &context.ambient)?;
    let cache_bytes = context.settings.memory_bytes_max / SHARES * CACHE_SHARE;
    let caches = Arc::new(Caches::new(usize::try_from(cache_bytes).unwrap_or(usize::MAX)));
    let catalog = Catalog::new(&indexed, &history, selector, only, caches, &context.ambient)?;
    drop((history, indexed, repository));
    let snapshots = catalog.known().list.len();
    let mounted = mount::mount(&catalog, &options(args, context))?;
    let shown = escape::name(args.target.as_os_str().as_encoded_bytes());
    if is_child {
        background::say_ready(context);
    } else {
        context.output.line(&format!(
            "{} mounted on {shown}; Ctrl-C or `umount {shown}` ends it",
            size::count(size::length(&catalog.known().list), "snapshot")
        ));
        context.output.object(&ready(args, snapshots));
        context.output.flush();
    }
    mounted.wait(&context.ambient.cancel)?;
    Ok(Done::well(Object::default().field("snapshots", snapshots)))
}

fn ready(args: &Args, snapshots: usize) -> Object {
    let path = args.target.as_os_str().as_encoded_bytes();
    Object::new("mounted").name("path", path).field("snapshots", snapshots)
}

fn options(args: &Args, context: &Context) -> mount::Options {
    let own = || (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    mount::Options {
        is_for_others: args.allow_other,
        owner: args.squash_owner.then(own),
        is_one_snapshot: args.snapshot.is_some(),
        threads: context.settings.threads,
        ..mount::Options::new(&args.target)
    }
}

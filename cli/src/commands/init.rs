//! `init`: creates a repository; refuses if one is there.

use std::sync::Arc;

use engine::error::Kind;
use engine::repo::create::{self, Settings};
use engine::store::{CreateOnly, Location, Store, probe};
use repo_format::ObjectName;

use crate::args::DryRun;
use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::json::Object;
use crate::password::Terminal;
use crate::repository::actor;

const ADVICE: [&str; 3] = [
    "without the password (or key file) nobody can read this repository, and nobody can reset it:",
    "keep it, and a copy of the folder keys/, where they outlive this machine",
    "`strongroom key add` adds a second way in",
];

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    dry_run: DryRun,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let location = context.location()?;
    let place = location.to_string();
    refuse_existing(&location, context)?;
    if args.dry_run.dry_run {
        context.output.line(&format!("would create a repository in {place}"));
        return Ok(Done::well(Object::default().field("dry_run", true).field("place", place)));
    }
    let secret = context.settings.secret.read_new(&Terminal)?;
    let store = location.create(&context.store_options()).map_err(engine::Error::from)?;
    let create_only = probe::create_only(&*store).map_err(engine::Error::from)?;
    let settings = Settings {
        cache: context.settings.cache.as_deref(),
        actor: actor(None),
        create_only,
        ..Settings::default()
    };
    let repository = create::create(Arc::clone(&store), &secret, &settings, &context.ambient)?;
    let id = repository.id().to_hex();
    context.output.line(&format!("created repository {id} in {place}"));
    for line in ADVICE {
        context.output.line(line);
    }
    let summary = Object::default()
        .field("dry_run", false)
        .field("place", place)
        .field("repository_id", id)
        .field("create_only", name_of(create_only));
    Ok(Done::well(summary))
}

/// Says early, before a password is asked, that a repository is there.
fn refuse_existing(location: &Location, context: &Context) -> Result<(), Failure> {
    let opened: Result<Arc<dyn Store>, _> = location.open(&context.store_options());
    let found = opened.and_then(|store| store.get(&ObjectName::marker()));
    match found {
        Ok(_) => {
            let message = format!("there is a repository in {location} already");
            Err(Failure::new(Kind::RepositoryExists, message))
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(engine::Error::from(error).into()),
    }
}

const fn name_of(create_only: CreateOnly) -> &'static str {
    match create_only {
        CreateOnly::Atomic => "atomic",
        CreateOnly::Racy => "racy",
        CreateOnly::None => "none",
    }
}

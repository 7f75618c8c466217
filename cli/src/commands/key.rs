//! `key`: lists, adds, removes and changes what opens the repository. The master key never changes.

use std::path::PathBuf;

use clap::Subcommand;
use engine::crypto::passphrase::Cost;
use engine::keys::{self, Slot};
use engine::records::Derivation;

use crate::args::{DryRun, Yes};
use crate::confirmation::confirm;
use crate::context::{Context, Done, Outcome};
use crate::output::escape;
use crate::output::json::Object;
use crate::output::table::{Side, Table};
use crate::password::{Named, Source, Terminal};
use crate::repository::actor;
use crate::time;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the key slots
    List,
    /// Add a password or key file
    Add(AddArgs),
    /// Remove a key slot; never the last one
    Remove(RemoveArgs),
    /// Replace the password or key file that was given
    Passwd(NewArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    #[command(flatten)]
    new: NewArgs,

    /// Name to know the key slot by
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

/// The new secret.
#[derive(Debug, clap::Args)]
struct NewArgs {
    /// Read the new password from a file
    #[arg(long, value_name = "FILE", group = "new_secret")]
    new_password_file: Option<PathBuf>,

    /// Run a command that prints the new password; split into words, no shell
    #[arg(long, value_name = "COMMAND", group = "new_secret")]
    new_password_command: Option<String>,

    /// Take a key file instead of a password
    #[arg(long, value_name = "FILE", group = "new_secret")]
    new_key_file: Option<PathBuf>,

    #[command(flatten)]
    dry_run: DryRun,
}

impl NewArgs {
    /// Where the new secret comes from; a terminal if nothing is named.
    fn source(&self) -> Source {
        let named = Named {
            key_file: self.new_key_file.clone(),
            file: self.new_password_file.clone(),
            command: self.new_password_command.clone(),
        };
        Source::named(named).unwrap_or(Source::Terminal)
    }
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Id of the key slot, or its beginning
    id: String,

    #[command(flatten)]
    dry_run: DryRun,

    #[command(flatten)]
    yes: Yes,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    match &args.what {
        What::List => list(context),
        What::Add(args) => add(args, context),
        What::Remove(args) => remove(args, context),
        What::Passwd(args) => passwd(args, context),
    }
}

fn list(context: &Context) -> Outcome {
    let slots = keys::list(&context.repository()?)?;
    let mut table = Table::new(&[
        ("ID", Side::Left),
        ("IN USE", Side::Left),
        ("OPENED BY", Side::Left),
        ("LABEL", Side::Left),
        ("MADE BY", Side::Left),
        ("MADE", Side::Left),
    ]);
    let mut unreadable = 0_usize;
    for slot in &slots {
        context.output.object(&object(slot));
        table.row(row(slot));
        if let Err(error) = &slot.info {
            unreadable += 1;
            context.output.warning(slot.id.to_hex().as_bytes(), &error.to_string());
        }
    }
    for line in table.lines() {
        context.output.line(&line);
    }
    Ok(Done::well(Object::default().field("slots", slots.len()).field("unreadable", unreadable)))
}

fn row(slot: &Slot) -> [String; 6] {
    let in_use = if slot.is_in_use { "yes" } else { "" }.to_owned();
    let Ok(info) = &slot.info else {
        let none = String::new;
        return [slot.id.short(), in_use, "cannot be read".to_owned(), none(), none(), none()];
    };
    let opened_by = opened_by(info.derivation).to_owned();
    let [name, who, made] = match &info.label {
        None => Default::default(),
        Some(label) => [
            escape::name(label.name.as_str().as_bytes()),
            escape::name(format!("{}@{}", label.user, label.host).as_bytes()),
            time::local_ms(label.created_ms),
        ],
    };
    [slot.id.short(), in_use, opened_by, name, who, made]
}

const fn opened_by(derivation: Derivation) -> &'static str {
    match derivation {
        Derivation::Argon2id { .. } => "password",
        Derivation::KeyFile => "key file",
    }
}

/// The object of a slot.
fn object(slot: &Slot) -> Object {
    let object = Object::new("key").field("id", slot.id.to_hex()).field("in_use", slot.is_in_use);
    match &slot.info {
        Ok(info) => object.and(info_fields(info)),
        Err(error) => object.field("unreadable", error.to_string()),
    }
}

/// Fields of what is known of a slot.
pub(crate) fn info_fields(info: &engine::repo::key_slots::SlotInfo) -> Object {
    let mut object = Object::default().field("opened_by", opened_by(info.derivation));
    if let Derivation::Argon2id { memory_kib, passes, lanes } = info.derivation {
        object = object
            .field("argon2id_memory_kib", memory_kib)
            .field("argon2id_passes", passes)
            .field("argon2id_lanes", lanes);
    }
    if let Some(label) = &info.label {
        object = object
            .field("label", label.name.as_str())
            .field("host", label.host.as_str())
            .field("user", label.user.as_str())
            .time_ms("created", label.created_ms);
    }
    object
}

fn add(args: &AddArgs, context: &Context) -> Outcome {
    let repository = context.repository()?;
    if args.new.dry_run.dry_run {
        return Ok(would("would add a key slot", context));
    }
    let secret = args.new.source().read_new(&Terminal)?;
    let label = args.label.as_deref().unwrap_or_default();
    let cost = Cost::default();
    let id = keys::add(&repository, &secret, label, cost, &actor(None), &context.ambient)?;
    context.output.line(&format!("added key slot {}", id.short()));
    Ok(Done::well(Object::default().field("dry_run", false).field("slot_id", id.to_hex())))
}

fn passwd(args: &NewArgs, context: &Context) -> Outcome {
    let repository = context.repository()?;
    let old = repository.slot();
    if args.dry_run.dry_run {
        return Ok(would(&format!("would replace key slot {}", old.short()), context));
    }
    let secret = args.source().read_new(&Terminal)?;
    let cost = Cost::default();
    let id = keys::passwd(&repository, &secret, cost, &actor(None), &context.ambient)?;
    context.output.line(&format!("key slot {} takes the place of {}", id.short(), old.short()));
    let summary = Object::default()
        .field("dry_run", false)
        .field("slot_id", id.to_hex())
        .field("removed_slot_id", old.to_hex());
    Ok(Done::well(summary))
}

fn remove(args: &RemoveArgs, context: &Context) -> Outcome {
    let repository = context.repository()?;
    let id = keys::find(&repository, &args.id)?;
    if args.dry_run.dry_run {
        return Ok(would(&format!("would remove key slot {}", id.short()), context));
    }
    confirm(args.yes, &format!("remove key slot {}", id.short()), context)?;
    keys::remove(&repository, id, &actor(None), &context.ambient)?;
    context.output.line(&format!("removed key slot {}", id.short()));
    context
        .output
        .line("whoever kept a copy of it and knows its secret can still open the repository");
    Ok(Done::well(Object::default().field("dry_run", false).field("removed_slot_id", id.to_hex())))
}

fn would(what: &str, context: &Context) -> Done {
    context.output.line(what);
    Done::well(Object::default().field("dry_run", true))
}

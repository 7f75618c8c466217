//! `restore --to`: loads a stream of a snapshot into a database.

use std::path::Path;

use engine::browse::dump;
use engine::error::Kind;
use engine::repo::history::Taken;
use engine::source::sqlite;
use repo_format::tree::{Body, Entry};

use crate::context::{Context, Done, Outcome};
use crate::failure::Failure;
use crate::output::json::Object;
use crate::repository::Opened;
use crate::size;

/// A database to load into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target<'a> {
    path: &'a Path,
}

impl<'a> Target<'a> {
    /// Reads the URL of a database.
    pub(super) fn parse(url: &'a str) -> Result<Self, Failure> {
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(Failure::usage("--to expects sqlite:PATH")
                .hint("other databases are restored as their dump, with --target DIR"));
        };
        let path = Path::new(path.strip_prefix("//").unwrap_or(path));
        if path.file_name().is_none() {
            return Err(Failure::usage("--to sqlite: expects the path of a database"));
        }
        Ok(Self { path })
    }

    /// Loads a stream: all of it, or nothing.
    pub(super) fn load(
        &self,
        opened: &Opened,
        taken: &Taken,
        entry: &Entry,
        overwrites: bool,
        context: &Context,
    ) -> Outcome {
        if !matches!(entry.body, Body::File { .. }) {
            return Err(Failure::usage("--to needs one stream, as in latest:@streams/till.db"));
        }
        let settings =
            dump::Settings { threads: context.settings.threads, ..dump::Settings::default() };
        let mut trouble = None;
        let replaced = sqlite::replace(self.path, overwrites, &mut |out| {
            dump::file(&opened.repository, entry, out, settings, &context.ambient).map_err(
                |error| {
                    trouble = Some(error);
                    std::io::Error::other("the stream cannot be read")
                },
            )
        });
        let bytes = match (replaced, trouble) {
            (_, Some(error)) => return Err(error.into()),
            (Err(error), None) => {
                let what = format!("loading {}: {error}", self.path.display());
                return Err(match error.kind() {
                    std::io::ErrorKind::AlreadyExists => Failure::new(Kind::Refused, what)
                        .hint("to replace it, say --overwrite always"),
                    _ => Failure::new(Kind::Target, what),
                });
            }
            (Ok(bytes), None) => bytes,
        };
        context.output.line(&format!(
            "{} of snapshot {} loaded into {}",
            size::format(bytes),
            taken.id.short(),
            self.path.display()
        ));
        let summary = Object::default()
            .field("snapshot_id", taken.id.to_hex())
            .field("target", self.path.display().to_string())
            .field("bytes_written", bytes);
        Ok(Done::well(summary))
    }
}

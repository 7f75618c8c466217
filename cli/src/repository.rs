//! The way from settings to a store, an open repository, and who works on it.
//!
//! Every verb comes through here, so wrong places, passwords and rollbacks sound alike everywhere.

use std::sync::Arc;

use engine::browse::{Caches, Selector, View, snapshots};
use engine::error::Kind;
use engine::repo::create::Actor;
use engine::repo::history::{History, Taken};
use engine::repo::vouching::doubtful;
use engine::repo::{self, IndexedRepository, OpenSettings, Repository};
use engine::source::files::OwnerNames;
use engine::store::layers::Limits;
use engine::store::{Location, OpenOptions, Store};
use repo_format::tree::Entry;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::escape;
use crate::password::Terminal;

impl Context {
    /// Place of the repository.
    pub(crate) fn location(&self) -> Result<Location, Failure> {
        Location::parse(self.settings.repository()?).map_err(|error| {
            let failure = Failure::from(engine::Error::from(error));
            failure.hint("`strongroom help stores` says how stores are named")
        })
    }

    /// How stores are opened.
    pub(crate) fn store_options(&self) -> OpenOptions {
        OpenOptions {
            environment: self.environment.for_stores(),
            limits: Limits {
                upload: self.settings.upload_bytes_per_second.map(Into::into),
                download: self.settings.download_bytes_per_second.map(Into::into),
            },
            ..OpenOptions::default()
        }
    }

    /// Opens the store that must be there.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        self.location()?.open(&self.store_options()).map_err(|error| {
            let is_absent = error.is_not_found();
            let error = engine::Error::from(error);
            if is_absent {
                Failure::new(Kind::NoRepository, error.to_string())
            } else {
                error.into()
            }
        })
    }

    /// Opens the repository.
    pub(crate) fn repository(&self) -> Result<Repository, Failure> {
        self.repository_in(self.store()?)
    }

    /// Opens the repository in a store.
    pub(crate) fn repository_in(&self, store: Arc<dyn Store>) -> Result<Repository, Failure> {
        let secret = self.settings.secret.read(&Terminal)?;
        let settings = OpenSettings {
            cache: self.settings.cache.clone(),
            accepts_rollback: self.settings.accepts_rollback,
        };
        Ok(repo::open(store, &secret, &settings)?)
    }

    /// Opens the repository and reads its index, to write to it.
    pub(crate) fn indexed_repository(&self) -> Result<IndexedRepository, Failure> {
        Ok(self.repository()?.load_index(&self.ambient)?)
    }

    /// Opens the repository to read snapshots: the history, then the index, which so names
    /// everything that the snapshots need (O-7).
    pub(crate) fn opened(&self) -> Result<Opened, Failure> {
        let repository = self.repository()?;
        let history = self.history(&repository)?;
        let indexed = repository.load_index_of(&history, &self.ambient)?;
        Ok(Opened { repository: indexed, history })
    }

    /// Reads the history, and warns of what in it cannot be read.
    pub(crate) fn history(&self, repository: &Repository) -> Result<History, Failure> {
        let history = History::load(repository, &self.ambient)?;
        for finding in &history.findings {
            self.output.warning(finding.object.as_bytes(), &finding.what);
        }
        for id in doubtful(repository, &history, &self.ambient)? {
            let what = "a prune ran while it was committed, and nobody has looked since whether all of it is there: `strongroom prune` or `strongroom check` does";
            self.output.warning(id.to_hex().as_bytes(), what);
        }
        Ok(history)
    }
}

/// A repository that is open for reading, and its history.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The repository.
    pub(crate) repository: IndexedRepository,
    /// Its history.
    pub(crate) history: History,
}

impl Opened {
    /// Finds the snapshot that a name means.
    pub(crate) fn pick(&self, name: &str, selector: &Selector) -> Result<Taken, Failure> {
        pick(&self.history, name, selector)
    }

    /// Finds what lies at a path of a snapshot; no path means all of it.
    pub(crate) fn lookup(&self, taken: &Taken, path: &[u8]) -> Result<Entry, Failure> {
        let view = View::with_caches(&self.repository, taken, Arc::new(Caches::new(0)));
        view.lookup(path)?.ok_or_else(|| {
            let message = format!("{} is not in snapshot {}", escape::name(path), taken.id.short());
            Failure::new(Kind::NotFound, message)
                .hint("`strongroom ls SNAP` lists what is; `strongroom find PATTERN` looks in all snapshots")
        })
    }
}

/// Finds the snapshot that a name means.
pub(crate) fn pick(history: &History, name: &str, selector: &Selector) -> Result<Taken, Failure> {
    snapshots::pick(history, name, selector).map_err(|error| {
        let is_absent = error.kind() == Kind::NotFound;
        let failure = Failure::from(error);
        if is_absent { failure.hint("`strongroom snapshots` lists all") } else { failure }
    })
}

/// Who works on the repository; the host is this machine's unless another is named.
pub(crate) fn actor(host: Option<&str>) -> Actor {
    let this_host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let user = OwnerNames::new().user(rustix::process::getuid().as_raw());
    Actor {
        host: host.map_or_else(this_host, str::to_owned),
        user: user.as_str().to_owned(),
        program: concat!("strongroom ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

//! The way from settings to a store, an open repository, and who works on it.
//!
//! Every verb comes through here, so wrong places, passwords and rollbacks sound alike everywhere.

use std::sync::Arc;

use engine::error::Kind;
use engine::repo::create::Actor;
use engine::repo::{self, IndexedRepository, OpenSettings, Repository};
use engine::source::files::OwnerNames;
use engine::store::layers::Limits;
use engine::store::{Environment, Location, OpenOptions, Store};

use crate::context::Context;
use crate::failure::Failure;
use crate::password::Terminal;
use crate::settings::Settings;

impl Context {
    /// Place of the repository.
    pub(crate) fn location(&self) -> Result<Location, Failure> {
        Location::parse(self.settings.repository()?).map_err(|error| {
            let failure = Failure::from(engine::Error::from(error));
            failure.hint("`strongroom help stores` says how stores are named")
        })
    }

    /// Opens the store that must be there.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        self.location()?.open(&store_options(&self.settings)).map_err(|error| {
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
        let store = self.store()?;
        let secret = self.settings.secret.read(&Terminal)?;
        let settings = OpenSettings {
            cache: self.settings.cache.clone(),
            accepts_rollback: self.settings.accepts_rollback,
        };
        Ok(repo::open(store, &secret, &settings)?)
    }

    /// Opens the repository and reads its index.
    pub(crate) fn indexed_repository(&self) -> Result<IndexedRepository, Failure> {
        Ok(self.repository()?.load_index(&self.ambient)?)
    }
}

/// How stores are opened.
pub(crate) fn store_options(settings: &Settings) -> OpenOptions {
    OpenOptions {
        environment: Environment::process(),
        limits: Limits {
            upload: settings.upload_bytes_per_second.map(Into::into),
            download: settings.download_bytes_per_second.map(Into::into),
        },
        ..OpenOptions::default()
    }
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

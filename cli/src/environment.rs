//! Variables of the process, taken once; an empty one counts as unset.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::failure::Failure;

/// Variables by name.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl std::fmt::Debug for Environment {
    // Values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// Takes the variables of this process.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Value of a variable that must be UTF-8.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        self.get(name)
            .map(|value| {
                value.to_str().ok_or_else(|| Failure::setting(format!("{name} is not UTF-8")))
            })
            .transpose()
    }

    /// The variables for stores; those that are not UTF-8 mean nothing to one.
    pub(crate) fn for_stores(&self) -> engine::store::Environment {
        let text = |text: &OsString| text.to_str().map(str::to_owned);
        let pairs = self.0.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        engine::store::Environment::fixed(pairs)
    }

    /// Makes an environment for tests.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self(variables.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

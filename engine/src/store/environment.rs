//! The variables that stores read.
//!
//! Secrets enter here and go only to the client of the store: nothing here is printed.

use std::collections::BTreeMap;

/// Variables that stores may read.
#[derive(Clone, Default)]
pub struct Environment {
    fixed: Option<BTreeMap<String, String>>,
}

impl Environment {
    /// The variables of this process.
    pub fn process() -> Self {
        Self::default()
    }

    /// These variables and no others.
    pub fn fixed<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value.into()));
        Self { fixed: Some(pairs.collect()) }
    }

    /// Value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match &self.fixed {
            Some(fixed) => fixed.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    #[cfg(any(feature = "s3", feature = "azure", feature = "gcs"))]
    /// Every variable whose name starts with `prefix`.
    pub(super) fn starting_with(&self, prefix: &str) -> Vec<(String, String)> {
        let all: Vec<(String, String)> = match &self.fixed {
            Some(fixed) => fixed.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            None => std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        };
        all.into_iter().filter(|(k, v)| k.starts_with(prefix) && !v.is_empty()).collect()
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.fixed.is_some() { "fixed" } else { "process" };
        f.debug_tuple("Environment").field(&kind).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_shown() {
        let environment = Environment::fixed([("AWS_SECRET_ACCESS_KEY", "hush")]);
        assert!(!format!("{environment:?}").contains("hush"));
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        assert_eq!(Environment::fixed([("A", ""), ("B", "b")]).get("A"), None);
        assert_eq!(Environment::fixed([("A", ""), ("B", "b")]).get("B").as_deref(), Some("b"));
    }
}

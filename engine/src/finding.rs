//! One piece of damage seen: what, where, how bad, and what would repair it.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Notice,
    /// Something that can be rebuilt is damaged; no content is lost.
    Repairable,
    /// Content is lost, or would be served wrong.
    Loss,
}

/// One piece of damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Object, snapshot or path that is damaged.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
    /// What would repair it; empty when nothing would.
    pub repair: String,
}

impl Finding {
    /// Makes a finding of lost content.
    pub fn loss(object: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Loss,
            object: object.into(),
            what: what.into(),
            repair: String::new(),
        }
    }

    /// Makes a finding that a repair would mend.
    pub fn repairable(
        object: impl Into<String>,
        what: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Repairable,
            object: object.into(),
            what: what.into(),
            repair: repair.into(),
        }
    }

    /// Makes a notice.
    pub fn notice(object: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Notice,
            object: object.into(),
            what: what.into(),
            repair: String::new(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.what)?;
        if !self.repair.is_empty() {
            write!(f, " (repair: {})", self.repair)?;
        }
        Ok(())
    }
}

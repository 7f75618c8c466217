//! Warnings, findings and errors as lines for people. Meaning is never by colour; there is none.

use engine::Finding;

use super::{escape, json};
use crate::failure::Failure;

/// A warning, on one line.
pub(crate) fn warning(object: &[u8], message: &str) -> String {
    let message = escape::text(message);
    if object.is_empty() {
        format!("warning: {message}")
    } else {
        format!("warning: {}: {message}", escape::name(object))
    }
}

/// A finding, on one line.
pub(crate) fn finding(finding: &Finding) -> String {
    format!("{}: {finding}", json::severity(finding.severity))
}

/// An error and its hint, each on a line.
pub(crate) fn failure(failure: &Failure) -> String {
    let mut lines = format!("error: {}\n", escape::text(&failure.message));
    if let Some(hint) = &failure.hint {
        lines.extend(["hint: ", &escape::text(hint), "\n"]);
    }
    lines
}

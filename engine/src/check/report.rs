//! What a check has read and found, and the sentence that says so.

use std::fmt::Write as _;
use std::time::Duration;

use crate::finding::{Finding, Severity};

/// Result of a check.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Damage and notices, the worst first.
    pub findings: Vec<Finding>,
    /// Objects in the store.
    pub objects: u64,
    /// Packs in the store.
    pub packs: u64,
    /// Bytes of the packs in the store.
    pub pack_bytes: u64,
    /// Packs that were read whole.
    pub packs_read: u64,
    /// Bytes of the packs that were read whole.
    pub bytes_read: u64,
    /// Blobs of those packs that were opened and compared with their names.
    pub blobs_checked: u64,
    /// Snapshots whose trees were walked.
    pub snapshots: u64,
    /// Nodes of directories that were read, each once.
    pub trees: u64,
    /// Time that the check took.
    pub duration: Duration,
}

impl Report {
    /// Says whether something is damaged, or only worth knowing.
    pub fn has_damage(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity > Severity::Notice)
    }

    /// Findings of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Says plainly what was read and what was found.
    pub fn sentence(&self) -> String {
        let mut text = String::new();
        let packs = count(self.packs, "pack");
        let _ = if self.packs_read == 0 {
            write!(text, "checked {packs} by name and length, none of them by content")
        } else if self.packs_read == self.packs {
            write!(text, "read all {packs} ({})", bytes(self.bytes_read))
        } else {
            let (read, all) = (bytes(self.bytes_read), bytes(self.pack_bytes));
            write!(text, "read {} of {packs} ({read} of {all})", self.packs_read)
        };
        let snapshots = count(self.snapshots, "snapshot");
        let _ = write!(text, ", walked {snapshots} ({})", count(self.trees, "tree"));
        let loss = self.count(Severity::Loss) as u64;
        let repairable = self.count(Severity::Repairable) as u64;
        let _ = match (loss + repairable, loss) {
            (0, _) => write!(text, ": no damage found"),
            (found, 0) => {
                write!(text, ": {}, none of which loses content", count(found, "finding"))
            }
            (found, 1) => write!(text, ": {}, 1 of them loses content", count(found, "finding")),
            (found, loss) => {
                write!(text, ": {}, {loss} of them lose content", count(found, "finding"))
            }
        };
        let notices = self.count(Severity::Notice) as u64;
        if notices > 0 {
            let _ = write!(text, "; {}", count(notices, "notice"));
        }
        text
    }
}

/// A number and its noun.
pub(super) fn count(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// Bytes with one digit after the point.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_what_was_read_and_found() {
        let mut report = Report {
            packs: 123,
            packs_read: 123,
            pack_bytes: 1_288_490_189,
            bytes_read: 1_288_490_189,
            snapshots: 1,
            trees: 9,
            ..Report::default()
        };
        assert_eq!(
            report.sentence(),
            "read all 123 packs (1.2 GiB), walked 1 snapshot (9 trees): no damage found"
        );
        report.packs_read = 1;
        report.bytes_read = 1000;
        report.findings = vec![Finding::loss("a", "b"), Finding::repairable("a", "b", "c")];
        report.findings.push(Finding::notice("a", "b"));
        assert_eq!(
            report.sentence(),
            "read 1 of 123 packs (1000 B of 1.2 GiB), walked 1 snapshot (9 trees): \
             2 findings, 1 of them loses content; 1 notice"
        );
        assert!(report.has_damage());
    }
}

//! One line that stands for a whole history: kept outside, it proves later that the history has
//! only grown since.
//!
//! The line names the records that nothing followed, and a Merkle root over all that they follow.
//! Whoever takes a record away, or puts another in its place, cannot bring that root about again.

use repo_format::history::Head;
use repo_format::{ObjectHash, RepositoryId, WriterId};

use crate::error::{Error, Kind, Result};
use crate::repo::Repository;
use crate::repo::history::{History, Loaded};

const TITLE: &str = "strongroom-history-1";

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Repository.
    pub repository: RepositoryId,
    /// Number of records.
    pub records: u64,
    /// Merkle root over the hashes of the records, ascending.
    pub root: ObjectHash,
    /// Records that no other followed, ascending.
    pub tips: Vec<ObjectHash>,
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tips: Vec<String> = self.tips.iter().map(|tip| tip.to_hex()).collect();
        let (repository, records, root) = (self.repository, self.records, self.root);
        write!(f, "{TITLE} {repository} {records} {root} {}", tips.join(","))
    }
}

impl Checkpoint {
    /// Reads a line.
    ///
    /// # Errors
    /// [`Kind::InvalidSetting`] when it is none.
    pub fn parse(line: &str) -> Result<Self> {
        let read = || {
            let mut words = line.split_whitespace();
            let title = words.next()?;
            let repository = RepositoryId::from_hex(words.next()?)?;
            let records = words.next()?.parse().ok()?;
            let root = ObjectHash::from_hex(words.next()?)?;
            let tips = words.next()?.split(',').map(ObjectHash::from_hex).collect::<Option<_>>()?;
            let is_whole = title == TITLE && words.next().is_none();
            is_whole.then_some(Self { repository, records, root, tips })
        };
        read().ok_or_else(|| {
            Error::new(Kind::InvalidSetting, "this is no line that `history --checkpoint` printed")
        })
    }

    /// Makes the line of a history as it is.
    pub fn of(repo: &Repository, history: &History) -> Self {
        let mut tips: Vec<ObjectHash> = history.tips().into_iter().map(|tip| tip.hash).collect();
        tips.sort_unstable();
        let (records, root) = count_and_root(&history.records());
        Self { repository: repo.id(), records, root, tips }
    }

    /// Proves that the history holds everything that it held when the line was made; gives how many
    /// records have come since.
    ///
    /// # Errors
    /// [`Kind::Rollback`] when it does not; [`Kind::InvalidSetting`] for a line of another
    /// repository.
    pub fn prove(&self, repo: &Repository, history: &History) -> Result<u64> {
        if self.repository != repo.id() {
            let what = format!("the line is of repository {}", self.repository);
            return Err(Error::new(Kind::InvalidSetting, what));
        }
        let heads: Vec<Head> = self
            .tips
            .iter()
            .map(|&hash| Head { writer: WriterId([0; 16]), seq: 0, hash })
            .collect();
        let known = history.known_from(&heads);
        let (records, root) = count_and_root(&known);
        if (records, root) != (self.records, self.root) {
            let what = format!(
                "the history is not a longer one of that line: of {} records {records} are there",
                self.records
            );
            return Err(Error::new(Kind::Rollback, what));
        }
        Ok((history.records().len() as u64).saturating_sub(records))
    }
}

/// Number of records, and the root over their hashes in ascending order.
fn count_and_root(records: &[&Loaded]) -> (u64, ObjectHash) {
    let mut hashes: Vec<ObjectHash> = records.iter().map(|record| record.hash).collect();
    hashes.sort_unstable();
    let mut level: Vec<[u8; 32]> = hashes
        .iter()
        .map(|hash| *blake3::Hasher::new().update(&[0]).update(&hash.0).finalize().as_bytes())
        .collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => {
                    let mut hasher = blake3::Hasher::new();
                    *hasher.update(&[1]).update(left).update(right).finalize().as_bytes()
                }
                rest => rest[0],
            })
            .collect();
    }
    (hashes.len() as u64, ObjectHash(level.first().copied().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::fixture::Fixture;
    use crate::store::Store as _;

    #[test]
    fn a_history_that_has_only_grown_proves_it() {
        let mut fixture = Fixture::small();
        let load = |fixture: &Fixture| History::examine(&fixture.repo, &fixture.ambient).unwrap();
        let line = Checkpoint::of(&fixture.repo, &load(&fixture)).to_string();
        let checkpoint = Checkpoint::parse(&line).unwrap();
        assert_eq!(checkpoint.to_string(), line);
        assert_eq!(checkpoint.prove(&fixture.repo, &load(&fixture)).unwrap(), 0);
        fixture.back_up(b"third");
        assert_eq!(checkpoint.prove(&fixture.repo, &load(&fixture)).unwrap(), 1);
        let names = fixture.names("history/");
        fixture.store.delete(&names[1]).unwrap();
        let error = checkpoint.prove(&fixture.repo, &load(&fixture)).unwrap_err();
        assert_eq!(error.kind(), Kind::Rollback);
        assert!(Checkpoint::parse("strongroom-history-1 x").is_err());
    }
}

//! What this machine remembers of a repository: its writer id, the newest heads, open sessions.
//!
//! Losing it costs time, and the pin that shows a rollback, but never data.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use repo_format::history::Head;
use repo_format::{ObjectHash, RepositoryId, WriterId};

use crate::crypto::random;
use crate::error::{Error, Kind, Result};

/// Folder of one repository below the cache folder; absent when nothing is to be kept.
#[derive(Debug, Clone, Default)]
pub struct State {
    folder: Option<PathBuf>,
}

impl State {
    /// Opens, and makes where needed, the folder of one repository.
    pub fn open(cache: Option<&Path>, repository: RepositoryId) -> Result<Self> {
        let Some(cache) = cache else { return Ok(Self::default()) };
        let folder = cache.join(repository.to_hex());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| {
            let message = format!("making the cache folder {}", folder.display());
            Error::caused(Kind::InvalidSetting, message, error)
        })?;
        Ok(Self { folder: Some(folder) })
    }

    /// The folder, if there is one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(name))
    }

    /// Writes a small file whole, or not at all.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let Some(path) = self.path(name) else { return Ok(()) };
        let aside = path.with_extension("new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(aside, path)
    }

    /// Writer id of this installation; drawn anew where the file was copied from another machine or
    /// folder, since two machines must never continue one chain.
    pub(crate) fn writer(&self) -> Result<WriterId> {
        let fresh = || random::array().map(WriterId).map_err(Error::from);
        let Some(path) = self.path("writer") else { return fresh() };
        if let Ok(text) = fs::read_to_string(&path)
            && let Some((writer, place)) = text.trim_end().split_once(' ')
            && let Some(writer) = WriterId::from_hex(writer)
            && place == self.place()
        {
            return Ok(writer);
        }
        let writer = fresh()?;
        // A state that cannot be written costs a writer card a run, nothing more.
        let _ = self.write("writer", &format!("{writer} {}\n", self.place()));
        Ok(writer)
    }

    /// Forgets the writer id, after a fork was seen.
    pub(crate) fn renounce_writer(&self) {
        if let Some(path) = self.path("writer") {
            let _ = fs::remove_file(path);
        }
    }

    /// What tells a copy of the folder from the folder: machine, device, inode.
    fn place(&self) -> String {
        let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (device, inode) = self
            .folder
            .as_ref()
            .and_then(|folder| fs::metadata(folder).ok())
            .map_or((0, 0), |found| (found.dev(), found.ino()));
        let text = format!("{} {host} {device} {inode}", machine.trim_end());
        blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
    }

    /// Newest records that were ever seen here.
    pub(crate) fn pins(&self) -> Result<BTreeMap<WriterId, Head>> {
        let mut pins = BTreeMap::new();
        let Some(path) = self.path("heads") else { return Ok(pins) };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(pins),
            Err(error) => {
                let message = format!("reading the pinned heads in {}", path.display());
                return Err(Error::caused(Kind::Other, message, error));
            }
        };
        for line in text.lines() {
            let mut words = line.split(' ');
            let head = (|| {
                let writer = WriterId::from_hex(words.next()?)?;
                let seq = words.next()?.parse().ok()?;
                let hash = ObjectHash::from_hex(words.next()?)?;
                Some(Head { writer, seq, hash })
            })();
            let Some(head) = head else {
                let message = format!(
                    "the pinned heads in {} are damaged; delete the file to trust the store as it is",
                    path.display()
                );
                return Err(Error::new(Kind::Rollback, message));
            };
            pins.insert(head.writer, head);
        }
        Ok(pins)
    }

    /// Remembers the newest records, so that a shorter history is noticed.
    pub(crate) fn pin(&self, heads: &[Head]) -> Result<()> {
        if planted!(HeadsNotPinned) {
            return Ok(());
        }
        let mut text = String::new();
        for head in heads {
            let _ = writeln!(text, "{} {} {}", head.writer, head.seq, head.hash);
        }
        self.write("heads", &text)
            .map_err(|error| Error::caused(Kind::Other, "pinning the heads of the history", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_state_draws_a_writer_of_its_own() {
        let cache = tempfile::tempdir().unwrap();
        let state = State::open(Some(cache.path()), RepositoryId([1; 16])).unwrap();
        let writer = state.writer().unwrap();
        assert_eq!(state.writer().unwrap(), writer);
        let copy = State::open(Some(cache.path()), RepositoryId([2; 16])).unwrap();
        fs::copy(state.path("writer").unwrap(), copy.path("writer").unwrap()).unwrap();
        assert_ne!(copy.writer().unwrap(), writer);
    }

    #[test]
    fn pins_read_back_and_a_damaged_pin_is_refused() {
        let cache = tempfile::tempdir().unwrap();
        let state = State::open(Some(cache.path()), RepositoryId([1; 16])).unwrap();
        assert!(state.pins().unwrap().is_empty());
        let head = Head { writer: WriterId([3; 16]), seq: 9, hash: ObjectHash([4; 32]) };
        state.pin(&[head]).unwrap();
        assert_eq!(state.pins().unwrap()[&head.writer], head);
        fs::write(state.path("heads").unwrap(), "nonsense\n").unwrap();
        assert_eq!(state.pins().unwrap_err().kind(), Kind::Rollback);
    }
}

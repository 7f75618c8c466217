//! From what was asked for to one tree: every path source under its absolute path, every stream
//! under `@streams`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::captures;
use super::options::Source;
use crate::error::{Error, Kind, Result};

/// Folder of the streams.
pub const STREAMS: &[u8] = b"@streams";

/// A folder of the snapshot that holds only what leads to sources.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Root {
    /// What is in it, by name.
    pub(super) children: BTreeMap<Vec<u8>, Root>,
    /// Whether everything in it belongs to the snapshot.
    pub(super) is_source: bool,
    /// The stream that is stored here.
    pub(super) stream: Option<Source>,
    /// The stream whose capture record is stored here.
    pub(super) record_of: Option<Vec<u8>>,
}

impl Root {
    /// Puts the sources together.
    pub(super) fn new(sources: &[Source]) -> Result<Self> {
        if sources.is_empty() {
            return Err(Error::new(Kind::InvalidSetting, "there is nothing to back up"));
        }
        let mut root = Self::default();
        for source in sources {
            match (source, source.stream_name()) {
                (Source::Path(path), _) => root.add_path(&absolute(path)?),
                (_, Some(name)) => root.add_stream(name, source)?,
                (_, None) => {}
            }
        }
        Ok(root)
    }

    fn add_path(&mut self, path: &Path) {
        let mut node = self;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            if node.is_source {
                return;
            }
            node = node.children.entry(name.as_bytes().to_vec()).or_default();
        }
        // A source inside another one is in it already.
        node.children.clear();
        node.is_source = true;
    }

    fn add_stream(&mut self, name: &[u8], source: &Source) -> Result<()> {
        let shown = name.escape_ascii();
        if !repo_format::tree::is_name(name) {
            let message = format!(
                "'{shown}' cannot be the name of a stream: it needs 1 to 255 bytes without a slash"
            );
            return Err(Error::new(Kind::InvalidSetting, message));
        }
        let streams = self.children.entry(STREAMS.to_vec()).or_default();
        let twice = |shown: &str| {
            let message = format!("two sources are to be stored as @streams/{shown}");
            Err(Error::new(Kind::InvalidSetting, message))
        };
        let node = streams.children.entry(name.to_vec()).or_default();
        if streams.is_source || node.stream.is_some() || node.record_of.is_some() {
            return twice(&shown.to_string());
        }
        node.stream = Some(source.clone());
        if source.has_record() {
            let record = captures::name_of(name);
            if !repo_format::tree::is_name(&record) {
                let message = format!("'{shown}' is too long for the name of a database");
                return Err(Error::new(Kind::InvalidSetting, message));
            }
            let node = streams.children.entry(record).or_default();
            if node.stream.is_some() || node.record_of.is_some() {
                return twice(&format!("{shown}.capture.json"));
            }
            node.record_of = Some(name.to_vec());
        }
        Ok(())
    }
}

/// Absolute path of a source: links in its parents are followed, the last one is kept as it is.
fn absolute(path: &Path) -> Result<PathBuf> {
    let missing = |error: std::io::Error| {
        let message = format!("the source {} cannot be read", path.display());
        Error::caused(Kind::Source, message, error)
    };
    let bytes = path.as_os_str().as_bytes();
    let names_itself = matches!(path.components().next_back(), Some(Component::Normal(_)))
        && !bytes.ends_with(b"/")
        && !bytes.ends_with(b"/.");
    if !names_itself {
        return std::fs::canonicalize(path).map_err(missing);
    }
    std::fs::symlink_metadata(path).map_err(missing)?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let parent = std::fs::canonicalize(parent).map_err(missing)?;
    Ok(parent.join(path.file_name().unwrap_or(OsStr::new(""))))
}

/// Names of the sources as the snapshot keeps them.
pub(super) fn names(sources: &[Source]) -> Result<Vec<Vec<u8>>> {
    let name = |source: &Source| match (source, source.stream_name()) {
        (Source::Path(path), _) => absolute(path).map(|path| path.as_os_str().as_bytes().to_vec()),
        (_, name) => Ok([STREAMS, b"/", name.unwrap_or_default()].concat()),
    };
    let mut names: Vec<_> = sources.iter().map(name).collect::<Result<_>>()?;
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_inside_another_is_in_it_already() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let outer = Source::Path(folder.path().join("a"));
        let inner = Source::Path(inner);
        let both = Root::new(&[inner.clone(), outer.clone()]).unwrap();
        assert_eq!(both, Root::new(std::slice::from_ref(&outer)).unwrap());
        assert_eq!(both, Root::new(&[outer, inner]).unwrap());
    }

    #[test]
    fn a_missing_source_is_named() {
        let error = Root::new(&[Source::Path("/no/such/place".into())]).unwrap_err();
        assert_eq!(error.kind(), Kind::Source);
        assert!(error.to_string().contains("/no/such/place"), "{error}");
    }

    #[test]
    fn two_streams_of_one_name_are_refused() {
        let stream = Source::Stdin { name: b"dump".to_vec() };
        let error = Root::new(&[stream.clone(), stream]).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidSetting);
        assert!(Root::new(&[Source::Stdin { name: b"a/b".to_vec() }]).is_err());
    }
}

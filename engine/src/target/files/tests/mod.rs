//! Restoring into real directories, with all that a snapshot or another process can put in the way.

mod escape;
mod metadata;
mod write;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::*;

/// A directory with two in it: the root of a restore, and what lies outside of it.
struct Place {
    base: tempfile::TempDir,
    root: Root,
}

impl Place {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("outside")).unwrap();
        std::fs::write(base.path().join("outside/kept"), "outside").unwrap();
        let root = Root::open_or_create(&base.path().join("new/root")).unwrap();
        Self { base, root }
    }

    fn inside(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.base.path().join("new/root").join(OsStr::from_bytes(name.as_ref()))
    }

    fn outside(&self) -> PathBuf {
        self.base.path().join("outside")
    }

    fn dir(&self) -> &Directory {
        self.root.directory()
    }

    /// Checks that nothing outside was made, changed or removed.
    fn assert_outside_untouched(&self) {
        let names = |path: &Path| {
            let entries = std::fs::read_dir(path).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&self.outside()), ["kept"]);
        assert_eq!(std::fs::read(self.outside().join("kept")).unwrap(), b"outside");
        assert_eq!(names(self.base.path()), ["new", "outside"]);
        assert_eq!(names(&self.base.path().join("new")), ["root"]);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

//! Snapshots as a read-only file system: FUSE calls become calls of [`engine::browse`].
//!
//! What is answered was opened and checked first; what cannot be read is EIO and a line that names
//! it, never zeros. Entries of a snapshot never change, so the kernel may keep them.

mod attributes;
mod calls;
mod errno;
mod filesystem;
mod inodes;
mod listing;
mod mounting;
mod names;
mod options;
mod sequence;
mod versions;
mod views;
mod xattrs;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use engine::browse::ahead::Ahead;
use engine::browse::catalog::Catalog;
use engine::error::{Error, Kind};
use engine::{Cancel, Result};
use fuser::{Config, Session, SessionACL};

use filesystem::SnapshotFs;
use mounting::Attached;
pub use options::Options;

/// Between two looks at whether the mount was asked to end.
const TICK: Duration = Duration::from_millis(100);
/// Longest time that a mount which was taken away waits for calls under way.
const GRACE: Duration = Duration::from_secs(2);

/// A mount that answers.
#[derive(Debug)]
pub struct Mounted {
    attached: Attached,
    /// Says that the session has ended, and how.
    ended: Receiver<std::io::Result<()>>,
}

/// Mounts the snapshots of a catalog.
///
/// # Errors
/// [`Kind::Refused`] where there is no place to mount, or FUSE is not to be had.
pub fn mount(catalog: &Arc<Catalog>, options: &Options) -> Result<Mounted> {
    let started = |error| Error::caused(Kind::Other, "starting threads of the mount", error);
    let ahead = Ahead::start(options.threads).map_err(started)?;
    let fs = SnapshotFs::new(Arc::clone(catalog), ahead, options)?;
    let (device, attached) = mounting::attach(options)?;
    let mut config = Config::default();
    config.n_threads = Some(options.calls_at_once);
    config.clone_fd = attached.can_clone_device();
    // The kernel itself keeps others out where only the owner may look.
    let session = Session::from_fd(fs, device, SessionACL::All, config).map_err(|error| {
        attached.detach();
        Error::caused(Kind::Refused, "FUSE does not answer", error)
    })?;
    let (sender, ended) = channel();
    let run = move || {
        // Nobody waits any more when the program is about to end.
        let _ = sender.send(session.run());
    };
    if let Err(error) = std::thread::Builder::new().name("mount".into()).spawn(run) {
        attached.detach();
        return Err(started(error));
    }
    attached.raise_read_ahead();
    Ok(Mounted { attached, ended })
}

impl Mounted {
    /// Waits until the mount is taken away by someone, or `cancel` asks for it; then nothing of it
    /// is left in the file system, whoever still uses it.
    ///
    /// # Errors
    /// What ended the session early.
    pub fn wait(self, cancel: &Cancel) -> Result<()> {
        let result = loop {
            match self.ended.recv_timeout(TICK) {
                Ok(result) => break result,
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                    self.attached.detach();
                    // Calls under way may end; a user that holds a file open is cut off.
                    break self.ended.recv_timeout(GRACE).unwrap_or(Ok(()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        result.map_err(|error| {
            self.attached.detach();
            Error::caused(Kind::Other, "the mount has ended", error)
        })
    }
}

//! The shipped program as a mount, for as long as a test needs it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command};
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;

use crate::World;
use crate::output::Output;
use crate::process::Watch;

/// Longest time that a mount may take to be gone after it was asked to go.
const PATIENCE: Duration = Duration::from_mins(1);

/// A mount; taken away when dropped.
#[derive(Debug)]
pub struct Mount {
    /// Folder that it covers.
    pub target: PathBuf,
    child: Child,
    stderr: Option<ChildStderr>,
}

impl Mount {
    /// Mounts the repository of a world on its folder `mnt`, and waits until it answers.
    pub fn new(world: &World, arguments: &[&str]) -> Self {
        let target = world.path("mnt");
        if !target.exists() {
            std::fs::create_dir(&target).unwrap();
            world.give(&target);
        }
        Self::at(world, &target, arguments)
    }

    /// Mounts on a folder that is there.
    pub fn at(world: &World, target: &Path, arguments: &[&str]) -> Self {
        assert!(
            Path::new("/dev/fuse").exists(),
            "this machine has no /dev/fuse: load the module fuse, or give the container the device"
        );
        let mut command = world.command();
        command.arg("mount").arg("--foreground").arg(target).args(arguments);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if !line.contains("mounted on") {
            let output = child.wait_with_output().unwrap();
            panic!("the mount does not begin: {line}{}", String::from_utf8_lossy(&output.stderr));
        }
        let stderr = child.stderr.take();
        Self { target: target.to_owned(), child, stderr }
    }

    /// A path in the mount.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.target.join(name)
    }

    /// The source of a world as its newest snapshot shows it.
    pub fn newest(&self, world: &World) -> PathBuf {
        self.path("latest").join(world.source().strip_prefix("/").unwrap())
    }

    /// The process, to be watched.
    pub fn watch(&self) -> Watch {
        Watch::new(&self.child)
    }

    /// Number of the process.
    pub fn number(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end by a signal, and gives its exit code and what it wrote to stderr.
    pub fn end_by(mut self, signal: Signal) -> (Option<i32>, String) {
        let mut watch = self.watch();
        watch.signal(signal);
        assert!(watch.ended_within(PATIENCE), "the mount does not end");
        self.finish()
    }

    /// Waits for its end, and gives its exit code and what it wrote to stderr.
    pub fn finish(&mut self) -> (Option<i32>, String) {
        let mut text = Vec::new();
        if let Some(mut stderr) = self.stderr.take() {
            stderr.read_to_end(&mut text).unwrap();
        }
        let code = self.child.wait().unwrap().code();
        (code, String::from_utf8_lossy(&text).into_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let mut watch = self.watch();
            watch.signal(Signal::TERM);
            if !watch.ended_within(PATIENCE) {
                watch.kill();
            }
            let _ = self.child.wait();
        }
        // Nothing is there any more unless the program failed to take it away.
        let _ = unmount(&self.target, UnmountFlags::DETACH);
    }
}

/// Says whether something is mounted on a folder.
pub fn is_mounted(target: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let target = target.to_str().unwrap();
    table.lines().any(|line| line.split(' ').nth(4) == Some(target))
}

/// Runs a shell line in a folder, with variables of no one's own.
#[track_caller]
pub fn shell(folder: &Path, line: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    Output::of(&mut command)
}

//! Processes watched while they run: waiting without sleeping, killing, and the memory they took.

use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Whether the suite runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A handle on a child that stays right even if its number is given to another process.
#[derive(Debug)]
pub struct Watch {
    handle: OwnedFd,
    number: u32,
    peak_bytes: u64,
}

impl Watch {
    /// Watches a child that was not waited for yet.
    pub fn new(child: &Child) -> Self {
        let pid = Pid::from_child(child);
        let handle = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        Self { handle, number: child.id(), peak_bytes: 0 }
    }

    /// Waits for the end of the child, at most this long; says whether it ended.
    pub fn ended_within(&mut self, time: Duration) -> bool {
        self.look();
        let time = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap(),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        let mut handles = [PollFd::new(&self.handle, PollFlags::IN)];
        loop {
            match poll(&mut handles, Some(&time)) {
                Ok(count) => return count > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("waiting for process {}: {error}", self.number),
            }
        }
    }

    /// Ends the child at once, as a power cut would.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal; a child that has ended is past caring.
    pub fn signal(&self, signal: Signal) {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => panic!("killing process {}: {error}", self.number),
        }
    }

    /// Most memory seen in use at once, in bytes, as of the last look.
    pub fn peak_bytes(&mut self) -> u64 {
        self.look();
        self.peak_bytes
    }

    fn look(&mut self) {
        let path = format!("/proc/{}/status", self.number);
        // The line is gone once the process has ended, and so is its memory.
        let Ok(status) = std::fs::read_to_string(path) else { return };
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        self.peak_bytes = self.peak_bytes.max(kib.unwrap_or(0) << 10);
    }
}

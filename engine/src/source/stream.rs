//! Streams: standard input, and what a command writes.
//!
//! A command counts as read only when its output came to an end and it then ended well; anything
//! else is an error, so that half a dump is never taken for a whole one.

use std::io::{self, Read, Stdin};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

/// Standard input of this process.
#[derive(Debug)]
pub struct StdinSource {
    stdin: Stdin,
}

impl StdinSource {
    /// Takes standard input; nobody else may read it meanwhile.
    pub fn new() -> Self {
        Self { stdin: io::stdin() }
    }
}

impl Default for StdinSource {
    fn default() -> Self {
        Self::new()
    }
}

impl Read for StdinSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stdin.read(buffer)
    }
}

/// A running command whose standard output is read.
///
/// Its standard input is empty and its standard error is this process's. It runs in a process
/// group of its own: a Ctrl-C at the terminal does not cut the dump short, and dropping the source
/// before [`Self::finish`] kills the command with all that it started.
#[derive(Debug)]
pub struct CommandSource {
    child: Child,
    output: Option<ChildStdout>,
    /// The output came to its end.
    ended: bool,
    /// The command was waited for, and its number may belong to another process.
    reaped: bool,
}

impl CommandSource {
    /// Starts `sh -c command_line`.
    pub fn spawn(command_line: &str) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(command_line);
        Self::start(&mut command)
    }

    /// Starts a command that needs no shell; its standard streams are set here.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let output = child.stdout.take();
        Ok(Self { child, output, ended: false, reaped: false })
    }

    /// Waits for the command to end, and gives its status, which may be that of a failure.
    ///
    /// Output that was not read to its end is an error, whatever the status.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        if !self.ended {
            return Err(io::Error::other("the output of the command was not read to its end"));
        }
        drop(self.output.take());
        let status = self.child.wait()?;
        self.reaped = true;
        Ok(status)
    }

    /// Waits for the command to end; a status other than success is an error that says it.
    pub fn finish(self) -> io::Result<()> {
        let status = self.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("the command failed: {status}")))
    }
}

impl Read for CommandSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(output) = &mut self.output else { return Ok(0) };
        let count = output.read(buffer)?;
        self.ended |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

impl Drop for CommandSource {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        // Not waited for, so the number still belongs to this command and its group.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _already_gone = kill_process_group(group, Signal::KILL);
        }
        let _status = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    fn output(source: &mut CommandSource) -> Vec<u8> {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_command_that_ends_well_is_read_whole() {
        let mut source = CommandSource::spawn("printf 'a\\0b'; printf c | cat").unwrap();
        assert_eq!(output(&mut source), b"a\0bc");
        source.finish().unwrap();
    }

    #[test]
    fn a_command_that_fails_after_its_output_is_an_error() {
        let mut source = CommandSource::spawn("echo half; exit 3").unwrap();
        assert_eq!(output(&mut source), b"half\n");
        let message = source.finish().unwrap_err().to_string();
        assert!(message.contains('3'), "{message}");
        let mut source = CommandSource::spawn("exec no-such-command-here 2>/dev/null").unwrap();
        assert!(output(&mut source).is_empty());
        assert!(!source.wait().unwrap().success());
    }

    #[test]
    fn output_left_unread_is_an_error() {
        let source = CommandSource::spawn("echo unread").unwrap();
        assert!(source.finish().is_err());
    }

    #[test]
    fn a_dropped_command_is_killed_with_its_children() {
        let place = tempfile::tempdir().unwrap();
        let pipe = place.path().join("pipe");
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        // Whoever the command starts holds the pipe open; its end shows that all of them are gone.
        let line = format!("exec 3>'{}'; tail -f /dev/null & cat /dev/zero", pipe.display());
        let mut source = CommandSource::spawn(&line).unwrap();
        let mut pipe = std::fs::File::open(&pipe).unwrap();
        source.read_exact(&mut [1; 4096]).unwrap();
        drop(source);
        assert_eq!(pipe.read_to_end(&mut Vec::new()).unwrap(), 0);
    }
}

//! The two streams of the program: results to stdout, everything else to stderr.
//!
//! Every line for people passes [`escape::text`] here, so nothing foreign reaches a terminal raw. A
//! reader that has gone away is not an error: what would be written after is dropped.

pub(crate) mod escape;
mod human;
pub(crate) mod json;
mod progress_bar;
pub(crate) mod table;

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::Finding;
use engine::ambient::Event;
use indicatif::ProgressBar;

pub(crate) use progress_bar::{Display, Reporter};

use crate::failure::Failure;
use crate::settings::Verbosity;
use json::Object;

type Sink = Box<dyn Write + Send>;

/// The two streams.
pub(crate) struct Streams {
    /// For results.
    pub(crate) out: Sink,
    /// For progress, warnings and errors.
    pub(crate) err: Sink,
    /// Whether stderr is a terminal.
    pub(crate) is_terminal: bool,
}

impl Streams {
    /// The streams of this process.
    pub(crate) fn of_process() -> Self {
        let out: Sink = if io::stdout().is_terminal() {
            Box::new(io::stdout())
        } else {
            // A line at a time would cost a call a line in long listings.
            Box::new(io::BufWriter::with_capacity(64 << 10, io::stdout()))
        };
        Self { out, err: Box::new(io::stderr()), is_terminal: io::stderr().is_terminal() }
    }
}

/// Writes results, notes, warnings and errors, as text or as JSON.
pub(crate) struct Output {
    out: Mutex<Sink>,
    err: Mutex<Sink>,
    is_json: bool,
    verbosity: Verbosity,
    is_closed: AtomicBool,
    has_data: AtomicBool,
    lost: Mutex<Option<io::Error>>,
    step: Mutex<&'static str>,
    bar: Mutex<Option<ProgressBar>>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("is_json", &self.is_json).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Output {
    /// Makes an output over two streams.
    pub(crate) fn new(streams: Streams, is_json: bool, verbosity: Verbosity) -> Self {
        Self {
            out: Mutex::new(streams.out),
            err: Mutex::new(streams.err),
            is_json,
            verbosity,
            is_closed: AtomicBool::new(false),
            has_data: AtomicBool::new(false),
            lost: Mutex::new(None),
            step: Mutex::new(""),
            bar: Mutex::new(None),
        }
    }

    /// Whether results are JSON.
    pub(crate) const fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether nobody reads stdout any more, so that a listing may stop.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Writes a line of a result for people.
    pub(crate) fn line(&self, line: &str) {
        if !self.is_json {
            self.to_out(|out| writeln!(out, "{}", escape::text(line)));
        }
    }

    /// Writes an object of a result for programs.
    pub(crate) fn object(&self, object: &Object) {
        if !self.is_json {
            return;
        }
        if self.has_data.load(Ordering::Relaxed) {
            // Stdout carries a file; objects in it would spoil it.
            self.to_err(|err| json::write_line(err, object));
        } else {
            self.to_out(|out| json::write_line(out, object));
        }
    }

    /// Like [`Output::object`], and makes sure that a reader sees it now.
    fn object_now(&self, object: &Object) {
        self.object(object);
        if self.is_json {
            self.flush();
        }
    }

    /// Says something to people that is not the result.
    pub(crate) fn note(&self, line: &str) {
        if !self.is_json && self.verbosity > Verbosity::Quiet {
            self.to_err(|err| writeln!(err, "{}", escape::text(line)));
        }
    }

    /// Asks a person something; the answer goes on the same line.
    pub(crate) fn prompt(&self, question: &str) {
        self.to_err(|err| write!(err, "{}", escape::text(question)).and_then(|()| err.flush()));
    }

    /// Warns of something that was not as hoped.
    pub(crate) fn warning(&self, object: &[u8], message: &str) {
        if self.is_json {
            self.object_now(&json::warning(object, message));
        } else {
            let line = human::warning(object, message);
            self.to_err(|err| writeln!(err, "{line}"));
        }
    }

    /// Shows one piece of damage.
    pub(crate) fn finding(&self, finding: &Finding) {
        if self.is_json {
            self.object_now(&json::finding(finding));
        } else {
            self.line(&human::finding(finding));
        }
    }

    /// Shows why a command ended early.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json {
            self.object_now(&json::failure(failure));
        } else {
            let lines = human::failure(failure);
            self.to_err(|err| write!(err, "{lines}"));
        }
    }

    /// Ends the output; says whether stdout took everything, or its reader had gone away.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.flush();
        lock(&self.lost).take().map_or(Ok(()), Err)
    }

    /// Lends stdout for the bytes of a file; objects go to stderr from here on.
    pub(crate) fn data(&self) -> Data<'_> {
        self.has_data.store(true, Ordering::Relaxed);
        Data(self)
    }

    /// What a running command tells, for [`engine::Progress::new`].
    pub(crate) fn listener(self: &Arc<Self>) -> Box<dyn Fn(&Event) + Send + Sync> {
        let output = Arc::clone(self);
        Box::new(move |event| match event {
            Event::Warning { object, message } => output.warning(object, message),
            Event::File { path, action } => output.file(path, action),
            Event::Step(step) => *lock(&output.step) = step,
        })
    }

    fn file(&self, path: &[u8], action: &str) {
        if self.is_json {
            self.object(&Object::new("file").name("path", path).field("action", action));
        } else {
            self.note(&format!("{action:<9}  {}", escape::name(path)));
        }
    }

    fn step(&self) -> &'static str {
        *lock(&self.step)
    }

    /// Repeats a line of another run of this program as it is.
    pub(crate) fn relay(&self, line: &str) {
        self.to_out(|out| writeln!(out, "{line}"));
    }

    /// Makes sure that a reader sees now what was written so far.
    pub(crate) fn flush(&self) {
        self.to_out(|out| out.flush());
    }

    fn to_out(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if self.is_closed() {
            return;
        }
        let result = self.beside_bar(|| write(&mut *lock(&self.out)));
        self.keep_error(result);
    }

    fn to_err(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        // There is nowhere left to say that stderr is gone.
        let _ = self.beside_bar(|| write(&mut *lock(&self.err)));
    }

    fn keep_error(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.is_closed.store(true, Ordering::Relaxed);
            if error.kind() != io::ErrorKind::BrokenPipe {
                *lock(&self.lost) = Some(error);
            }
        }
    }

    fn beside_bar<T>(&self, write: impl FnOnce() -> T) -> T {
        let bar = lock(&self.bar).clone();
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// Stdout, for the bytes of a file.
#[derive(Debug)]
pub(crate) struct Data<'a>(&'a Output);

impl Write for Data<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = lock(&self.0.out).write(bytes);
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            self.0.is_closed.store(true, Ordering::Relaxed);
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        lock(&self.0.out).flush()
    }
}

#[cfg(test)]
pub(crate) mod tests;

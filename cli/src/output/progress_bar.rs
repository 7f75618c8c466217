//! Progress of a running command: a bar on a terminal, a line now and then elsewhere, or objects.
//!
//! One thread waits on a condition and wakes only to show something; ending it never waits for its
//! next turn. The time left is shown only while the total stands still and the rate is known.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use super::json::Object;
use super::{Output, escape, lock};
use crate::size;

/// Between two drawings of the bar.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// Span over which the rate is taken, and over which a total must stand still to be believed.
const RATE_OVER: Duration = Duration::from_secs(10);
/// Before this the rate says nothing.
const RATE_AFTER: Duration = Duration::from_secs(3);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Display {
    /// Not at all.
    Off,
    /// As a bar on stderr.
    Bar,
    /// As a line on stderr, so often.
    Lines(Duration),
    /// As an object on stdout, so often.
    Status(Duration),
}

/// Shows progress until it is dropped.
#[derive(Debug)]
pub(crate) struct Reporter {
    output: Arc<Output>,
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    /// Starts to show progress; a thread that cannot be started leaves the command without.
    pub(crate) fn start(output: &Arc<Output>, progress: &Arc<Progress>, display: Display) -> Self {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let every = match display {
            Display::Off => None,
            Display::Bar => {
                *lock(&output.bar) = Some(bar());
                Some(DRAW_EVERY)
            }
            Display::Lines(every) | Display::Status(every) => Some(every),
        };
        let thread = every.and_then(|every| {
            let (output, progress, stop) =
                (Arc::clone(output), Arc::clone(progress), Arc::clone(&stop));
            std::thread::Builder::new()
                .name("progress".into())
                .spawn(move || show_until_stopped(&output, &progress, display, every, &stop))
                .ok()
        });
        Self { output: Arc::clone(output), stop, thread }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        *lock(&self.stop.0) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has shown why; the command goes on.
            let _ = thread.join();
        }
        let bar = lock(&self.output.bar).take();
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    // Falls back to the plain style of the library should the template ever be refused.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style.tick_chars("-\\|/ "));
    }
    bar
}

fn show_until_stopped(
    output: &Output,
    progress: &Progress,
    display: Display,
    every: Duration,
    stop: &(Mutex<bool>, Condvar),
) {
    let start = Instant::now();
    let mut meter = Meter::default();
    let mut stopped = lock(&stop.0);
    loop {
        let next = stop.1.wait_timeout_while(stopped, every, |stopped| !*stopped);
        let (guard, _) = next.unwrap_or_else(std::sync::PoisonError::into_inner);
        if *guard {
            return;
        }
        drop(guard);
        let seen = meter.see(start.elapsed(), progress);
        show(output, &seen, display);
        stopped = lock(&stop.0);
    }
}

fn show(output: &Output, seen: &Seen, display: Display) {
    match display {
        Display::Off => {}
        Display::Bar => {
            let bar = lock(&output.bar).clone();
            if let Some(bar) = bar {
                bar.set_message(seen.bar_line(output.step()));
                bar.tick();
            }
        }
        Display::Lines(_) => output.note(&seen.line(output.step())),
        Display::Status(_) => output.object_now(&seen.object(output.step())),
    }
}

/// Rate of a running command, from what was seen last.
#[derive(Debug, Default)]
struct Meter {
    seen: VecDeque<(Duration, u64, u64)>,
}

impl Meter {
    fn see(&mut self, elapsed: Duration, progress: &Progress) -> Seen {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let mut seen = Seen {
            elapsed,
            files: load(&progress.files_done),
            files_total: load(&progress.files_total),
            bytes: load(&progress.bytes_done),
            bytes_total: load(&progress.bytes_total),
            bytes_stored: load(&progress.bytes_stored),
            errors: load(&progress.errors),
            rate: None,
            left: None,
            current: progress.current(),
        };
        self.seen.push_back((elapsed, seen.bytes, seen.bytes_total));
        // One older than the span is kept, so that slow turns still have something to compare with.
        while self.seen.len() > 2 && self.seen[1].0 + RATE_OVER <= elapsed {
            self.seen.pop_front();
        }
        let Some(&(since, bytes_before, _)) = self.seen.front() else { return seen };
        let span_ms = elapsed.saturating_sub(since).as_millis();
        if elapsed < RATE_AFTER || span_ms == 0 {
            return seen;
        }
        let rate = u128::from(seen.bytes.saturating_sub(bytes_before)) * 1000 / span_ms;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        let is_settled = self.seen.iter().all(|(_, _, total)| *total == seen.bytes_total);
        seen.rate = Some(rate);
        seen.left = seen
            .bytes_total
            .checked_sub(seen.bytes)
            .filter(|left| is_settled && *left > 0)
            .and_then(|left| left.checked_div(rate))
            .map(Duration::from_secs);
        seen
    }
}

/// Progress at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    elapsed: Duration,
    files: u64,
    files_total: u64,
    bytes: u64,
    bytes_total: u64,
    bytes_stored: u64,
    errors: u64,
    rate: Option<u64>,
    left: Option<Duration>,
    current: Vec<u8>,
}

impl Seen {
    fn line(&self, step: &str) -> String {
        let mut parts = Vec::new();
        if self.bytes_total > 0 {
            parts.push(format!("{} %", percent(self.bytes, self.bytes_total)));
            parts.push(format!(
                "{} of {}",
                size::format(self.bytes),
                size::format(self.bytes_total.max(self.bytes))
            ));
        } else if self.bytes > 0 {
            parts.push(size::format(self.bytes));
        }
        if self.files_total > 0 {
            parts.push(format!("{} of {} files", self.files, self.files_total.max(self.files)));
        } else if self.files > 0 {
            parts.push(format!("{} files", self.files));
        }
        if self.bytes_stored > 0 {
            parts.push(format!("{} stored", size::format(self.bytes_stored)));
        }
        if let Some(rate) = self.rate {
            parts.push(format!("{}/s", size::format(rate)));
        }
        if self.errors > 0 {
            parts.push(format!("{} warnings", self.errors));
        }
        parts.push(match self.left {
            Some(left) => format!("{} left", size::format_span(left)),
            None => size::format_span(self.elapsed),
        });
        let parts = parts.join(", ");
        if step.is_empty() { parts } else { format!("{step}: {parts}") }
    }

    fn bar_line(&self, step: &str) -> String {
        let line = self.line(step);
        if self.current.is_empty() {
            escape::text(&line)
        } else {
            format!("{}  {}", escape::text(&line), escape::name(&self.current))
        }
    }

    fn object(&self, step: &'static str) -> Object {
        Object::new("status")
            .field("step", step)
            .field("seconds", self.elapsed.as_secs())
            .field("files_done", self.files)
            .field("files_total", self.files_total)
            .field("bytes_done", self.bytes)
            .field("bytes_total", self.bytes_total)
            .field("bytes_stored", self.bytes_stored)
            .field("warnings", self.errors)
            .field("bytes_per_second", self.rate)
            .field("seconds_left", self.left.map(|left| left.as_secs()))
            .name("current", &self.current)
    }
}

fn percent(done: u64, total: u64) -> u128 {
    (u128::from(done) * 100 / u128::from(total.max(1))).min(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::streams;
    use crate::settings::Verbosity;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn progress(bytes: u64, total: u64) -> Progress {
        let progress = Progress::default();
        progress.bytes_done.store(bytes, Ordering::Relaxed);
        progress.bytes_total.store(total, Ordering::Relaxed);
        progress.files_done.store(3, Ordering::Relaxed);
        progress
    }

    #[test]
    fn the_rate_is_taken_over_the_last_seconds() {
        let mut meter = Meter::default();
        assert_eq!(meter.see(seconds(1), &progress(0, 0)).rate, None);
        for at in 2..=20 {
            meter.see(seconds(at), &progress(at << 20, 0));
        }
        let seen = meter.see(seconds(21), &progress((20 << 20) + (11 << 20), 0));
        assert_eq!(seen.rate, Some(2 << 20));
        assert_eq!(seen.left, None);
    }

    #[test]
    fn the_time_left_is_told_only_once_the_total_stands_still() {
        let mut meter = Meter::default();
        meter.see(seconds(0), &progress(0, 50));
        assert_eq!(meter.see(seconds(5), &progress(50, 100)).left, None);
        meter.see(seconds(20), &progress(60, 100));
        assert_eq!(meter.see(seconds(30), &progress(80, 100)).left, Some(seconds(10)));
        let done = meter.see(seconds(31), &progress(100, 100));
        assert_eq!(done.left, None);
    }

    #[test]
    fn a_stalled_command_shows_no_time_left() {
        let mut meter = Meter::default();
        meter.see(seconds(0), &progress(10, 100));
        let seen = meter.see(seconds(30), &progress(10, 100));
        assert_eq!((seen.rate, seen.left), (Some(0), None));
        assert_eq!(seen.line("writing"), "writing: 10 %, 10 B of 100 B, 3 files, 0 B/s, 30 s");
    }

    #[test]
    fn a_path_being_handled_is_escaped() {
        let progress = progress(1, 0);
        progress.set_current(b"/a\x1b[2J");
        let seen = Meter::default().see(seconds(1), &progress);
        assert_eq!(seen.bar_line(""), "1 B, 3 files, 1 s  /a\\x1b[2J");
    }

    #[test]
    fn status_objects_have_all_counters() {
        let (streams, out, _) = streams();
        let output = Output::new(streams, true, Verbosity::Normal);
        let seen = Meter::default().see(seconds(1), &progress(1, 2));
        show(&output, &seen, Display::Status(seconds(1)));
        assert_eq!(
            out.text(),
            "{\"type\":\"status\",\"v\":1,\"step\":\"\",\"seconds\":1,\"files_done\":3,\
             \"files_total\":0,\"bytes_done\":1,\"bytes_total\":2,\"bytes_stored\":0,\
             \"warnings\":0,\"bytes_per_second\":null,\"seconds_left\":null,\"current\":\"\"}\n"
        );
    }

    #[test]
    fn a_reporter_shows_lines_and_ends_without_waiting_for_its_turn() {
        let (streams, _, err) = streams();
        let output = Arc::new(Output::new(streams, false, Verbosity::Normal));
        let start = Instant::now();
        drop(Reporter::start(&output, &Arc::default(), Display::Lines(seconds(3600))));
        assert!(start.elapsed() < seconds(60));
        assert_eq!(err.text(), "");
        show(
            &output,
            &Meter::default().see(seconds(1), &progress(1, 2)),
            Display::Lines(seconds(1)),
        );
        assert_eq!(err.text(), "50 %, 1 B of 2 B, 3 files, 1 s\n");
    }
}

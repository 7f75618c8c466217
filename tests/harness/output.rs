//! What a run of the program left: its code, its streams, and its JSON Lines.

use std::process::Command;

use serde_json::Value;

/// How a run ended and what it wrote.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub shown: String,
    /// Exit code; none for a run ended by a signal.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr, with foreign bytes replaced.
    pub stderr: String,
}

impl Output {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        let output = command.output().unwrap_or_else(|error| panic!("{shown}: {error}"));
        Self::new(shown, output)
    }

    /// Takes what a finished process left.
    pub fn new(shown: String, output: std::process::Output) -> Self {
        Self {
            shown,
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What it wrote to stdout, with foreign bytes replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Fails the test unless the run ended with this code.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert!(self.code == Some(code), "code {:?} instead of {code}\n{self}", self.code);
        self
    }

    /// Fails the test unless the run ended with 0.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.ends_with(0)
    }

    /// Fails the test unless stderr holds an error and a hint, and says `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr lacks {text:?}\n{self}");
        self
    }

    /// Fails the test unless stderr holds an error with a hint.
    #[track_caller]
    pub fn hints(self) -> Self {
        assert!(self.stderr.contains("error: "), "stderr names no error\n{self}");
        assert!(self.stderr.contains("hint: "), "stderr has no hint\n{self}");
        self
    }

    /// Every line of stdout as JSON.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.stdout).unwrap_or_else(|e| panic!("{e}\n{self}"));
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is cut\n{self}");
        let parse = |line: &str| {
            let value: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}\n{self}"));
            assert!(value["type"].is_string(), "a line without type: {line}");
            assert_eq!(value["v"], 1, "a line without version: {line}");
            value
        };
        text.lines().map(parse).collect()
    }

    /// Every line of one type.
    #[track_caller]
    pub fn of_type(&self, kind: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["type"] == kind).collect()
    }

    /// The summary, which must be there once and last.
    #[track_caller]
    pub fn summary(&self) -> Value {
        let lines = self.lines();
        let count = lines.iter().filter(|line| line["type"] == "summary").count();
        assert_eq!(count, 1, "{count} summaries\n{self}");
        let last = lines.last().unwrap().clone();
        assert_eq!(last["type"], "summary", "the summary is not last\n{self}");
        assert_eq!(last["exit_code"].as_i64(), self.code.map(i64::from), "{self}");
        last
    }

    /// The one error line, which must have every field of the contract.
    #[track_caller]
    pub fn error(&self) -> Value {
        let mut errors = self.of_type("error");
        assert_eq!(errors.len(), 1, "{} errors\n{self}", errors.len());
        let error = errors.remove(0);
        assert_eq!(error["code"].as_i64(), self.code.map(i64::from), "{self}");
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()), "{self}");
        assert!(error["hint"].is_string() || error["hint"].is_null(), "{self}");
        assert!(error["retryable"].is_boolean(), "{self}");
        error
    }

    /// A number of the summary.
    #[track_caller]
    pub fn number(&self, field: &str) -> u64 {
        self.summary()[field].as_u64().unwrap_or_else(|| panic!("no number {field}\n{self}"))
    }

    /// A text of the summary.
    #[track_caller]
    pub fn field(&self, field: &str) -> String {
        let summary = self.summary();
        let text = summary[field].as_str();
        text.unwrap_or_else(|| panic!("no text {field}\n{self}")).to_owned()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.text();
        let tail = text.len().saturating_sub(4000);
        let tail = (tail..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        writeln!(f, "command: {}\ncode: {:?}", self.shown, self.code)?;
        write!(f, "stdout:\n{}\nstderr:\n{}", &text[tail..], self.stderr)
    }
}

//! What every command is given: settings, output, clock, progress and cancel.

use std::sync::Arc;

use engine::{Ambient, Finding, Progress, Severity};

use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output::json::Object;
use crate::output::{Display, Output, Reporter};
use crate::settings::{Settings, Verbosity};

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// Settings of this run.
    pub(crate) settings: Settings,
    /// Variables of the process.
    pub(crate) environment: Environment,
    /// Where results go.
    pub(crate) output: Arc<Output>,
    /// For the verbs of the engine.
    pub(crate) ambient: Ambient,
    display: Display,
}

impl Context {
    /// Puts a context together.
    pub(crate) fn new(
        settings: Settings,
        environment: Environment,
        output: Arc<Output>,
        is_terminal: bool,
    ) -> Self {
        let is_verbose = settings.verbosity == Verbosity::Verbose;
        let progress = Arc::new(Progress::new(is_verbose, output.listener()));
        let ambient = Ambient { progress, ..Ambient::default() };
        let display = settings.display(is_terminal);
        Self { settings, environment, output, ambient, display }
    }

    /// Shows progress until the reporter is dropped.
    pub(crate) fn report_progress(&self) -> Reporter {
        Reporter::start(&self.output, &self.ambient.progress, self.display)
    }
}

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Done {
    /// Code to end with.
    pub(crate) code: ExitCode,
    /// Fields of the summary.
    pub(crate) summary: Object,
}

impl Done {
    /// Ends well, with the fields of the summary.
    pub(crate) fn well(summary: Object) -> Self {
        Self { code: ExitCode::Done, summary }
    }

    /// Ends well, unless something was found that is damaged.
    pub(crate) fn with_findings(findings: &[Finding], summary: Object) -> Self {
        let is_damage = findings.iter().any(|finding| finding.severity > Severity::Notice);
        let code = if is_damage { ExitCode::Damage } else { ExitCode::Done };
        Self { code, summary }
    }
}

impl Default for Done {
    fn default() -> Self {
        Self::well(Object::default())
    }
}

/// How a command ended.
pub(crate) type Outcome = Result<Done, Failure>;

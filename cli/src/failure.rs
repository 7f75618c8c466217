//! Why a command ended early, in the words of the command line: kind, message, hint.

use engine::error::Kind;

use crate::exit_code::{ExitCode, meaning};

/// Error of a command, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Code to end with.
    pub(crate) code: ExitCode,
    /// Name of the kind in JSON.
    pub(crate) name: &'static str,
    /// Lower case: what, which object, why.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// Whether the same command may succeed later.
    pub(crate) is_retryable: bool,
}

impl Failure {
    /// Makes a failure with the hint of its kind.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        let meaning = meaning(kind);
        Self {
            code: meaning.code,
            name: meaning.name,
            message: message.into(),
            hint: meaning.hint.map(str::to_owned),
            is_retryable: kind == Kind::Interrupted,
        }
    }

    /// Makes a failure about a setting.
    pub(crate) fn setting(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidSetting, message)
    }

    /// Makes a failure about the command line, as clap would.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: ExitCode::Usage,
            name: "usage",
            message: message.into(),
            hint: Some(
                "`strongroom help` lists the commands, `strongroom help COMMAND` their options"
                    .into(),
            ),
            is_retryable: false,
        }
    }

    /// Replaces the hint.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        let is_retryable = error.is_retryable();
        Self { is_retryable, ..Self::new(error.kind(), error.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_engine_keeps_its_chain_and_gets_its_hint() {
        let error = engine::Error::caused(
            Kind::NoRepository,
            "opening /srv/b",
            std::io::Error::other("no marker"),
        );
        let failure = Failure::from(error);
        assert_eq!(failure.message, "opening /srv/b: no marker");
        assert_eq!(failure.code.number(), 10);
        assert!(failure.hint.unwrap().contains("strongroom init"));
        assert!(!failure.is_retryable);
    }
}

//! Says what a failed call to an object store means.
//!
//! A write is only called failed when the server said so; without a clear answer it is ambiguous.

use std::sync::Arc;
use std::time::Duration;

use super::watch::{Notes, Seen};
use crate::store::{Cause, Error};

/// Longest text of a server that is passed on, in characters.
const TEXT_MAX: usize = 300;

/// Kinds of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Put,
    Get,
    List,
    Delete,
}

impl Action {
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Put => "writing",
            Self::Get => "reading",
            Self::List => "listing",
            Self::Delete => "deleting",
        }
    }
}

/// What a failure needs to be understood.
#[derive(Debug, Clone)]
pub(super) struct Context {
    action: Action,
    object: String,
    place: Arc<str>,
    seen: Seen,
}

impl Context {
    pub(super) fn new(action: Action, object: &str, place: Arc<str>, seen: Seen) -> Self {
        Self { action, object: object.to_owned(), place, seen }
    }

    /// An error of this call.
    pub(super) fn error(&self, cause: Cause, message: String) -> Error {
        let mut error = Error::new(cause, self.action.verb(), self.object.as_str(), message);
        if error.is_retryable() {
            error.retry_after = self.seen.notes().retry_after;
        }
        error
    }

    /// The server said nothing for too long.
    pub(super) fn silence(&self, patience: Duration) -> Error {
        self.error(self.unclear(), format!("no answer for {} seconds", patience.as_secs()))
    }

    /// Cause of a failure after which the outcome is open.
    const fn unclear(&self) -> Cause {
        match self.action {
            Action::Put => Cause::Ambiguous,
            _ => Cause::Unavailable,
        }
    }

    /// Turns the client's error into ours.
    pub(super) fn failure(&self, error: &object_store::Error) -> Error {
        let notes = self.seen.notes();
        let full = chain(error);
        let code = element(&full, "Code").unwrap_or("");
        if notes.was_for_credentials {
            let message =
                "no credentials: none in the environment, in a profile or from the machine's cloud";
            return self.error(Cause::Denied, message.to_owned());
        }
        let cause = self.cause(error, notes, &full, code);
        let message = match cause {
            Cause::NotFound => "not found".to_owned(),
            Cause::AlreadyExists => "exists already".to_owned(),
            _ => message(&full, code, notes.status),
        };
        if matches!(code, "NoSuchBucket" | "ContainerNotFound") {
            let message = "there is no such bucket".to_owned();
            let object = self.place.to_string();
            return Error { object, ..self.error(Cause::NotFound, message) };
        }
        self.error(cause, message)
    }

    fn cause(&self, error: &object_store::Error, notes: Notes, full: &str, code: &str) -> Cause {
        use object_store::Error as E;
        if let Some(cause) = full_or_slow(code) {
            return cause;
        }
        match notes.status {
            Some(404) => Cause::NotFound,
            Some(304 | 412) if self.action == Action::Put => Cause::AlreadyExists,
            // A conflict of two writers that neither has won yet is no object that exists.
            Some(409) if full.contains("AlreadyExists") => Cause::AlreadyExists,
            Some(401 | 403 | 407) => Cause::Denied,
            Some(416) => Cause::OutOfRange,
            Some(429) => Cause::Throttled,
            Some(501) => Cause::Unsupported,
            Some(503) if notes.retry_after.is_some() => Cause::Throttled,
            Some(408 | 409 | 425 | 503) => Cause::Unavailable,
            Some(507) => Cause::Full,
            Some(500..) => self.unclear(),
            Some(300..) => Cause::Other,
            // The answer began well, or there was none.
            _ if notes.is_unreached => Cause::Unavailable,
            _ if notes.requests > 0 && matches!(error, E::Generic { .. }) => self.unclear(),
            _ => match error {
                E::NotFound { .. } => Cause::NotFound,
                E::AlreadyExists { .. } => Cause::AlreadyExists,
                E::PermissionDenied { .. } | E::Unauthenticated { .. } => Cause::Denied,
                E::NotSupported { .. } | E::NotImplemented { .. } | E::InvalidPath { .. } => {
                    Cause::Unsupported
                }
                _ => Cause::Other,
            },
        }
    }
}

/// Codes that mean more than their status.
fn full_or_slow(code: &str) -> Option<Cause> {
    Some(match code {
        "SlowDown" | "RequestLimitExceeded" | "TooManyRequests" | "ServerBusy" => Cause::Throttled,
        "QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" => Cause::Full,
        "ExpiredToken" | "InvalidToken" | "AuthorizationHeaderMalformed" => Cause::Denied,
        "RequestTimeout" => Cause::Unavailable,
        _ => return None,
    })
}

fn message(full: &str, code: &str, status: Option<u16>) -> String {
    let text = element(full, "Message").unwrap_or(if code.is_empty() { full } else { "" });
    let mut message = match (code, text) {
        ("", text) => text.to_owned(),
        (code, "") => code.to_owned(),
        (code, text) => format!("{code}: {text}"),
    };
    // What a server says may be long or meant for a terminal.
    if message.chars().count() > TEXT_MAX {
        message = message.chars().take(TEXT_MAX).chain("...".chars()).collect();
    }
    message = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match status {
        Some(status) if status >= 300 && !message.contains(&status.to_string()) => {
            format!("{message} (status {status})")
        }
        _ => message,
    }
}

/// Text of an error and of everything behind it, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

/// Content of the first element of this name in an XML answer.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(content, _)| content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(action: Action, status: Option<u16>, text: &str) -> Error {
        let seen = Seen::default();
        let is_unreached = text == "unreached";
        seen.note(Notes { status, is_unreached, ..Notes::default() });
        let error = object_store::Error::Generic { store: "S3", source: text.into() };
        Context::new(action, "packs/ab/1", "s3://b".into(), seen).failure(&error)
    }

    #[test]
    fn a_write_without_a_clear_answer_is_ambiguous() {
        for (status, text) in
            [(None, "reset"), (Some(200), "cut"), (Some(500), ""), (Some(504), "")]
        {
            assert_eq!(failed(Action::Put, status, text).cause, Cause::Ambiguous, "{status:?}");
            assert_eq!(failed(Action::Get, status, text).cause, Cause::Unavailable, "{status:?}");
        }
        assert_eq!(failed(Action::Put, None, "unreached").cause, Cause::Unavailable);
    }

    #[test]
    fn statuses_and_codes_become_causes() {
        let cases = [
            (412, "", Cause::AlreadyExists),
            (409, "<Code>BlobAlreadyExists</Code>", Cause::AlreadyExists),
            (409, "<Code>ConditionalRequestConflict</Code>", Cause::Unavailable),
            (403, "<Code>AccessDenied</Code>", Cause::Denied),
            (403, "<Code>QuotaExceeded</Code>", Cause::Full),
            (507, "", Cause::Full),
            (503, "<Code>SlowDown</Code>", Cause::Throttled),
            (503, "", Cause::Unavailable),
            (429, "", Cause::Throttled),
            (416, "", Cause::OutOfRange),
            (501, "<Code>NotImplemented</Code>", Cause::Unsupported),
            (400, "<Code>InvalidRequest</Code>", Cause::Other),
            (301, "", Cause::Other),
        ];
        for (status, text, cause) in cases {
            assert_eq!(failed(Action::Put, Some(status), text).cause, cause, "{status} {text}");
        }
    }

    #[test]
    fn an_absent_bucket_is_named_in_place_of_the_object() {
        let error = failed(Action::Get, Some(404), "<Code>NoSuchBucket</Code>");
        assert_eq!((error.cause, error.object.as_str()), (Cause::NotFound, "s3://b"));
        let error = failed(Action::Get, Some(404), "<Code>NoSuchKey</Code>");
        assert_eq!((error.cause, error.object.as_str()), (Cause::NotFound, "packs/ab/1"));
    }

    #[test]
    fn what_a_server_says_is_cut_and_cleaned() {
        let text = format!("<Code>X</Code><Message>\u{1b}[31m{}</Message>", "y".repeat(9000));
        let message = failed(Action::Get, Some(400), &text).message;
        assert!(message.len() < 400 && !message.contains('\u{1b}'), "{message}");
        assert!(message.starts_with("X: ") && message.ends_with("(status 400)"), "{message}");
    }
}

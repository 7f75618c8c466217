//! Notes how a server answered, because the client's errors do not say it.
//!
//! The notes of a call live in its own task, so calls under way at once do not mix.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Notes of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Notes>>);

/// What the last request of a call came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Notes {
    /// Requests sent.
    pub(super) requests: u32,
    /// Status of the answer; none when there was no answer.
    pub(super) status: Option<u16>,
    /// Pause that the answer asks for.
    pub(super) retry_after: Option<Duration>,
    /// The server was never reached.
    pub(super) is_unreached: bool,
    /// The request asked this machine's cloud for credentials, not the store for an object.
    pub(super) was_for_credentials: bool,
}

tokio::task_local! {
    static SEEN: Seen;
}

impl Seen {
    /// Runs `call` with these notes at hand.
    pub(super) fn watch<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        SEEN.scope(self.clone(), call)
    }

    /// What was noted so far.
    pub(super) fn notes(&self) -> Notes {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, notes: Notes) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Notes { requests: seen.requests.saturating_add(1), ..notes };
    }
}

pub(super) use connector::Watch;

mod connector {
    use std::pin::Pin;

    use object_store::ClientOptions;
    use object_store::client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpService, ReqwestConnector,
    };

    use super::{Duration, Future, Notes, SEEN};

    /// Addresses at which clouds hand out credentials to their own machines.
    const CREDENTIAL_HOSTS: [&str; 4] =
        ["169.254.169.254", "169.254.170.2", "169.254.170.23", "metadata.google.internal"];

    /// Makes clients that note how servers answer.
    #[derive(Debug, Default)]
    pub(in super::super) struct Watch(ReqwestConnector);

    impl HttpConnector for Watch {
        fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
            self.0.connect(options).map(|client| HttpClient::new(Watched(client)))
        }
    }

    #[derive(Debug)]
    struct Watched(HttpClient);

    type Answer = Result<HttpResponse, HttpError>;

    impl HttpService for Watched {
        fn call<'life0, 'async_trait>(
            &'life0 self,
            request: HttpRequest,
        ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async move {
                let host = request.uri().host().unwrap_or("");
                let was_for_credentials = CREDENTIAL_HOSTS.contains(&host);
                let answer = self.0.execute(request).await;
                let notes = Notes { was_for_credentials, ..notes(&answer) };
                // Outside a watched call there is nobody to tell.
                let _ = SEEN.try_with(|seen| seen.note(notes));
                answer
            })
        }
    }

    fn notes(answer: &Answer) -> Notes {
        match answer {
            Ok(answer) => {
                let asked = answer.headers().get("retry-after");
                let asked = asked.and_then(|value| value.to_str().ok()).and_then(retry_after);
                let status = Some(answer.status().as_u16());
                Notes { status, retry_after: asked, ..Notes::default() }
            }
            Err(error) => {
                let is_unreached = error.kind() == HttpErrorKind::Connect;
                Notes { is_unreached, ..Notes::default() }
            }
        }
    }

    /// Reads seconds or a date.
    fn retry_after(value: &str) -> Option<Duration> {
        if let Ok(seconds) = value.trim().parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
        let pause = date.as_second().saturating_sub(jiff::Timestamp::now().as_second());
        Some(Duration::from_secs(u64::try_from(pause).unwrap_or(0)))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn pauses_are_read_as_seconds_and_as_dates() {
            assert_eq!(retry_after("120"), Some(Duration::from_mins(2)));
            assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
            assert!(retry_after("Fri, 06 Nov 2093 08:49:37 GMT").unwrap().as_secs() > 1 << 30);
            assert_eq!(retry_after("soon"), None);
            assert_eq!(retry_after("-5"), None);
        }
    }
}

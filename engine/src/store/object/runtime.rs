//! The one place where the engine waits for asynchronous work.
//!
//! One small runtime serves every bucket of the process; the calling thread drives its own call, so
//! the work of several callers spreads over their threads.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::store::{Cause, Error, Result};

/// Threads that keep connections alive beside the callers.
const THREADS: usize = 2;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Runs `future` to its end and blocks the calling thread meanwhile.
///
/// May be called from any thread, also from within another runtime.
pub(super) fn block_on<F>(future: F) -> Result<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = runtime()?;
    if Handle::try_current().is_err() {
        return Ok(runtime.block_on(future));
    }
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    runtime.spawn(async move { sender.send(future.await).ok() });
    receiver.recv().map_err(|_| failed("a call to the store broke off".to_owned()))
}

fn runtime() -> Result<&'static Runtime> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("store")
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    // Whoever comes second drops his own, which has nothing to do yet.
    Ok(RUNTIME.get_or_init(|| runtime))
}

fn failed(message: String) -> Error {
    Error::new(Cause::Other, "opening", "network", message)
}

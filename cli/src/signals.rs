//! Ctrl-C and TERM: the first asks the command to finish what is in flight, the second ends at
//! once.
//!
//! Ending at once is safe: nothing that a repository needs depends on a clean exit. The second one
//! is served inside the signal handler, so that no stuck thread can hold it up.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use engine::Cancel;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::exit_code::ExitCode;
use crate::output::Output;

/// Starts to listen. HUP keeps what it was, so that a run under nohup outlives its terminal.
pub(crate) fn listen(cancel: &Cancel, output: &Arc<Output>) -> std::io::Result<()> {
    let was_asked = Arc::new(AtomicBool::new(false));
    let code = ExitCode::Interrupted.number().into();
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset and sets it.
        flag::register_conditional_shutdown(signal, code, Arc::clone(&was_asked))?;
        flag::register(signal, Arc::clone(&was_asked))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (cancel, output) = (cancel.clone(), Arc::clone(output));
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            cancel.cancel();
            output.note("stopping: finishing what is in flight; once more stops at once");
        }
    })?;
    Ok(())
}

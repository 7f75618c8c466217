//! A mount that goes on after the command has ended: the same command once more as a process of its
//! own, which says when the mount answers.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use engine::error::Kind;
use engine::repo::Secret;

use crate::context::{Context, Done, Outcome};
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::output::escape;
use crate::output::json::Object;
use crate::password::{Source, Terminal};

/// Variable by which the process that goes on knows what it is.
const STAGE: &str = "STRONGROOM_MOUNT_STAGE";
/// Its value.
const CHILD: &str = "background";
/// What that process says on stdout once the mount answers.
const READY: &[u8] = b"ready\n";

/// Says whether this is the process that goes on.
pub(super) fn is_child(environment: &Environment) -> bool {
    environment.get(STAGE).is_some_and(|stage| stage == CHILD)
}

/// Starts the process that goes on, and waits until its mount answers or it has failed.
pub(super) fn start(target: &Path, context: &Context) -> Outcome {
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Other, format!("starting the mount in the background: {error}"))
            .hint("--foreground needs no other process")
    };
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(STAGE, CHILD).stdout(Stdio::piped());
    // A person is asked here, where there is a terminal, and the answer handed on.
    let asked = match &context.settings.secret {
        Source::Terminal => Some(context.settings.secret.read(&Terminal)?),
        _ => None,
    };
    if asked.is_some() {
        command.env("STRONGROOM_PASSWORD_FILE", "/dev/stdin").stdin(Stdio::piped());
    }
    let mut child = command.spawn().map_err(failed)?;
    if let (Some(Secret::Passphrase(password)), Some(mut stdin)) = (asked, child.stdin.take()) {
        // A process that has ended already says why by its exit code.
        let _ = stdin.write_all(&password);
    }
    let mut said = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut said).map_err(failed)?;
    }
    if said.ends_with(READY) {
        let path = target.as_os_str().as_encoded_bytes();
        let shown = escape::name(path);
        context.output.line(&format!("mounted on {shown}; `umount {shown}` ends it"));
        context.output.object(&Object::new("mounted").name("path", path));
        return Ok(Done::well(Object::default().field("process", child.id())));
    }
    ended_early(&mut child, &said, context).map_err(failed)
}

/// Repeats what the process said; its summary is ours to say.
fn ended_early(child: &mut Child, said: &[u8], context: &Context) -> std::io::Result<Done> {
    let status = child.wait()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let code = code.and_then(ExitCode::of).filter(|code| *code != ExitCode::Done);
    let text = String::from_utf8_lossy(said);
    for line in text.lines().filter(|line| !line.contains(r#""type":"summary""#)) {
        context.output.relay(line);
    }
    Ok(Done { code: code.unwrap_or(ExitCode::Failed), summary: Object::default() })
}

/// Leaves the terminal that the command was typed on, so that its end ends nothing here.
pub(super) fn leave_terminal() {
    // Only a leader of a group fails, and has left already.
    let _ = rustix::process::setsid();
}

/// Says that the mount answers, and lets go of streams that someone may wait for the end of.
pub(super) fn say_ready(context: &Context) {
    context.output.flush();
    let _ = rustix::io::write(rustix::stdio::stdout(), READY);
    let Ok(nothing) = std::fs::File::options().read(true).write(true).open("/dev/null") else {
        return;
    };
    let _ = rustix::stdio::dup2_stdout(nothing.as_fd());
    let _ = rustix::stdio::dup2_stdin(nothing.as_fd());
    // Where stderr is a terminal or a file, damage is still told there.
    let is_kept = std::io::stderr().is_terminal()
        || rustix::fs::fstat(std::io::stderr())
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file());
    if !is_kept {
        let _ = rustix::stdio::dup2_stderr(nothing.as_fd());
    }
}

//! The independent reader, run as a program: the judge of what the project writes, made from
//! SPEC.md by other means.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::output::Output;
use crate::repository_tree::root;

/// What opens a repository for the reader.
#[derive(Debug, Clone)]
pub enum Key {
    /// A file with the password.
    PasswordFile(PathBuf),
    /// A key file.
    KeyFile(PathBuf),
}

/// Runs the reader on a repository in a folder: the verb, then what it takes after the folder.
pub fn run(verb: &str, repository: &Path, more: &[&str], key: &Key) -> Output {
    let mut command = python("strongroom_reader.py");
    command.arg(verb).arg(repository).args(more);
    match key {
        Key::PasswordFile(path) => command.arg("--password-file").arg(path),
        Key::KeyFile(path) => command.arg("--key-file").arg(path),
    };
    with_packages(Output::of(&mut command))
}

/// Holds the reader's decoders against every vector.
pub fn check_vectors() -> Output {
    with_packages(Output::of(&mut python("check_vectors.py")))
}

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    // Left-over byte code would be files of nobody in the sources.
    command.arg("-B").arg(root().join("tests/reader").join(script)).env("LANG", "C.UTF-8");
    command
}

/// Fails with what to do where the packages of the reader are not installed.
#[track_caller]
fn with_packages(output: Output) -> Output {
    let is_bare = output.stderr.contains("ModuleNotFoundError");
    assert!(!is_bare, "run .ci/setup and put its python3 first in PATH\n{output}");
    output
}

//! Where the password or key file comes from: the first source that is named, and no other.
//!
//! Secrets live in memory that is wiped when it is freed; none is ever printed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engine::error::Kind;
use engine::repo::Secret;
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::failure::Failure;

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;
/// Longest key file, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 1 << 20;
/// Name of the systemd credential that holds the password.
const CREDENTIAL: &str = "strongroom.password";

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A key file.
    KeyFile(PathBuf),
    /// A file that holds the password.
    File(PathBuf),
    /// A command that prints the password.
    Command(String),
    /// A password given in an environment variable.
    Variable(Zeroizing<Vec<u8>>),
    /// Someone at a terminal.
    Terminal,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::KeyFile(path) => f.debug_tuple("KeyFile").field(path).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(_) => f.write_str("Command(..)"),
            Self::Variable(_) => f.write_str("Variable(..)"),
            Self::Terminal => f.write_str("Terminal"),
        }
    }
}

/// Sources named on the command line; clap lets at most one through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Named {
    /// A key file.
    pub(crate) key_file: Option<PathBuf>,
    /// A file that holds the password.
    pub(crate) file: Option<PathBuf>,
    /// A command that prints the password.
    pub(crate) command: Option<String>,
}

impl Source {
    /// Chooses the source: the command line, then the environment, then a terminal.
    pub(crate) fn choose(named: Named, environment: &Environment) -> Result<Self, Failure> {
        if let Some(source) = Self::named(named) {
            return Ok(source);
        }
        if let Some(path) = environment.get("STRONGROOM_PASSWORD_FILE") {
            return Ok(Self::File(path.into()));
        }
        if environment.get("STRONGROOM_PASSWORD_COMMAND").is_some() {
            return environment.text("STRONGROOM_PASSWORD_COMMAND").map(|command| {
                command.map_or(Self::Terminal, |command| Self::Command(command.to_owned()))
            });
        }
        if let Some(password) = environment.get("STRONGROOM_PASSWORD") {
            use std::os::unix::ffi::OsStrExt;
            return Ok(Self::Variable(Zeroizing::new(password.as_bytes().to_vec())));
        }
        if let Some(folder) = environment.get("CREDENTIALS_DIRECTORY") {
            let path = Path::new(folder).join(CREDENTIAL);
            if path.exists() {
                return Ok(Self::File(path));
            }
        }
        Ok(Self::Terminal)
    }

    /// Chooses among the sources of the command line alone; none means a terminal.
    pub(crate) fn named(named: Named) -> Option<Self> {
        let Named { key_file, file, command } = named;
        key_file.map(Self::KeyFile).or(file.map(Self::File)).or(command.map(Self::Command))
    }

    /// Reads the secret that opens a repository.
    pub(crate) fn read(&self, person: &dyn Person) -> Result<Secret, Failure> {
        self.read_with(
            || {
                let password = ask(person, "password of the repository: ")?;
                Ok(password)
            },
            person,
        )
    }

    /// Reads a new secret; a person is asked twice.
    pub(crate) fn read_new(&self, person: &dyn Person) -> Result<Secret, Failure> {
        self.read_with(|| ask_twice(person), person)
    }

    fn read_with(
        &self,
        ask: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, Failure>,
        person: &dyn Person,
    ) -> Result<Secret, Failure> {
        match self {
            Self::KeyFile(path) => read_file("key file", path, KEY_FILE_BYTES_MAX)
                .and_then(|bytes| not_empty(bytes, "key file"))
                .map(Secret::KeyFile),
            Self::File(path) => {
                read_file("password file", path, PASSWORD_BYTES_MAX).and_then(password)
            }
            Self::Command(command) => run(command).and_then(password),
            Self::Variable(bytes) => not_empty(bytes.clone(), "password").map(Secret::Passphrase),
            Self::Terminal if person.is_there() => {
                ask().and_then(|bytes| not_empty(bytes, "password")).map(Secret::Passphrase)
            }
            Self::Terminal => Err(missing("no password was given, and there is no terminal to ask on")
                .hint("give --password-file, --password-command or --key-file, or set STRONGROOM_PASSWORD_FILE")),
        }
    }
}

/// Someone who may be asked.
pub(crate) trait Person {
    /// Says whether anyone is there.
    fn is_there(&self) -> bool;
    /// Asks for a password without showing it.
    fn ask_secret(&self, prompt: &str) -> io::Result<String>;
}

/// Whoever sits at the terminal of this process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Terminal;

impl Person for Terminal {
    fn is_there(&self) -> bool {
        (io::stdin().is_terminal() || io::stderr().is_terminal()) && File::open("/dev/tty").is_ok()
    }

    fn ask_secret(&self, prompt: &str) -> io::Result<String> {
        rpassword::prompt_password(prompt)
    }
}

fn ask(person: &dyn Person, prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match person.ask_secret(prompt) {
        Ok(password) => Ok(Zeroizing::new(password.into_bytes())),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            Err(Failure::new(Kind::Interrupted, "interrupted").hint("nothing was changed"))
        }
        Err(error) => Err(missing(format!("asking for the password: {error}"))),
    }
}

fn ask_twice(person: &dyn Person) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let first = ask(person, "new password: ")?;
    let second = ask(person, "the same again: ")?;
    if first == second {
        Ok(first)
    } else {
        Err(missing("the two passwords differ").hint("run the command again"))
    }
}

fn missing(message: impl Into<String>) -> Failure {
    Failure::new(Kind::WrongPassword, message)
}

fn not_empty(bytes: Zeroizing<Vec<u8>>, what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if bytes.is_empty() { Err(missing(format!("the {what} is empty"))) } else { Ok(bytes) }
}

/// Drops one line end, so that `echo secret > file` works, and refuses nothing at all.
fn password(mut bytes: Zeroizing<Vec<u8>>) -> Result<Secret, Failure> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    not_empty(bytes, "password").map(Secret::Passphrase)
}

fn read_file(what: &str, path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let fail =
        |error: &dyn std::fmt::Display| missing(format!("{what} {}: {error}", path.display()));
    let file = File::open(path).map_err(|error| fail(&error))?;
    read_all(file, bytes_max).map_err(|error| fail(&error))
}

fn read_all(source: impl Read, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for everything at once: a vector that grows leaves copies behind that nobody wipes.
    let room = usize::try_from(bytes_max).unwrap_or(usize::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    source.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        return Err(io::Error::other(format!("longer than {}", crate::size::format(bytes_max))));
    }
    Ok(bytes)
}

fn run(command: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // The words after the first may hold a secret, so only the first is ever shown.
    let words =
        split_words(command).map_err(|why| Failure::setting(format!("password command: {why}")))?;
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| Failure::setting("password command: there is no command"))?;
    let fail = |what: &dyn std::fmt::Display| {
        missing(format!("password command {}: {what}", program.to_string_lossy()))
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| fail(&error))?;
    let output = child.stdout.take().map_or_else(
        || Err(io::Error::other("no output")),
        |stdout| read_all(stdout, PASSWORD_BYTES_MAX),
    );
    // The pipe is closed by now, so a command that goes on writing ends by itself.
    let status = child.wait().map_err(|error| fail(&error))?;
    let output = output.map_err(|error| fail(&error))?;
    if status.success() { Ok(output) } else { Err(fail(&status)) }
}

/// Splits a command into words as a shell would, but expands nothing: spaces part words, single and
/// double quotes hold them together, a backslash takes the next character as it is.
pub(crate) fn split_words(command: &str) -> Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = command.chars();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (quote, '\\') if quote != Some('\'') => {
                let next = letters.next().ok_or("a backslash stands at the end")?;
                word.get_or_insert_default().push(next);
            }
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take().map(OsString::from)),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("a {open} is never closed"));
    }
    words.extend(word.map(OsString::from));
    Ok(words)
}

#[cfg(test)]
mod tests;

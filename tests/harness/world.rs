//! The pinned world of a test: folders of its own, and the shipped program with variables that do
//! not depend on who runs it.
//!
//! Every variable is cleared first, so nothing of the machine's own settings or repositories is
//! seen.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::output::Output;

/// Password of the repositories of the suite.
pub const PASSWORD: &str = "correct horse battery staple";

/// Folders and settings of one test; removed when dropped.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    program: PathBuf,
    /// Where the repository is: a path or a URL.
    pub place: String,
    variables: Vec<(String, String)>,
    user: Option<u32>,
}

impl World {
    /// Makes a world around the program; its repository is to be a folder.
    pub fn new(program: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("strongroom-suite-").tempdir().unwrap();
        for name in ["home", "source", "target"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let place = folder.path().join("repository").to_str().unwrap().to_owned();
        let program = PathBuf::from(program);
        Self { folder, program, place, variables: Vec::new(), user: None }
    }

    /// Puts the repository elsewhere.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }

    /// Sets a variable of the program.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs the program as another user, and gives the folders of the world to it; needs root.
    #[must_use]
    pub fn as_user(mut self, user: u32) -> Self {
        self.user = Some(user);
        let owner = Some(rustix::fs::Uid::from_raw(user));
        for path in [self.path(""), self.path("home"), self.path("source"), self.path("target")] {
            rustix::fs::chown(&path, owner, None).unwrap();
        }
        self
    }

    /// Gives a path to the user of the world, where that is another one.
    pub fn give(&self, path: &Path) {
        if let Some(user) = self.user {
            rustix::fs::chown(path, Some(rustix::fs::Uid::from_raw(user)), None).unwrap();
        }
    }

    /// A path in the folder of the world.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Folder to back up.
    pub fn source(&self) -> PathBuf {
        self.path("source")
    }

    /// Folder to restore to.
    pub fn target(&self) -> PathBuf {
        self.path("target")
    }

    /// Where a restore into `target` puts the source.
    pub fn restored(&self) -> PathBuf {
        self.target().join(self.source().strip_prefix("/").unwrap())
    }

    /// The folder of the repository, which must be a local one.
    pub fn repository(&self) -> PathBuf {
        assert!(!self.place.contains("://"), "{} is no folder", self.place);
        self.place.clone().into()
    }

    /// The program, ready to be given arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("STRONGROOM_REPO", &self.place)
            .env("STRONGROOM_PASSWORD", PASSWORD)
            .env("STRONGROOM_CACHE_DIR", self.path("cache"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(user) = self.user {
            use std::os::unix::process::CommandExt as _;
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs the program to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        let mut command = self.command();
        command.args(arguments);
        Output::of(&mut command)
    }

    /// Runs the program with `--json`.
    pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        let mut command = self.command();
        command.arg("--json").args(arguments);
        Output::of(&mut command)
    }

    /// Runs the program on what it is to read from stdin.
    pub fn feed<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Output {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped());
        let shown = format!("{command:?}");
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // A program that does not read to the end closes the pipe, and that is its business.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        Output::new(shown, output)
    }

    /// Creates the repository.
    pub fn init(&self) -> Output {
        self.json(["init"]).succeeds()
    }

    /// Backs the source up and gives the id of the snapshot.
    pub fn backup(&self) -> Output {
        self.json([OsStr::new("backup"), self.source().as_os_str()]).succeeds()
    }
}

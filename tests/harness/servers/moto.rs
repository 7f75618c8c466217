//! The moto server: S3 with create-only writes that hold under races; takes any credentials.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{BUCKET, S3, request};

/// Lines of its log that are read while it starts, at most.
const LINES_MAX: usize = 200;

/// A running moto server, ended when dropped.
#[derive(Debug)]
pub struct Moto {
    process: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts a server on a free port, with the bucket of the suite.
    pub fn start() -> Self {
        // In a group of its own, so that what a launcher script starts ends with it.
        let process = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let process = process.unwrap_or_else(|error| {
            panic!("moto_server: {error}; install it with: pip install 'moto[server,s3]'")
        });
        // From here on the server is ended whatever happens.
        let mut moto = Self { process, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        moto.address = moto.read_address();
        let status = request(moto.address, "PUT", &format!("/{BUCKET}")).unwrap();
        assert_eq!(status, 200, "moto would not make a bucket");
        moto
    }

    /// Lets it fall silent: connections are taken, and nothing is ever answered.
    pub fn pause(&self) {
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::STOP);
    }

    /// Lets it answer again.
    pub fn go_on(&self) {
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::CONT);
    }

    /// Reads the log until it says where the server listens; the rest is thrown away.
    fn read_address(&mut self) -> SocketAddr {
        let mut log = BufReader::new(self.process.stderr.take().unwrap());
        let mut seen = String::new();
        for _ in 0..LINES_MAX {
            let mut line = String::new();
            if log.read_line(&mut line).unwrap() == 0 {
                break;
            }
            if let Some((_, rest)) = line.split_once("Running on http://") {
                let address = rest.split_whitespace().next().and_then(|text| text.parse().ok());
                // A full pipe would stop the server.
                std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                return address.unwrap_or_else(|| panic!("moto listens at {rest:?}"));
            }
            seen.push_str(&line);
        }
        panic!("moto_server did not start; install it with: pip install 'moto[server,s3]'\n{seen}");
    }
}

impl S3 for Moto {
    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.process);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.process.wait();
    }
}

//! Real servers on this machine, started for a test and ended with it.
//!
//! A server that cannot be started fails the test and says how to install it: a store that was not
//! tested must not look like one that was.

mod moto;
mod s3s_fs;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::World;
use crate::objects::CREDENTIALS;

pub use moto::Moto;
pub use s3s_fs::S3sFs;

/// Bucket that every S3 server of the suite has.
pub const BUCKET: &str = "strongroom-test";

/// An S3 server.
pub trait S3 {
    /// Address that clients are given.
    fn endpoint(&self) -> String;

    /// URL of a folder in the bucket.
    fn place(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}?endpoint={}&region=us-east-1", self.endpoint())
    }

    /// Puts the repository of a world into the bucket.
    fn host(&self, world: World) -> World {
        let [(key, key_value), (secret, secret_value)] = CREDENTIALS;
        world.at(self.place("repository")).with(key, key_value).with(secret, secret_value)
    }
}

/// Sends a request without a body and gives the status; enough to ask whether a server answers.
fn request(address: SocketAddr, method: &str, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let status = answer.split(|byte| *byte == b' ').nth(1);
    let status = status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("an answer without a status"))
}

//! An S3 server inside the test process: checks signatures, keeps plain files, and lets several
//! racing creates of one name succeed.

use std::net::SocketAddr;
use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::{BUCKET, S3};
use crate::objects::CREDENTIALS;

/// A running server, ended when dropped.
#[derive(Debug)]
pub struct S3sFs {
    address: SocketAddr,
    // Dropping it ends every task of the server.
    _runtime: Runtime,
}

impl S3sFs {
    /// Starts a server on a free port that keeps its files in a folder.
    pub fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join(BUCKET)).unwrap();
        let files = FileSystem::new(folder).unwrap_or_else(|error| panic!("s3s-fs: {error:?}"));
        let [(_, key), (_, secret)] = CREDENTIALS;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(key, secret));
        let service = service.build();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        // Bound before any client is told, so there is nothing to wait for.
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            while let Ok((stream, _)) = listener.accept().await {
                let connection = server.serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(connection.into_owned());
            }
        });
        Self { address, _runtime: runtime }
    }
}

impl S3 for S3sFs {
    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

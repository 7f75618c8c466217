//! What errors of buckets become.

use object_store::memory::InMemory;

use super::*;
use crate::store::conformance;

fn in_memory(prefix: &str) -> BucketStore {
    BucketStore::new(Arc::new(InMemory::new()), prefix, "memory")
}

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

#[test]
fn every_promise_is_kept() {
    for prefix in ["", "deep/er"] {
        conformance::run_all(&in_memory(prefix)).unwrap();
    }
}

#[test]
fn a_store_in_a_folder_sees_only_that_folder() {
    let client: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let whole = BucketStore::new(Arc::clone(&client), "", "whole");
    let part = BucketStore::new(Arc::clone(&client), "a/b", "part");
    for text in ["a/b/config/1", "a/bc/config/1", "a/config/1"] {
        whole.put(&name(text), Bytes::from_static(b"x"), Put::Create).unwrap();
    }
    let listed = part.list("").unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name, name("config/1"));
    assert!(listed[0].modified_ms.unwrap() > 0);
    assert_eq!(whole.list("").unwrap().len(), 3);
}

#[test]
fn foreign_objects_are_not_listed() {
    let client: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from("UPPER/Case.txt");
    block_on(async move {
        client.put(&path, PutPayload::from_static(b"x")).await.unwrap();
        let store = BucketStore::new(client, "", "memory");
        // Called from within a runtime, too.
        assert!(store.list("").unwrap().is_empty());
    })
    .unwrap();
}

#[cfg(feature = "s3")]
mod s3 {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::store::layers::{RetryPolicy, Trace};
    use crate::store::{Environment, Location, OpenOptions};

    fn options() -> OpenOptions {
        let pairs = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "hush")];
        let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        OpenOptions { environment: Environment::fixed(pairs), retry, ..OpenOptions::default() }
    }

    /// Opens a bucket on a server that gives each connection the next of these answers.
    fn answering(answers: &[&'static str]) -> Arc<dyn Store> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = answers.to_vec();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = Vec::new();
                let mut buffer = [0; 4096];
                while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer).unwrap() {
                        0 => break,
                        read => asked.extend_from_slice(&buffer[..read]),
                    }
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let address = format!("s3://bucket/p?endpoint=http://127.0.0.1:{port}");
        Location::parse(&address).unwrap().open(&options()).unwrap()
    }

    fn get_error(answer: &'static str) -> Error {
        answering(&[answer]).get(&name("packs/ab/1")).unwrap_err()
    }

    #[test]
    fn a_request_to_slow_down_is_passed_on_with_its_pause() {
        let error = get_error(
            "HTTP/1.1 503 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        assert_eq!((error.cause, error.object.as_str()), (Cause::Throttled, "packs/ab/1"));
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_body_cut_short_is_not_taken_for_the_object() {
        let error = get_error(
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"x\"\r\n\
             Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\nshort",
        );
        assert_eq!(error.cause, Cause::Unavailable, "{error}");
    }

    #[test]
    fn a_length_beyond_reason_takes_no_memory() {
        let error = get_error(
            "HTTP/1.1 200 OK\r\nContent-Length: 1152921504606846976\r\nETag: \"x\"\r\n\
             Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nx",
        );
        assert_eq!(error.cause, Cause::Unsupported, "{error}");
    }

    #[test]
    fn a_listing_cut_short_is_an_error() {
        let store =
            answering(&["HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<?xml version=\"1.0\""]);
        let error = store.list("packs/").unwrap_err();
        assert_eq!((error.cause, error.object.as_str()), (Cause::Unavailable, "packs/"));
    }

    #[test]
    fn a_write_that_is_not_answered_is_ambiguous() {
        let store = answering(&[""]);
        let error = store.put(&name("packs/ab/1"), Bytes::from_static(b"x"), Put::Create);
        assert_eq!(error.unwrap_err().cause, Cause::Ambiguous);
    }

    #[test]
    fn a_server_that_is_not_there_is_unavailable() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("s3://bucket?endpoint=http://127.0.0.1:{port}");
        let store = Location::parse(&address).unwrap().open(&options()).unwrap();
        let put = store.put(&name("packs/ab/1"), Bytes::from_static(b"x"), Put::Create);
        assert_eq!(put.unwrap_err().cause, Cause::Unavailable);
        let error = store.get(&name("packs/ab/1")).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn a_server_without_create_only_writes_gets_plain_ones() {
        const REFUSED: &str = "HTTP/1.1 501 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        const DONE: &str =
            "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let store = Trace::new(answering(&[REFUSED, DONE, DONE]));
        for text in ["packs/ab/1", "packs/ab/2"] {
            store.put(&name(text), Bytes::from_static(b"x"), Put::Create).unwrap();
        }
    }

    /// Runs only where `STRONGROOM_TEST_S3` gives the address of a server for tests.
    #[test]
    fn every_promise_is_kept_on_the_server_for_tests() {
        if let Ok(endpoint) = std::env::var("STRONGROOM_TEST_S3") {
            conformance::run_on_s3(&endpoint).unwrap();
        }
    }
}

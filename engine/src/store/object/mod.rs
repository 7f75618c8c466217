//! Buckets of object stores: S3 and its kin, Google Cloud Storage, Azure Blob Storage.
//!
//! Every write is one request, so that an object appears whole or not at all; the client below
//! repeats nothing by itself, because a repeated create could not tell its own object from another
//! writer's (the retry layer does both). Lengths that a server claims are checked before memory is
//! taken for them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use repo_format::ObjectName;

use super::{Cause, Error, Listed, OBJECT_BYTES_MAX, Put, Result, Store, Traits};

#[cfg(feature = "s3")]
mod aws_profile;
mod clients;
mod failure;
mod runtime;
mod watch;

use failure::{Action, Context};
use runtime::block_on;
use watch::Seen;

/// Longest wait for an answer, or for the next bytes of one.
const PATIENCE: Duration = Duration::from_mins(2);

/// Slowest upload that is not given up, in bytes a second: a quarter of a slow line.
const SLOWEST_UPLOAD: u64 = 8 << 10;

/// Most objects that one listing may hold; a longer one comes from a server that never ends.
const LISTED_MAX: usize = 50_000_000;

/// Memory taken at once for an answer, in bytes; more follows as bytes arrive.
const FIRST_RESERVE: u64 = 64 << 20;

/// Calls that may usefully be under way at once.
const CONCURRENCY: usize = 8;

/// A bucket, or a folder in one.
#[derive(Debug)]
pub(super) struct BucketStore {
    client: Arc<dyn ObjectStore>,
    prefix: String,
    shown: Arc<str>,
    /// The server once refused the very idea of a create-only write.
    lacks_create: AtomicBool,
}

/// Opens a bucket. Nothing is asked of the server yet.
pub(super) fn open(
    bucket: &super::Bucket,
    environment: &super::Environment,
) -> Result<Arc<dyn Store>> {
    let client = clients::build(bucket, environment)?;
    Ok(Arc::new(BucketStore::new(client, &bucket.prefix, &bucket.to_string())))
}

impl BucketStore {
    fn new(client: Arc<dyn ObjectStore>, prefix: &str, shown: &str) -> Self {
        let lacks_create = AtomicBool::new(false);
        Self { client, prefix: prefix.to_owned(), shown: shown.into(), lacks_create }
    }

    fn path(&self, name: &str, action: Action) -> Result<Path> {
        let separator = if self.prefix.is_empty() || name.is_empty() { "" } else { "/" };
        Path::parse(format!("{}{separator}{name}", self.prefix))
            .map_err(|error| Error::new(Cause::Unsupported, action.verb(), name, error.to_string()))
    }

    /// Runs one call and turns its failure, or its silence for longer than `patience`, into ours.
    fn call<T, F>(
        &self,
        action: Action,
        object: &str,
        patience: Duration,
        call: impl FnOnce(Arc<dyn ObjectStore>, Context) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let seen = Seen::default();
        let context = Context::new(action, object, Arc::clone(&self.shown), seen.clone());
        let late = context.clone();
        let call = call(Arc::clone(&self.client), context);
        block_on(async move {
            let watched = seen.watch(tokio::time::timeout(patience, call));
            watched.await.unwrap_or_else(|_| Err(late.silence(patience)))
        })?
    }

    fn put_as(&self, name: &ObjectName, bytes: Bytes, mode: PutMode) -> Result<()> {
        let path = self.path(name.as_str(), Action::Put)?;
        let patience = PATIENCE + Duration::from_secs(bytes.len() as u64 / SLOWEST_UPLOAD);
        self.call(Action::Put, name.as_str(), patience, |client, context| async move {
            let options = PutOptions::from(mode);
            let put = client.put_opts(&path, PutPayload::from_bytes(bytes), options).await;
            put.map(|_| ()).map_err(|error| context.failure(&error))
        })
    }

    fn get_as(&self, name: &ObjectName, range: Option<std::ops::Range<u64>>) -> Result<Bytes> {
        let path = self.path(name.as_str(), Action::Get)?;
        let longest = OBJECT_BYTES_MAX / SLOWEST_UPLOAD;
        let patience = Duration::from_secs(longest);
        self.call(Action::Get, name.as_str(), patience, |client, context| async move {
            let options =
                GetOptions { range: range.clone().map(Into::into), ..GetOptions::default() };
            let answer = tokio::time::timeout(PATIENCE, client.get_opts(&path, options)).await;
            let answer = answer.map_err(|_| context.silence(PATIENCE))?;
            let answer = answer.map_err(|error| context.failure(&error))?;
            if let Some(wanted) = range.filter(|wanted| *wanted != answer.range) {
                let message = format!(
                    "{} bytes from {} reach past the end at {}",
                    wanted.end - wanted.start,
                    wanted.start,
                    answer.meta.size
                );
                return Err(context.error(Cause::OutOfRange, message));
            }
            gather(answer, &context).await
        })
    }
}

/// Reads the body of an answer, which must be exactly as long as its head says.
async fn gather(answer: GetResult, context: &Context) -> Result<Bytes> {
    let length = answer.range.end.saturating_sub(answer.range.start);
    if length > OBJECT_BYTES_MAX {
        return Err(context.error(Cause::Unsupported, format!("{length} bytes are no object")));
    }
    let reserve = usize::try_from(length.min(FIRST_RESERVE)).unwrap_or(0);
    let mut gathered = BytesMut::with_capacity(reserve);
    let mut body = answer.into_stream();
    loop {
        let next = tokio::time::timeout(PATIENCE, body.next()).await;
        match next.map_err(|_| context.silence(PATIENCE))? {
            None => break,
            Some(Err(error)) => return Err(context.failure(&error)),
            Some(Ok(bytes)) => {
                gathered.extend_from_slice(&bytes);
                if gathered.len() as u64 > length {
                    let message = format!("the server sent more than the {length} bytes it said");
                    return Err(context.error(Cause::Other, message));
                }
            }
        }
    }
    if (gathered.len() as u64) < length {
        let message = format!("the server sent {} of {length} bytes", gathered.len());
        return Err(context.error(Cause::Unavailable, message));
    }
    Ok(gathered.freeze())
}

impl Store for BucketStore {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        if mode == Put::Create && !self.lacks_create.load(Relaxed) {
            match self.put_as(name, bytes.clone(), PutMode::Create) {
                Err(error) if error.cause == Cause::Unsupported => {
                    self.lacks_create.store(true, Relaxed);
                }
                put => return put,
            }
        }
        self.put_as(name, bytes, PutMode::Overwrite)
    }

    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        self.get_as(name, None)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        let end = offset.checked_add(length).filter(|_| length > 0);
        let Some(end) = end else {
            // No server knows an empty range, nor one past all numbers.
            super::check_range(name, offset, length, self.size(name)?)?;
            return Ok(Bytes::new());
        };
        match self.get_as(name, Some(offset..end)) {
            // Not every server says clearly that a range lies outside.
            Err(error) if error.cause == Cause::Other => {
                super::check_range(name, offset, length, self.size(name)?)?;
                Err(error)
            }
            read => read,
        }
    }

    fn size(&self, name: &ObjectName) -> Result<u64> {
        let path = self.path(name.as_str(), Action::Get)?;
        self.call(Action::Get, name.as_str(), PATIENCE, |client, context| async move {
            let head = client.head(&path).await.map_err(|error| context.failure(&error))?;
            Ok(head.size)
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let folder = super::folder_of_prefix(prefix)?;
        let path = self.path(folder, Action::List)?;
        let path = Some(path).filter(|path| !path.as_ref().is_empty());
        let skip = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let object = if prefix.is_empty() { &*self.shown } else { prefix };
        let patience = Duration::MAX;
        self.call(Action::List, object, patience, move |client, context| async move {
            let mut pages = client.list(path.as_ref());
            let mut listed = Vec::new();
            loop {
                let next = tokio::time::timeout(PATIENCE, pages.next()).await;
                let next = match next.map_err(|_| context.silence(PATIENCE))? {
                    None => return Ok(listed),
                    Some(next) => next.map_err(|error| context.failure(&error))?,
                };
                let name = next.location.as_ref().get(skip..).and_then(ObjectName::parse);
                let Some(name) = name else { continue };
                let modified_ms = Some(next.last_modified.timestamp_millis());
                listed.push(Listed { name, bytes: next.size, modified_ms });
                if listed.len() > LISTED_MAX {
                    return Err(context.error(Cause::Other, "the listing never ends".to_owned()));
                }
            }
        })
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let path = self.path(name.as_str(), Action::Delete)?;
        let deleted =
            self.call(Action::Delete, name.as_str(), PATIENCE, |client, context| async move {
                client.delete(&path).await.map_err(|error| context.failure(&error))
            });
        match deleted {
            Err(error) if error.is_not_found() && error.object == name.as_str() => Ok(()),
            deleted => deleted,
        }
    }

    fn traits(&self) -> Traits {
        Traits { is_remote: true, concurrency: CONCURRENCY, ..Traits::default() }
    }

    fn describe(&self) -> String {
        self.shown.to_string()
    }
}

#[cfg(test)]
mod tests;

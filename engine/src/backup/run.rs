//! What all threads of one backup share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use repo_format::codec::{Bytes, Text};
use repo_format::content::{Content, Extent};
use repo_format::pack::BlobKind;
use repo_format::tree::{Attribute, AttributeList, Attributes, Body, Entry, Metadata, Time};
use repo_format::{BlobId, history, limits};

use super::captures::Captures;
use super::links::Links;
use super::options::{Options, Source};
use super::queue::{Job, Queue, Task};
use super::report::Counts;
use super::small::{self, KnownFiles};
use crate::Ambient;
use crate::error::Result;
use crate::repo::IndexedRepository;
use crate::repo::blobs::BlobReader;
use crate::repo::contents::Extents;
use crate::repo::kept::NearBases;
use crate::repo::packer::{BlobWriter, Scratch};
use crate::repo::samples::Samples;
use crate::repo::trees::Directory;
use crate::source::files::{Excludes, OwnerNames};

/// What came before: the parent, and what stands with it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    /// Time before which a change was seen by the parent's run for certain.
    pub(super) trusted_before: Time,
    /// Root of the snapshot whose versions of files new ones are stored against.
    pub(super) versions: Option<BlobId>,
    /// Root of the parent.
    pub(super) parent_root: Option<BlobId>,
}

/// What all threads of one backup share.
pub(super) struct Run<'a> {
    pub(super) repo: &'a IndexedRepository,
    pub(super) writer: &'a BlobWriter<'a>,
    pub(super) options: &'a Options,
    pub(super) ambient: &'a Ambient,
    pub(super) excludes: &'a Excludes,
    pub(super) owners: OwnerNames,
    pub(super) counts: Counts,
    pub(super) queue: Queue,
    pub(super) links: Links,
    pub(super) known: KnownFiles,
    /// Files that changed from here on may have changed again unnoticed within one tick of the
    /// file system's clock after the parent read them.
    pub(super) trusted_before: Time,
    /// Root of the snapshot whose versions of files new ones are stored against.
    pub(super) versions: Option<BlobId>,
    /// Root of the parent.
    pub(super) parent_root: Option<BlobId>,
    pub(super) captures: Captures,
    /// Streams that failed where that is allowed.
    pub(super) failed_streams: AtomicU64,
    pub(super) near: NearBases<'a>,
    pub(super) samples: Samples,
    pub(super) streams: Mutex<Vec<history::Stream>>,
    root: Mutex<Option<Directory>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        repo: &'a IndexedRepository,
        writer: &'a BlobWriter<'a>,
        options: &'a Options,
        ambient: &'a Ambient,
        excludes: &'a Excludes,
        past: Past,
    ) -> Self {
        let Past { trusted_before, versions, parent_root } = past;
        Self {
            repo,
            writer,
            options,
            ambient,
            excludes,
            owners: OwnerNames::new(),
            counts: Counts::default(),
            queue: Queue::default(),
            links: Links::default(),
            known: KnownFiles::default(),
            trusted_before,
            versions,
            parent_root,
            captures: Captures::default(),
            failed_streams: AtomicU64::new(0),
            near: NearBases::new(repo),
            samples: Samples::default(),
            streams: Mutex::default(),
            root: Mutex::default(),
        }
    }

    pub(super) fn set_root(&self, directory: Directory) {
        *self.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(directory);
    }

    pub(super) fn take_root(&self) -> Option<Directory> {
        self.root.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes the streams out, in the order of their names.
    pub(super) fn take_streams(&self) -> Vec<history::Stream> {
        let mut streams =
            std::mem::take(&mut *self.streams.lock().unwrap_or_else(PoisonError::into_inner));
        streams.sort_by(|a, b| a.name.cmp(&b.name));
        streams
    }

    /// Counts of what was done so far; what was stored is known only later.
    pub(super) fn take_statistics(&self, writer: &BlobWriter<'_>) -> history::Statistics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        history::Statistics {
            files_new: get(&self.counts.files_new),
            files_changed: get(&self.counts.files_changed),
            files_unchanged: get(&self.counts.files_unchanged),
            directories: get(&self.counts.directories),
            bytes_read: get(&self.counts.bytes_read),
            bytes_new: get(&writer.saved.bytes_new),
            bytes_stored: 0,
            blobs_new: get(&writer.saved.blobs_new),
            duration_ms: 0,
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.ambient.cancel.is_cancelled()
    }

    /// Notes how a stream ended.
    pub(super) fn note_stream(&self, source: &Source, bytes: u64, exit_status: i32) {
        let origin = match source {
            Source::Command { line, .. } => line.clone(),
            Source::Sqlite { path, .. } => format!("sqlite:{}", path.display()),
            Source::Path(_) | Source::Stdin { .. } => String::new(),
        };
        let name = Bytes(source.stream_name().unwrap_or_default().to_vec());
        let stream = history::Stream { name, origin: Text::new(&origin), exit_status, bytes };
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }

    /// Notes something that could not be read.
    pub(super) fn unreadable(&self, path: &[u8], message: impl Into<String>) {
        self.counts.unreadable(&self.ambient.progress, path, message.into());
    }

    /// One thread's work, from the first job to the last.
    pub(super) fn work(&self) {
        let result = self.writer.scratch().and_then(|mut scratch| {
            let mut buffers = small::Buffers::default();
            loop {
                match self.queue.take() {
                    Task::Job(Job::Small(files)) => {
                        small::store(self, &mut scratch, &mut buffers, files)?;
                    }
                    Task::Job(Job::Large(large)) => large.start(self, &mut scratch)?,
                    Task::Help(large) => large.work(self, &mut scratch)?,
                    Task::End => return Ok(()),
                }
            }
        });
        if let Err(error) = result {
            self.queue.fail(error);
        }
    }

    /// Keeps attributes in the entry when they are short, else in a blob.
    pub(super) fn keep_attributes(
        &self,
        scratch: &mut Scratch,
        list: Vec<Attribute>,
    ) -> Result<Attributes> {
        if list.is_empty() {
            return Ok(Attributes::None);
        }
        let bytes: usize = list.iter().map(|a| a.name.len() + a.value.len() + 8).sum();
        if bytes <= limits::INLINE_BYTES_MAX {
            return Ok(Attributes::Inline(list));
        }
        let plain = AttributeList(list).encode();
        self.writer.save(scratch, BlobKind::Attributes, &plain).map(Attributes::Blob)
    }

    /// Says whether an entry of the parent still stands for what is on disk, and everything that it
    /// needs is still stored.
    pub(super) fn is_unchanged(
        &self,
        reader: &mut BlobReader<'_>,
        entry: &Entry,
        metadata: &Metadata,
        size: u64,
    ) -> bool {
        let Body::File { size: known, content, .. } = &entry.body else { return false };
        let old = &entry.metadata;
        *known == size
            && old.mtime == metadata.mtime
            && old.ctime == metadata.ctime
            && old.ctime < self.trusted_before
            && (old.mode, old.uid, old.gid) == (metadata.mode, metadata.uid, metadata.gid)
            && old.link_group == metadata.link_group
            && self.has_attributes(&old.attributes)
            && self.has_content(reader, content, size)
    }

    fn has_attributes(&self, attributes: &Attributes) -> bool {
        match attributes {
            Attributes::Blob(id) => self.has(id),
            Attributes::None | Attributes::Inline(_) => true,
        }
    }

    fn has(&self, id: &BlobId) -> bool {
        self.repo.holds(id)
    }

    pub(super) fn has_content(
        &self,
        reader: &mut BlobReader<'_>,
        content: &Content,
        size: u64,
    ) -> bool {
        let is_stored = |extent: &Extent| extent.blob().is_none_or(|id| self.has(&id));
        match content {
            Content::Inline(_) => true,
            Content::Extents { extents, .. } => extents.iter().all(is_stored),
            Content::List { .. } => {
                let Ok(mut extents) = Extents::new(reader, content, size, 0) else { return false };
                loop {
                    match extents.next(reader) {
                        Ok(Some((_, extent))) if is_stored(&extent) => {}
                        Ok(None) => return true,
                        Ok(Some(_)) | Err(_) => return false,
                    }
                }
            }
        }
    }
}

/// Time of the file system clock, from milliseconds since 1970.
pub(super) fn time_of(ms: i64) -> Time {
    let nanos = u32::try_from(ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    Time { seconds: ms.div_euclid(1000), nanos }
}

/// A shared handle to a folder of the source, its path, and the folder of the snapshot.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) directory: crate::source::files::Directory,
    pub(super) path: Vec<u8>,
    pub(super) folder: Arc<super::folder::Folder>,
}

impl Origin {
    /// Absolute path of something in the folder.
    pub(super) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        join(&self.path, name)
    }
}

/// Puts a name behind the path of its folder.
pub(super) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path == b"/" { [path, name].concat() } else { [path, b"/", name].concat() }
}

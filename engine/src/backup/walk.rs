//! The walk through the sources, in the order of names, beside the parent snapshot.
//!
//! Files that are as the parent has them are taken from it unread; everything else becomes a job.
//! Folders that are open stand on a stack of their own, however deep the tree is.

use std::path::Path;
use std::sync::Arc;

use repo_format::codec::Bytes;
use repo_format::tree::{Body, Entry, Metadata};
use repo_format::{BlobId, limits};

use super::folder::Folder;
use super::large::{From, Large};
use super::links::Waiting;
use super::queue::Job;
use super::report::count;
use super::roots::Root;
use super::run::{Origin, Run, join, time_of};
use super::small::SmallFile;
use crate::ambient::Event;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::repo::blobs::BlobReader;
use crate::repo::packer::Scratch;
use crate::repo::trees::Entries;
use crate::source::files::{Directory, Kind, Names, Stat};

/// Bytes of small files that make a batch.
const BATCH_BYTES: u64 = 2 << 20;
/// Small files that make a batch.
const BATCH_FILES: usize = 512;

/// Entries of the parent's folder, one looked at ahead.
#[derive(Default)]
struct Before {
    entries: Option<Entries>,
    ahead: Option<Entry>,
}

/// What is in an open folder.
enum Inside<'r> {
    All { names: Names, next: usize, mark: Option<Vec<u8>> },
    Only(std::collections::btree_map::Iter<'r, Vec<u8>, Root>),
}

/// An open folder.
struct Level<'r> {
    origin: Arc<Origin>,
    inside: Inside<'r>,
    before: Before,
    mount: (u64, u64),
}

/// The walk.
pub(super) struct Walk<'a, 'r> {
    pub(super) run: &'a Run<'a>,
    pub(super) scratch: Scratch,
    pub(super) reader: BlobReader<'a>,
    stack: Vec<Level<'r>>,
    batch: Vec<SmallFile>,
    batch_bytes: u64,
}

impl<'a, 'r> Walk<'a, 'r> {
    pub(super) fn new(run: &'a Run<'a>) -> Result<Self> {
        Ok(Self {
            run,
            scratch: run.writer.scratch()?,
            reader: BlobReader::new(run.repo)?,
            stack: Vec::new(),
            batch: Vec::new(),
            batch_bytes: 0,
        })
    }

    /// Walks through everything below `root`, beside the parent's root.
    pub(super) fn walk(mut self, root: &'r Root, parent: Option<BlobId>) -> Result<()> {
        let directory = Directory::open(Path::new("/")).map_err(|error| {
            Error::caused(ErrorKind::Source, "the root folder cannot be read", error)
        })?;
        let folder = Folder::new(self.run, None, b"", Metadata::default());
        let before = Before { entries: parent.map(Entries::new), ahead: None };
        let inside = if root.is_source {
            Some(self.all(&directory, b"/").map_err(|error| unusable(b"/", error))?)
        } else {
            None
        };
        let origin = Arc::new(Origin { directory, path: b"/".to_vec(), folder });
        let inside = inside.unwrap_or_else(|| Inside::Only(root.children.iter()));
        self.stack.push(Level { origin, inside, before, mount: (0, 0) });
        while !self.stack.is_empty() {
            if self.run.queue.has_failed() {
                return Ok(());
            }
            self.step()?;
        }
        self.send_batch();
        Ok(())
    }

    /// Handles the next thing of the innermost folder, or leaves the folder.
    fn step(&mut self) -> Result<()> {
        let Some(level) = self.stack.last_mut() else { return Ok(()) };
        let origin = Arc::clone(&level.origin);
        let next = if self.run.is_cancelled() {
            None
        } else {
            match &mut level.inside {
                Inside::All { names, next, mark } => {
                    let name = names.get(*next).map(<[u8]>::to_vec);
                    *next += 1;
                    match (name, mark) {
                        (Some(name), Some(mark)) if name != **mark => return Ok(()),
                        (name, _) => name.map(|name| (name, None)),
                    }
                }
                Inside::Only(children) => {
                    children.next().map(|(name, root)| (name.clone(), Some(root)))
                }
            }
        };
        let Some((name, root)) = next else {
            self.stack.pop();
            return origin.folder.close(self.run, &mut self.scratch);
        };
        if origin.folder.is_crowded() {
            self.send_batch();
            origin.folder.wait_for_room(self.run);
        }
        match root {
            Some(root) if !root.is_source => self.visit_root(&origin, &name, root),
            _ => self.visit(&origin, &name, root.is_some()),
        }
    }

    /// Entry of the parent's folder with this name, if there is one.
    fn before(&mut self, name: &[u8]) -> Option<Entry> {
        let level = self.stack.last_mut()?;
        loop {
            if level.before.ahead.is_none() {
                let entries = level.before.entries.as_mut()?;
                match entries.next(&mut self.reader) {
                    Ok(next) => level.before.ahead = next,
                    // Without the parent everything is read again; nothing else is lost.
                    Err(error) => {
                        let message = format!("the parent snapshot is damaged here: {error}");
                        self.run.ambient.progress.warn(&level.origin.path, message);
                        level.before.entries = None;
                    }
                }
            }
            let ahead = level.before.ahead.as_ref()?;
            match ahead.name.0.as_slice().cmp(name) {
                std::cmp::Ordering::Less => level.before.ahead = None,
                std::cmp::Ordering::Equal => return level.before.ahead.take(),
                std::cmp::Ordering::Greater => return None,
            }
        }
    }

    /// Handles a folder that only leads to sources, or a stream.
    fn visit_root(&mut self, origin: &Arc<Origin>, name: &[u8], root: &'r Root) -> Result<()> {
        let before = self.before(name);
        if let Some(of) = &root.record_of {
            let (folder, place) = (Arc::clone(&origin.folder), origin.folder.reserve());
            return self.run.captures.place(self.run, &mut self.scratch, of, folder, place);
        }
        if let Some(source) = &root.stream {
            let place = origin.folder.reserve();
            let path = join(&origin.path, name);
            let folder = Arc::clone(&origin.folder);
            if let Some(entry) = before
                && self.is_captured(source, name, &entry)?
            {
                return folder.fill(self.run, &mut self.scratch, place, Some(entry));
            }
            let large = Large::new(From::Stream(source.clone()), folder, place, name, path, true);
            self.run.queue.push(Job::Large(large));
            return Ok(());
        }
        let path = join(&origin.path, name);
        let is_virtual = origin.path == b"/" && name == super::roots::STREAMS;
        let (directory, metadata) = if is_virtual {
            let now = time_of(self.run.ambient.clock.now_ms());
            let metadata = Metadata { mode: 0o700, mtime: now, ctime: now, ..Metadata::default() };
            (Directory::open(Path::new("/")), metadata)
        } else {
            let metadata = match origin.directory.stat(name) {
                Ok(stat) => stat.metadata(&self.run.owners),
                Err(error) => return Err(unusable(&path, error)),
            };
            (origin.directory.open_child(name), metadata)
        };
        let directory = directory.map_err(|error| unusable(&path, error))?;
        let inside = Inside::Only(root.children.iter());
        self.enter(origin, name, directory, metadata, inside, before.as_ref(), (0, 0));
        Ok(())
    }

    /// Handles one thing of a source.
    fn visit(&mut self, origin: &Arc<Origin>, name: &[u8], is_source: bool) -> Result<()> {
        let before = self.before(name);
        let is_dir = |kind| kind == Kind::Directory;
        let path = join(&origin.path, name);
        let stat = match origin.directory.stat(name) {
            Ok(stat) => stat,
            Err(error) if is_source => return Err(unusable(&path, error)),
            Err(error) => {
                self.run.unreadable(&path, error.to_string());
                return Ok(());
            }
        };
        let excludes = self.run.excludes;
        let is_excluded = !excludes.is_empty()
            && !is_source
            && (excludes.excludes(&path, name, is_dir(stat.kind))
                || (stat.kind == Kind::File && excludes.excludes_size(stat.size)));
        if is_excluded {
            return Ok(());
        }
        if !repo_format::tree::is_name(name) {
            self.run.unreadable(&path, "its name is longer than 255 bytes");
            return Ok(());
        }
        match stat.kind {
            Kind::Directory => {
                self.visit_directory(origin, name, &path, &stat, before.as_ref(), is_source)
            }
            Kind::File => self.visit_file(origin, name, path, stat, before),
            Kind::Symlink => {
                let body = origin
                    .directory
                    .read_link(name)
                    .map(|target| Body::Symlink { target: Bytes(target) });
                self.put(origin, name, &path, &stat, body)
            }
            _ => {
                let body = stat
                    .special_body()
                    .ok_or_else(|| std::io::Error::other("it is of a kind that cannot be stored"));
                self.put(origin, name, &path, &stat, body)
            }
        }
    }

    /// Stores something that has no content: a link, a device, a pipe, a socket.
    fn put(
        &mut self,
        origin: &Arc<Origin>,
        name: &[u8],
        path: &[u8],
        stat: &Stat,
        body: std::io::Result<Body>,
    ) -> Result<()> {
        let read = body.and_then(|body| Ok((body, origin.directory.attributes(name)?)));
        let (body, attributes) = match read {
            Ok(read) => read,
            Err(error) => {
                self.run.unreadable(path, error.to_string());
                return Ok(());
            }
        };
        let mut metadata = stat.metadata(&self.run.owners);
        metadata.attributes = self.run.keep_attributes(&mut self.scratch, attributes)?;
        let entry = Entry { name: Bytes(name.to_vec()), metadata, body };
        self.run.ambient.progress.done(1, 0);
        let place = origin.folder.reserve();
        origin.folder.fill(self.run, &mut self.scratch, place, Some(entry))
    }

    fn visit_file(
        &mut self,
        origin: &Arc<Origin>,
        name: &[u8],
        path: Vec<u8>,
        stat: Stat,
        before: Option<Entry>,
    ) -> Result<()> {
        let metadata = stat.metadata(&self.run.owners);
        let place = origin.folder.reserve();
        let run = self.run;
        let had_file = matches!(before, Some(Entry { body: Body::File { .. }, .. }));
        if let Some(entry) = before
            && run.is_unchanged(&mut self.reader, &entry, &metadata, stat.size)
        {
            count(&run.counts.files_unchanged, 1);
            run.ambient.progress.done(1, stat.size);
            self.tell(path, "unchanged");
            return origin.folder.fill(run, &mut self.scratch, place, Some(entry));
        }
        let (counter, action) = if had_file {
            (&run.counts.files_changed, "changed")
        } else {
            (&run.counts.files_new, "new")
        };
        count(counter, 1);
        self.tell(path.clone(), action);
        if let Some(group) = metadata.link_group {
            let folder = Arc::clone(&origin.folder);
            let waiting = Waiting { folder, place, name: name.to_vec(), metadata };
            if !run.links.is_first(run, &mut self.scratch, group, waiting)? {
                run.ambient.progress.done(1, 0);
                return Ok(());
            }
        }
        if stat.size >= u64::from(run.repo.config().cut_from_bytes) {
            let from = From::File(Arc::clone(origin), stat);
            let folder = Arc::clone(&origin.folder);
            run.queue.push(Job::Large(Large::new(from, folder, place, name, path, had_file)));
            return Ok(());
        }
        self.batch_bytes += stat.size + 512;
        let origin = Arc::clone(origin);
        let name = name.to_vec();
        self.batch.push(SmallFile { origin, place, name, stat, may_have_earlier: had_file });
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_FILES {
            self.send_batch();
        }
        Ok(())
    }

    fn tell(&self, path: Vec<u8>, action: &'static str) {
        if self.run.ambient.progress.is_verbose {
            self.run.ambient.progress.event(&Event::File { path, action });
        }
    }

    /// Makes a job of the small files collected so far.
    fn send_batch(&mut self) {
        self.batch_bytes = 0;
        if !self.batch.is_empty() {
            self.run.queue.push(Job::Small(std::mem::take(&mut self.batch)));
        }
    }

    fn visit_directory(
        &mut self,
        origin: &Arc<Origin>,
        name: &[u8],
        path: &[u8],
        stat: &Stat,
        before: Option<&Entry>,
        is_source: bool,
    ) -> Result<()> {
        if self.stack.len() >= limits::PATH_DEPTH_MAX {
            self.run.unreadable(path, "it is nested deeper than a snapshot allows");
            return Ok(());
        }
        count(&self.run.counts.directories, 1);
        let mount = (stat.device, stat.mount);
        let here = self.stack.last().map_or((0, 0), |level| level.mount);
        let is_foreign = self.run.options.one_file_system && !is_source && here.0 != mount.0;
        let opened = origin.directory.open_child(name).and_then(|directory| {
            let attributes = directory.attributes_self()?;
            let inside = if is_foreign {
                // The mount point stays, what is mounted there does not.
                Inside::All { names: Names::default(), next: 0, mark: None }
            } else {
                self.all(&directory, path)?
            };
            Ok((directory, attributes, inside))
        });
        let (directory, attributes, inside) = match opened {
            Ok(opened) => opened,
            Err(error) if is_source => return Err(unusable(path, error)),
            Err(error) => {
                self.run.unreadable(path, error.to_string());
                return Ok(());
            }
        };
        let mut metadata = stat.metadata(&self.run.owners);
        metadata.attributes = self.run.keep_attributes(&mut self.scratch, attributes)?;
        self.enter(origin, name, directory, metadata, inside, before, mount);
        Ok(())
    }

    fn all(&self, directory: &Directory, path: &[u8]) -> std::io::Result<Inside<'r>> {
        let names = directory.names()?;
        let mark = self.run.excludes.find_mark(directory)?.map(<[u8]>::to_vec);
        if mark.is_some() {
            self.tell(path.to_vec(), "left out by a mark");
        }
        Ok(Inside::All { names, next: 0, mark })
    }

    #[expect(clippy::too_many_arguments, reason = "these are the fields of a level")]
    fn enter(
        &mut self,
        origin: &Arc<Origin>,
        name: &[u8],
        directory: Directory,
        metadata: Metadata,
        inside: Inside<'r>,
        before: Option<&Entry>,
        mount: (u64, u64),
    ) {
        let place = origin.folder.reserve();
        let above = Some((Arc::clone(&origin.folder), place));
        let folder = Folder::new(self.run, above, name, metadata);
        let path = join(&origin.path, name);
        let entries = match before {
            Some(Entry { body: Body::Directory { tree, .. }, .. }) => Some(Entries::new(*tree)),
            _ => None,
        };
        self.run.ambient.progress.set_current(&path);
        let origin = Arc::new(Origin { directory, path, folder });
        let before = Before { entries, ahead: None };
        self.stack.push(Level { origin, inside, before, mount });
    }
}

/// A source that was asked for and cannot be read at all fails the backup.
fn unusable(path: &[u8], error: std::io::Error) -> Error {
    let message = format!("the source {} cannot be read", path.escape_ascii());
    Error::caused(ErrorKind::Source, message, error)
}

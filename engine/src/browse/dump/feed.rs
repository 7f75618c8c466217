//! What a dump writes, in order, its blobs read ahead by several threads.
//!
//! The window of what is read ahead is counted in bytes and goes over the borders of files, so many
//! small files are as quick as a large one.

use std::collections::{HashMap, VecDeque};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use repo_format::content::{Content, Extent};
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Digest, Entry, LinkGroup};

use super::super::cache::Cache;
use super::super::view::{part_of, read_attributes};
use super::super::walk::{Visited, Walk};
use super::{Item, Settings};
use crate::error::{Context as _, Result};
use crate::repo::IndexedRepository;
use crate::repo::blobs::BlobReader;
use crate::repo::contents::Extents;

/// Most files with several names that are remembered; names beyond are written in full.
const LINKS_MAX: usize = 1 << 20;
/// Bytes of blobs kept because small files share them.
const SHARED_BYTES: usize = 16 << 20;
/// What an entry counts in the window beside its bytes.
const ENTRY_BYTES: usize = 1024;

/// Bytes that a thread reads.
pub(super) type Answer = Receiver<Result<Vec<u8>>>;

/// The next thing to write.
#[derive(Debug)]
pub(super) enum Piece {
    /// An entry starts.
    Begin(Box<Item>),
    /// Bytes of its content.
    Bytes(Vec<u8>),
    /// Bytes of its content that a thread reads.
    Pending(Answer),
    /// A hole.
    Zeros(u64),
    /// The entry ends.
    End,
}

struct Request {
    extent: Extent,
    answer: Sender<Result<Vec<u8>>>,
}

/// What to write, not yet read.
pub(super) struct Source<'a> {
    reader: BlobReader<'a>,
    walk: Option<Walk>,
    single: Option<Entry>,
    file: Option<Extents>,
    is_open: bool,
    /// First path, size and digest of files with several names; absent where each is written in
    /// full.
    links: Option<HashMap<LinkGroup, FirstName>>,
}

struct FirstName {
    path: Vec<u8>,
    digest: Digest,
}

impl<'a> Source<'a> {
    /// Starts with what is in a directory, or with a single entry; `is_rich` where the archive
    /// holds hard links and attributes.
    pub(super) fn new(repo: &'a IndexedRepository, top: &Entry, is_rich: bool) -> Result<Self> {
        let (walk, single) = match top.body {
            Body::Directory { tree, .. } => (Some(Walk::new(tree)), None),
            _ => (None, Some(top.clone())),
        };
        let reader = BlobReader::new(repo)?;
        let links = is_rich.then(HashMap::new);
        Ok(Self { reader, walk, single, file: None, is_open: false, links })
    }

    /// Next piece and what it counts in the window; an extent is still to be asked for.
    fn next(&mut self) -> Result<Option<(Part, usize)>> {
        if let Some(extents) = &mut self.file {
            if let Some((_, extent)) = extents.next(&mut self.reader)? {
                let bytes = match extent {
                    Extent::Hole { .. } => 64,
                    _ => usize::try_from(extent.length()).unwrap_or(usize::MAX),
                };
                return Ok(Some((Part::Extent(extent), bytes)));
            }
            self.file = None;
        }
        if std::mem::take(&mut self.is_open) {
            return Ok(Some((Part::Ready(Piece::End), 0)));
        }
        let visited = match (&mut self.walk, self.single.take()) {
            (Some(walk), _) => walk.next(&mut self.reader)?,
            (None, Some(entry)) => Some(Visited { path: entry.name.0.clone(), depth: 1, entry }),
            (None, None) => None,
        };
        visited.map(|visited| self.begin(visited)).transpose()
    }

    fn begin(&mut self, visited: Visited) -> Result<(Part, usize)> {
        let doing = || format!("dumping {}", super::super::shown(&visited.path));
        let mut attributes = Vec::new();
        if self.links.is_some() {
            let found = read_attributes(&mut self.reader, &visited.entry.metadata.attributes);
            attributes = found.with_context(doing)?;
        }
        let link = self.first_name(&visited);
        if let Body::File { size, content, .. } = &visited.entry.body
            && link.is_none()
        {
            let extents = Extents::new(&mut self.reader, content, *size, 0);
            self.file = Some(extents.with_context(doing)?);
        }
        self.is_open = true;
        let bytes = ENTRY_BYTES + visited.path.len();
        Ok((Part::Begin(Box::new(Item { visited, attributes, link })), bytes))
    }

    /// Path under which the bytes of this file were written before, if they were.
    fn first_name(&mut self, visited: &Visited) -> Option<Vec<u8>> {
        let Body::File { digest, .. } = visited.entry.body else { return None };
        let (links, group) = (self.links.as_mut()?, visited.entry.metadata.link_group?);
        if let Some(first) = links.get(&group) {
            // Names of one file that was changed while it was read may differ.
            return (first.digest == digest).then(|| first.path.clone());
        }
        if links.len() < LINKS_MAX {
            links.insert(group, FirstName { path: visited.path.clone(), digest });
        }
        None
    }
}

enum Part {
    Begin(Box<Item>),
    Ready(Piece),
    Extent(Extent),
}

/// The pieces of a dump in order.
pub(super) struct Feed<'a> {
    source: Source<'a>,
    requests: Sender<Request>,
    window: VecDeque<(Piece, usize)>,
    window_bytes: usize,
    ahead_bytes: usize,
    is_done: bool,
    failure: Option<crate::Error>,
}

impl<'a> Feed<'a> {
    /// Runs `body` with the pieces, while threads read ahead.
    pub(super) fn with<T>(
        repo: &'a IndexedRepository,
        source: Source<'a>,
        settings: Settings,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        // What is asked for is bounded by the window, so the queue need not be.
        let (requests, queue) = unbounded::<Request>();
        let shared = Cache::new(SHARED_BYTES);
        std::thread::scope(|scope| {
            for _ in 0..settings.threads.max(1) {
                let (queue, shared) = (queue.clone(), &shared);
                scope.spawn(move || answer(repo, &queue, shared));
            }
            // Only the threads hold the queue: should all of them end, waiting ends too.
            drop(queue);
            let mut feed = Self {
                source,
                requests,
                window: VecDeque::new(),
                window_bytes: 0,
                ahead_bytes: settings.ahead_bytes,
                is_done: false,
                failure: None,
            };
            // The feed ends with the body, and with it the queue and the threads.
            let result = body(&mut feed);
            drop(feed);
            result
        })
    }

    /// Next piece; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        while !self.is_done && (self.window.is_empty() || self.window_bytes < self.ahead_bytes) {
            match self.source.next() {
                Ok(Some((part, bytes))) => self.ask(part, bytes),
                Ok(None) => self.is_done = true,
                Err(error) => {
                    // What comes before the failure is still written.
                    self.is_done = true;
                    self.failure = Some(error);
                }
            }
        }
        if let Some((piece, bytes)) = self.window.pop_front() {
            self.window_bytes -= bytes;
            return Ok(Some(piece));
        }
        self.failure.take().map_or(Ok(None), Err)
    }

    fn ask(&mut self, part: Part, bytes: usize) {
        let piece = match part {
            Part::Ready(piece) => piece,
            Part::Begin(item) => {
                let inline = match &item.visited.entry.body {
                    Body::File { content: Content::Inline(bytes), .. } if item.link.is_none() => {
                        Some(bytes.0.clone())
                    }
                    _ => None,
                };
                self.window.push_back((Piece::Begin(item), bytes));
                self.window_bytes += bytes;
                if let Some(inline) = inline {
                    self.window.push_back((Piece::Bytes(inline), 0));
                }
                return;
            }
            Part::Extent(Extent::Hole { length }) => Piece::Zeros(length),
            Part::Extent(extent) => {
                let (sender, answer) = bounded(1);
                // A queue without readers shows when the answer is waited for.
                let _ = self.requests.send(Request { extent, answer: sender });
                Piece::Pending(answer)
            }
        };
        self.window.push_back((piece, bytes));
        self.window_bytes += bytes;
    }
}

/// Reads what is asked for until nobody asks any more.
fn answer(repo: &IndexedRepository, queue: &Receiver<Request>, shared: &Cache<Vec<u8>>) {
    let mut reader = match BlobReader::new(repo) {
        Ok(reader) => reader,
        Err(error) => {
            // Every thread fails alike: the first to be asked says why.
            if let Ok(request) = queue.recv() {
                let _ = request.answer.send(Err(error));
            }
            return;
        }
    };
    while let Ok(Request { extent, answer }) = queue.recv() {
        // Nobody listens any more when the answer cannot be sent.
        let _ = answer.send(read(&mut reader, extent, shared));
    }
}

fn read(reader: &mut BlobReader<'_>, extent: Extent, shared: &Cache<Vec<u8>>) -> Result<Vec<u8>> {
    let id = extent.blob().unwrap_or_default();
    let mut load = || -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        reader.read(id, BlobKind::Data, &mut plain)?;
        Ok(plain)
    };
    if let Extent::Slice { .. } = extent {
        let plain = shared.get_or_load(id, || {
            let plain = load()?;
            let bytes = plain.capacity();
            Ok((plain, bytes))
        })?;
        return part_of(extent, &plain).map(<[u8]>::to_vec);
    }
    let plain = load()?;
    part_of(extent, &plain)?;
    Ok(plain)
}

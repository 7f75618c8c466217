//! Small and middling files: one thread reads a batch of them, one after another, and lets the
//! small ones share blobs. SPEC 4.3.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use repo_format::BlobId;
use repo_format::codec::Bytes;
use repo_format::content::{Chunker, Content, Extent};
use repo_format::limits;
use repo_format::pack::BlobKind;
use repo_format::tree::{Body, Digest, Entry, Metadata};

use super::earlier::Earlier;
use super::report::count;
use super::run::{Origin, Run};
use crate::crypto::seal::keyed_hash;
use crate::error::Result;
use crate::repo::packer::Scratch;
use crate::source::files::{Kind, Stat, attributes, read_small};

/// Content up to this length stays in the entry.
const INLINE_BYTES: usize = 64;
/// Files of which a run remembers where they went, to store equal ones once.
const KNOWN_FILES_MAX: usize = 200_000;

/// A file to read.
#[derive(Debug)]
pub(super) struct SmallFile {
    pub(super) origin: Arc<Origin>,
    pub(super) place: u64,
    pub(super) name: Vec<u8>,
    pub(super) stat: Stat,
    /// Whether the parent has a file under the same path.
    pub(super) may_have_earlier: bool,
}

/// Where small files of this run went, by their digest.
#[derive(Debug, Default)]
pub(super) struct KnownFiles(Mutex<HashMap<[u8; 32], Extent>>);

impl KnownFiles {
    fn get(&self, digest: &[u8; 32]) -> Option<Extent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied()
    }

    fn add(&self, digest: [u8; 32], extent: Extent) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < KNOWN_FILES_MAX {
            known.insert(digest, extent);
        }
    }
}

/// Buffers that one thread uses again and again.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    file: Vec<u8>,
    bundle: Vec<u8>,
}

/// A file whose bytes are in a bundle that is still open.
struct Member {
    file: SmallFile,
    metadata: Metadata,
    digest: [u8; 32],
    offset: u32,
    length: u32,
}

/// Reads and stores a batch of files.
pub(super) fn store(
    run: &Run<'_>,
    scratch: &mut Scratch,
    buffers: &mut Buffers,
    files: Vec<SmallFile>,
) -> Result<()> {
    let mut bundle = Bundle { bytes: std::mem::take(&mut buffers.bundle), members: Vec::new() };
    bundle.bytes.clear();
    if let Some(file) = files.first() {
        run.ambient.progress.set_current(&file.origin.path_of(&file.name));
    }
    for file in files {
        let read =
            if run.is_cancelled() { None } else { read(run, scratch, &file, &mut buffers.file)? };
        let Some(metadata) = read else {
            finish(run, scratch, &file, None)?;
            continue;
        };
        let bytes = &buffers.file;
        run.ambient.progress.done(1, bytes.len() as u64);
        count(&run.counts.bytes_read, bytes.len() as u64);
        let digest = *blake3::hash(bytes).as_bytes();
        if bytes.len() <= INLINE_BYTES {
            let content = Content::inline(bytes);
            finish(run, scratch, &file, Some((metadata, bytes.len(), digest, content)))?;
        } else if bytes.len() < run.repo.config().bundle_below_bytes as usize {
            bundle.add(run, scratch, file, metadata, digest, bytes)?;
        } else {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let id = save_whole(run, scratch, &file, bytes)?;
            let content = whole(Extent::Blob { id, length });
            finish(run, scratch, &file, Some((metadata, bytes.len(), digest, content)))?;
        }
    }
    bundle.close(run, scratch)?;
    buffers.bundle = bundle.bytes;
    Ok(())
}

/// Saves a file that is one blob, against the version before where there is one.
fn save_whole(
    run: &Run<'_>,
    scratch: &mut Scratch,
    file: &SmallFile,
    bytes: &[u8],
) -> Result<BlobId> {
    let earlier = || Earlier::find(run, &file.origin.path_of(&file.name), true);
    let Some(earlier) = file.may_have_earlier.then(earlier).flatten() else {
        return run.writer.save(scratch, BlobKind::Data, bytes);
    };
    let deltas = run.writer.begin_run();
    let id = earlier.save(run, scratch, deltas, 0, bytes)?;
    run.writer.end_run(deltas)?;
    Ok(id)
}

fn whole(extent: Extent) -> Content {
    Content::Extents { chunker: Chunker::Whole, extents: vec![extent] }
}

/// Reads one file; `None` when there is nothing that could be stored for it.
fn read(
    run: &Run<'_>,
    scratch: &mut Scratch,
    file: &SmallFile,
    buffer: &mut Vec<u8>,
) -> Result<Option<Metadata>> {
    let expected = usize::try_from(file.stat.size).unwrap_or(usize::MAX);
    let mut attempt = || -> std::io::Result<_> {
        let open = file.origin.directory.open_file(&file.name)?;
        read_small(&open, expected, buffer)?;
        // Looked at after reading: the same as before means the same all the while.
        let after = Stat::of(&open)?;
        Ok((after, attributes::of_open(&open)?))
    };
    let (after, attributes) = match attempt() {
        Ok(read) => read,
        Err(error) => {
            run.unreadable(&file.origin.path_of(&file.name), error.to_string());
            return Ok(None);
        }
    };
    if after.kind != Kind::File {
        run.unreadable(&file.origin.path_of(&file.name), "it was replaced while it was read");
        return Ok(None);
    }
    let before = &file.stat;
    let is_same = (after.device, after.inode) == (before.device, before.inode)
        && (after.size, after.mtime) == (before.size, before.mtime)
        && buffer.len() == expected;
    if !is_same {
        run.unreadable(&file.origin.path_of(&file.name), "it changed while it was read");
        buffer.truncate(limits::DATA_BLOB_BYTES_MAX as usize);
    }
    let mut metadata = after.metadata(&run.owners);
    metadata.attributes = run.keep_attributes(scratch, attributes)?;
    Ok(Some(metadata))
}

/// Fills in the entry of a file, and of its other names.
fn finish(
    run: &Run<'_>,
    scratch: &mut Scratch,
    file: &SmallFile,
    stored: Option<(Metadata, usize, [u8; 32], Content)>,
) -> Result<()> {
    let before = file.stat.metadata(&run.owners);
    let group = before.link_group;
    let entry = stored.map(|(metadata, size, digest, content)| Entry {
        name: Bytes(file.name.clone()),
        metadata,
        body: Body::File { size: size as u64, content, digest: Digest::Plain(digest) },
    });
    if let Some(group) = group {
        let read = entry.as_ref().map(|e| (e.metadata.attributes.clone(), e.body.clone()));
        run.links.finish(run, scratch, group, read.as_ref())?;
    }
    file.origin.folder.fill(run, scratch, file.place, entry)
}

/// A blob that small files share, under way.
struct Bundle {
    bytes: Vec<u8>,
    members: Vec<Member>,
}

impl Bundle {
    fn add(
        &mut self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        file: SmallFile,
        metadata: Metadata,
        digest: [u8; 32],
        bytes: &[u8],
    ) -> Result<()> {
        if let Some(extent) = run.known.get(&digest) {
            return finish(
                run,
                scratch,
                &file,
                Some((metadata, bytes.len(), digest, whole(extent))),
            );
        }
        let twin = self.members.iter().rev().take(64).find(|member| member.digest == digest);
        let offset = if let Some(twin) = twin {
            twin.offset
        } else {
            let offset = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(bytes);
            offset
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.members.push(Member { file, metadata, digest, offset, length });
        // Borders depend on content, so that a moved folder finds its bundles again.
        let drawn = keyed_hash(&run.repo.keys.bundle_borders, &[&digest]);
        let drawn = u64::from(u32::from_le_bytes([drawn[0], drawn[1], drawn[2], drawn[3]]));
        let config = run.repo.config();
        let is_border = drawn * u64::from(config.bundle_bytes) < u64::from(length) << 32;
        let room = (limits::DATA_BLOB_BYTES_MAX - config.bundle_below_bytes) as usize;
        if is_border || self.bytes.len() >= room {
            self.close(run, scratch)?;
        }
        Ok(())
    }

    fn close(&mut self, run: &Run<'_>, scratch: &mut Scratch) -> Result<()> {
        if self.members.is_empty() {
            return Ok(());
        }
        let id: BlobId = run.writer.save(scratch, BlobKind::Data, &self.bytes)?;
        let total = self.bytes.len();
        self.bytes.clear();
        for member in self.members.drain(..) {
            let Member { file, metadata, digest, offset, length } = member;
            let extent = if length as usize == total {
                Extent::Blob { id, length }
            } else {
                Extent::Slice { id, offset, length }
            };
            run.known.add(digest, extent);
            let stored = (metadata, length as usize, digest, whole(extent));
            finish(run, scratch, &file, Some(stored))?;
        }
        Ok(())
    }
}

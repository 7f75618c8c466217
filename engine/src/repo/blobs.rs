//! Reading blobs: from a place to plain bytes whose keyed name has been checked. SPEC 5.

use bytes::BytesMut;
use repo_format::index::PackRef;
use repo_format::pack::{self, BlobKind};
use repo_format::{BlobId, ObjectName, limits};

use super::deltas::{Bases, Opener};
use super::index::{Index, Located};
use super::{IndexedRepository, Repository};
use crate::chunk::compression::Decompressor;
use crate::chunk::delta;
use crate::crypto::blob::{blob_id, open_frame};
use crate::error::{Context as _, Error, Kind, Result};

/// Opens frames, one after another, with buffers that are used again.
#[derive(Debug)]
pub struct FrameReader {
    decompressor: Decompressor,
}

impl FrameReader {
    /// Makes a reader.
    pub fn new() -> Result<Self> {
        let decompressor = Decompressor::new()
            .map_err(|error| Error::caused(Kind::Other, "starting zstd", error))?;
        Ok(Self { decompressor })
    }

    /// Opens a frame, in place, into its plain bytes, given those of its bases in order; nothing is
    /// believed before the id matches.
    pub(crate) fn open(
        &mut self,
        repo: &Repository,
        located: &Located,
        base: &[u8],
        frame: &mut [u8],
        plain: &mut Vec<u8>,
    ) -> Result<()> {
        let entry = &located.entry;
        if entry.encoding > pack::encoding::DELTA {
            return Err(unsupported(located));
        }
        let encoded = unseal(repo, located, frame)?;
        let decoded = if entry.encoding == pack::encoding::DELTA {
            delta::decode(base, encoded, entry.plain_bytes, plain)
        } else {
            self.decompressor.decode(entry.encoding, encoded, entry.plain_bytes, plain)
        };
        decoded.map_err(|error| Error::caused(Kind::Damaged, error.to_string(), error))?;
        let is_named = blob_id(&repo.keys.id_key, entry.kind, plain) == entry.id;
        if !is_named && !planted!(IdUnchecked) {
            plain.clear();
            return Err(Error::new(Kind::Damaged, "the bytes are not those that the id names"));
        }
        Ok(())
    }
}

fn unsupported(located: &Located) -> Error {
    let what = format!("blob {} has an encoding that this program lacks", located.entry.id.short());
    Error::new(Kind::NewerFormat, what)
}

/// Opens a frame, in place, to its encoded bytes, whatever the encoding.
pub(crate) fn unseal<'a>(
    repo: &Repository,
    located: &Located,
    frame: &'a mut [u8],
) -> Result<&'a [u8]> {
    let entry = &located.entry;
    if entry.envelope != 0 {
        return Err(unsupported(located));
    }
    let keys = repo.keys.epoch(located.pack.epoch)?;
    let key = if entry.kind.is_metadata() { &keys.metadata } else { &keys.data };
    let context = pack::blob_context(
        repo.id(),
        entry.id,
        entry.kind,
        entry.encoding,
        entry.plain_bytes,
        &located.bases,
    );
    Ok(open_frame(frame, key, entry.id, &context)?)
}

/// Name of the object of a pack.
pub fn pack_name(pack: &PackRef) -> ObjectName {
    if pack.is_metadata {
        ObjectName::metadata_pack(pack.hash)
    } else {
        ObjectName::data_pack(pack.hash)
    }
}

/// Reads single blobs; keep one a thread.
#[derive(Debug)]
pub struct BlobReader<'a> {
    repo: &'a IndexedRepository,
    opener: Opener,
}

impl<'a> BlobReader<'a> {
    /// Makes a reader.
    pub fn new(repo: &'a IndexedRepository) -> Result<Self> {
        Ok(Self { repo, opener: Opener::new()? })
    }

    /// Makes a reader out of one that was used before, so that its buffers are used again.
    pub(crate) const fn with_opener(repo: &'a IndexedRepository, opener: Opener) -> Self {
        Self { repo, opener }
    }

    /// Gives the part back that another reader may use.
    pub(crate) fn into_opener(self) -> Opener {
        self.opener
    }

    /// Repository that is read.
    pub const fn repo(&self) -> &'a IndexedRepository {
        self.repo
    }

    /// Reads a blob of a kind into `plain`, from whichever of its places holds.
    ///
    /// # Errors
    /// [`Kind::Damaged`] when no place holds it.
    pub fn read(&mut self, id: BlobId, kind: BlobKind, plain: &mut Vec<u8>) -> Result<()> {
        let places = self.repo.index().find_all(&id);
        let mut trouble =
            Error::new(Kind::Damaged, format!("blob {} is in no pack of the index", id.short()));
        for located in places {
            if located.entry.kind != kind {
                let what = format!("blob {} is not of the kind it is used as", id.short());
                trouble = Error::new(Kind::Damaged, what);
                continue;
            }
            match self.read_at(&located, plain) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    trouble = error;
                }
            }
        }
        plain.clear();
        Err(trouble)
    }

    /// Reads a blob from one of its places.
    pub fn read_at(&mut self, located: &Located, plain: &mut Vec<u8>) -> Result<()> {
        let mut frame = self.repo.frame(located)?;
        self.open(located, &mut frame, plain).with_context(|| {
            format!("reading blob {} of {}", located.entry.id.short(), pack_name(&located.pack))
        })
    }

    /// Opens the frame of a blob, in place, reading its bases where it has some.
    pub fn open(&mut self, located: &Located, frame: &mut [u8], plain: &mut Vec<u8>) -> Result<()> {
        Ok(self.opener.open(self.repo, self.repo, located, frame, plain)?)
    }
}

impl Bases for IndexedRepository {
    fn places(&self, id: &BlobId) -> Vec<Located> {
        self.index().find_all(id)
    }

    fn frame(&self, located: &Located) -> Result<BytesMut> {
        read_frame(self, located)
    }
}

/// Reads the frame of a blob from its pack.
pub(crate) fn read_frame(repo: &Repository, located: &Located) -> Result<BytesMut> {
    let entry = &located.entry;
    let name = pack_name(&located.pack);
    let (offset, length) = (u64::from(entry.offset), u64::from(entry.stored_bytes));
    let bytes = repo.store.get_range(&name, offset, length).map_err(|error| {
        let mut error = Error::from(error);
        if error.kind() == Kind::NotFound {
            error = Error::caused(Kind::Damaged, format!("{name} is missing"), error);
        }
        error
    });
    let bytes = bytes.with_context(|| format!("reading blob {} of {name}", entry.id.short()))?;
    // A reader that shares the bytes keeps them; they are opened in a copy then.
    Ok(bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..])))
}

/// Reads the sealed directory of a pack from its last bytes.
pub fn read_directory(repo: &Repository, name: &ObjectName) -> Result<(PackRef, pack::Directory)> {
    let total_bytes = repo.store.size(name)?;
    let doing = || format!("reading the directory of {name}");
    let tail_bytes = total_bytes.min(64 << 10);
    let tail = repo.store.get_range(name, total_bytes - tail_bytes, tail_bytes)?;
    let (offset, length) = pack::locate_directory(total_bytes, &tail).with_context(doing)?;
    let start = total_bytes - tail_bytes;
    let sealed = if offset >= start {
        let from = usize::try_from(offset - start).unwrap_or(usize::MAX);
        tail.slice(from..from + length as usize)
    } else {
        repo.store.get_range(name, offset, u64::from(length))?
    };
    let head = repo.store.get_range(name, 0, repo_format::envelope::HEADER_BYTES as u64)?;
    let trailer = &tail[tail.len() - 32..];
    open_directory(repo, name, total_bytes, &head, &sealed, trailer).with_context(doing)
}

/// Opens a sealed directory, given the header and the trailer of its pack.
pub(crate) fn open_directory(
    repo: &Repository,
    name: &ObjectName,
    total_bytes: u64,
    head: &[u8],
    sealed: &[u8],
    trailer: &[u8],
) -> Result<(PackRef, pack::Directory)> {
    use repo_format::envelope::Header;
    use repo_format::object_name::Meaning;
    let damaged = |what: &str| Error::new(Kind::Damaged, what);
    let header = Header::decode(head)?;
    let (hash, is_metadata) = match name.meaning() {
        Some(Meaning::DataPack(hash)) => (hash, false),
        Some(Meaning::MetadataPack(hash)) => (hash, true),
        _ => return Err(damaged("this is not the name of a pack")),
    };
    let kind = if is_metadata {
        repo_format::ObjectKind::MetadataPack
    } else {
        repo_format::ObjectKind::DataPack
    };
    if header.kind != kind || header.repository != repo.id() || header.total_bytes != total_bytes {
        return Err(damaged("its header does not fit its name and length"));
    }
    if trailer != hash.0 || total_bytes > limits::PACK_BYTES_MAX {
        return Err(damaged("its trailer is not its name"));
    }
    let key = &repo.keys.epoch(header.epoch)?.directory;
    let plain = crate::crypto::seal::open(
        key,
        super::keys::domain::PACK_DIRECTORY,
        &header.context(0),
        sealed,
    )?;
    let footer = pack::FOOTER_BYTES as u64 + sealed.len() as u64;
    let directory = pack::Directory::decode(&plain, total_bytes - footer)?;
    if directory.entries.iter().any(|entry| entry.kind.is_metadata() != is_metadata) {
        return Err(damaged("it holds blobs that belong into the other kind of pack"));
    }
    let pack = PackRef { hash, is_metadata, class: header.class, epoch: header.epoch, total_bytes };
    Ok((pack, directory))
}

/// Says whether a blob is somewhere in the index with the kind that is asked for.
pub fn is_known(index: &Index, id: &BlobId, kind: BlobKind) -> bool {
    index.find(id).is_some_and(|located| located.entry.kind == kind)
}

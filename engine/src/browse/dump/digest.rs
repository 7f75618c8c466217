//! Holds the bytes of a file against its digest as they go by. SPEC 6.4.

use repo_format::tree::{Body, Digest, Entry};

use crate::error::{Error, Kind, Result};

/// Digest of a file under way.
#[derive(Debug)]
pub(super) struct Prover {
    hasher: blake3::Hasher,
    is_sparse: bool,
    /// Bytes since the last hole.
    run_bytes: u64,
    bytes: u64,
}

impl Prover {
    /// Starts as the digest of the entry asks for.
    pub(super) fn new(entry: &Entry) -> Self {
        let is_sparse = matches!(entry.body, Body::File { digest: Digest::Sparse(_), .. });
        Self { hasher: blake3::Hasher::new(), is_sparse, run_bytes: 0, bytes: 0 }
    }

    /// Bytes so far, holes included.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes bytes outside holes.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        if self.is_sparse && self.run_bytes == 0 {
            self.hasher.update(&self.bytes.to_le_bytes());
        }
        self.hasher.update(bytes);
        self.run_bytes += bytes.len() as u64;
        self.bytes += bytes.len() as u64;
    }

    /// Takes the zeros of a hole.
    pub(super) fn hole(&mut self, zeros: &[u8]) {
        if self.is_sparse {
            end_run(&mut self.hasher, self.run_bytes);
        } else {
            self.hasher.update(zeros);
        }
        self.run_bytes = 0;
        self.bytes += zeros.len() as u64;
    }

    /// Says whether it was the whole file.
    pub(super) fn check(&self, size: u64, digest: &Digest) -> Result<()> {
        if self.bytes != size {
            let what = format!("the file has {} bytes and should have {size}", self.bytes);
            return Err(Error::new(Kind::Damaged, what));
        }
        let mut hasher = self.hasher.clone();
        if self.is_sparse {
            end_run(&mut hasher, self.run_bytes);
        }
        let (Digest::Plain(expected) | Digest::Sparse(expected)) = digest;
        if hasher.finalize().as_bytes() == expected {
            return Ok(());
        }
        Err(Error::new(Kind::Damaged, "the file's content is not what its digest says"))
    }
}

fn end_run(hasher: &mut blake3::Hasher, run_bytes: u64) {
    if run_bytes > 0 {
        hasher.update(&run_bytes.to_le_bytes());
    }
}

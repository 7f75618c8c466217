//! Digests of whole files, holes among them. SPEC 6.4.

use repo_format::tree::Digest;

/// Digest of a file as it is read, holes among it.
#[derive(Debug)]
pub(crate) struct Digester {
    hasher: blake3::Hasher,
    is_sparse: bool,
    run_bytes: u64,
    position: u64,
}

/// Holes beyond this length are named, not hashed.
const HASHED_HOLES_MAX: u64 = 256 << 20;

impl Digester {
    /// Starts the digest of a file with about so many bytes of holes.
    pub(crate) fn for_holes(hole_bytes: u64) -> Self {
        Self::new(hole_bytes > HASHED_HOLES_MAX)
    }

    /// Starts a digest of one kind.
    pub(crate) fn new(is_sparse: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), is_sparse, run_bytes: 0, position: 0 }
    }

    /// Adds bytes.
    pub(crate) fn data(&mut self, bytes: &[u8]) {
        if self.is_sparse && self.run_bytes == 0 {
            self.hasher.update(&self.position.to_le_bytes());
        }
        self.hasher.update(bytes);
        self.run_bytes += bytes.len() as u64;
        self.position += bytes.len() as u64;
    }

    /// Adds a hole.
    pub(crate) fn hole(&mut self, length: u64) {
        self.end_run();
        self.position += length;
        if !self.is_sparse {
            let zeros = [0; 16 << 10];
            let mut left = length;
            while left > 0 {
                let now = left.min(zeros.len() as u64);
                self.hasher.update(&zeros[..usize::try_from(now).unwrap_or(zeros.len())]);
                left -= now;
            }
        }
    }

    fn end_run(&mut self) {
        if self.is_sparse && self.run_bytes > 0 {
            self.hasher.update(&self.run_bytes.to_le_bytes());
        }
        self.run_bytes = 0;
    }

    /// Ends the digest.
    pub(crate) fn finish(mut self) -> Digest {
        self.end_run();
        let hash = *self.hasher.finalize().as_bytes();
        if self.is_sparse { Digest::Sparse(hash) } else { Digest::Plain(hash) }
    }
}

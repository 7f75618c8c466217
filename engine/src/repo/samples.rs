//! Samples of chunks, as this machine remembers them, so that a version need not be read again to
//! know what it is like.
//!
//! Losing them costs reading that version once more.

use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use repo_format::BlobId;

use super::Repository;

const FILE: &str = "samples";
const MAGIC: &[u8; 16] = b"strongroom smp 1";
/// Bytes of the file.
const FILE_BYTES_MAX: usize = 32 << 20;
/// Samples of one chunk that are remembered.
const CHUNK_SAMPLES_MAX: usize = 4096;

#[derive(Debug)]
struct Known {
    samples: Box<[u32]>,
    is_used: bool,
}

/// Samples by chunk.
#[derive(Debug, Default)]
pub(crate) struct Samples(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: HashMap<BlobId, Known>,
    is_loaded: bool,
    is_changed: bool,
}

impl Samples {
    fn lock(&self, repo: &Repository) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_loaded {
            state.is_loaded = true;
            state.known = load(repo).unwrap_or_default();
        }
        state
    }

    /// Samples of a chunk, if they are remembered.
    pub(crate) fn get(&self, repo: &Repository, id: &BlobId) -> Option<Box<[u32]>> {
        let mut state = self.lock(repo);
        let known = state.known.get_mut(id)?;
        known.is_used = true;
        Some(known.samples.clone())
    }

    /// Remembers the samples of a chunk.
    pub(crate) fn add(&self, repo: &Repository, id: BlobId, samples: &[u32]) {
        if samples.len() > CHUNK_SAMPLES_MAX {
            return;
        }
        let mut state = self.lock(repo);
        state.is_changed = true;
        state.known.insert(id, Known { samples: samples.into(), is_used: true });
    }

    /// Writes everything to the state folder, what was used in this run first, as far as it goes.
    pub(crate) fn save(&self, repo: &Repository) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = repo.state.path(FILE).filter(|_| state.is_changed) else { return };
        state.is_changed = false;
        let mut out = MAGIC.to_vec();
        for wanted in [true, false] {
            for (id, known) in state.known.iter().filter(|(_, known)| known.is_used == wanted) {
                let bytes = 34 + known.samples.len() * 4;
                let Ok(count) = u16::try_from(known.samples.len()) else { continue };
                if out.len() + bytes + 32 > FILE_BYTES_MAX {
                    break;
                }
                out.extend_from_slice(&id.0);
                out.extend_from_slice(&count.to_le_bytes());
                for sample in &known.samples {
                    out.extend_from_slice(&sample.to_le_bytes());
                }
            }
        }
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        let aside = path.with_extension("new");
        let _ = fs::write(&aside, out).and_then(|()| fs::rename(aside, path));
    }
}

/// Reads the file; a damaged one is no loss.
fn load(repo: &Repository) -> Option<HashMap<BlobId, Known>> {
    let path = repo.state.path(FILE)?;
    let length = fs::metadata(&path).ok()?.len();
    let bytes = fs::read(path).ok().filter(|_| length <= FILE_BYTES_MAX as u64)?;
    decode(&bytes)
}

fn decode(bytes: &[u8]) -> Option<HashMap<BlobId, Known>> {
    let (body, hash) = bytes.split_last_chunk::<32>()?;
    let mut rest = body.strip_prefix(MAGIC).filter(|_| blake3::hash(body) == *hash)?;
    let mut known = HashMap::new();
    while let Some((id, after)) = rest.split_first_chunk::<32>() {
        let (count, after) = after.split_first_chunk::<2>()?;
        let (samples, after) =
            after.split_at_checked(usize::from(u16::from_le_bytes(*count)) * 4)?;
        let samples = samples.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        known.insert(BlobId(*id), Known { samples: samples.collect(), is_used: false });
        rest = after;
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::fixture::Fixture;

    #[test]
    fn samples_are_remembered_and_a_damaged_file_is_no_loss() {
        let fixture = Fixture::empty();
        let repo = &fixture.repo;
        let (samples, id) = (Samples::default(), BlobId([7; 32]));
        assert!(samples.get(repo, &id).is_none());
        samples.add(repo, id, &[1, 2, 70_000]);
        samples.save(repo);
        assert_eq!(*Samples::default().get(repo, &id).unwrap(), [1, 2, 70_000]);
        let path = repo.state.path(FILE).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(Samples::default().get(repo, &id).is_none());
    }
}

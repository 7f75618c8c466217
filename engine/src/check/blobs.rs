//! Finding and reading the blobs that the walk asks for, wherever one place still has them.
//!
//! A delta is there when its pack has it and everything that it stands on is there too; what is
//! lost below takes down whatever stands on it.

use std::collections::{HashMap, HashSet};

use repo_format::pack::BlobKind;
use repo_format::{BlobId, limits};

use super::walk::{Walk, key};
use crate::error::{Kind, Result};
use crate::repo::index::{Index, Located};

/// Below this depth lies every place.
const ANY_DEPTH: u8 = u8::MAX;

/// What is known of blobs as bases.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Whether a blob can be had from a place below a depth.
    sound: HashMap<([u8; 16], u8), bool>,
    /// Blobs whose loss was put down to the packs that had them, and below which depths.
    blamed: HashSet<([u8; 16], u8)>,
}

impl Walk<'_> {
    /// Every place of a blob that can be had from it, with whether a segment names it.
    fn places(&mut self, id: &BlobId, kind: Option<BlobKind>, below: u8) -> Vec<(Located, bool)> {
        let catalog = self.catalog;
        let of = |index: &Index, is_named: bool| -> Vec<(Located, bool)> {
            let places = index.find_all(id).into_iter();
            places
                .filter(|located| kind.is_none_or(|kind| kind == located.entry.kind))
                .filter(|located| located.entry.depth < below)
                .map(|located| (located, is_named))
                .collect()
        };
        let mut places = of(&catalog.index, true);
        places.extend(of(&catalog.unnamed, false));
        places.retain(|(located, _)| self.stands(located));
        places
    }

    /// Says whether a place is not known to be lost, and neither is anything that it stands on.
    fn stands(&mut self, located: &Located) -> bool {
        let depth = located.entry.depth;
        !self.damage.holds(&located.pack.hash, &located.entry.id)
            && located.bases.iter().all(|base| self.is_sound(base, depth))
    }

    /// Says whether a base can be had from a place below a depth. The depth falls with each step,
    /// so a circle ends.
    fn is_sound(&mut self, id: &BlobId, below: u8) -> bool {
        let wanted = (key(id), below);
        if let Some(known) = self.standing.sound.get(&wanted) {
            return *known;
        }
        let found = self.places(id, None, below).into_iter().next();
        if let Some((located, false)) = &found {
            self.damage.need_unnamed(located.pack.hash);
        }
        self.standing.sound.insert(wanted, found.is_some());
        found.is_some()
    }

    /// Finds a blob without reading it; gives its plain length.
    pub(super) fn find(&mut self, id: &BlobId, kind: BlobKind) -> Option<u32> {
        // Nearly always the first place will do.
        if let Some(located) = self.catalog.index.find(id)
            && located.entry.kind == kind
            && self.stands(&located)
        {
            return Some(located.entry.plain_bytes);
        }
        if let Some((located, is_named)) = self.places(id, Some(kind), ANY_DEPTH).into_iter().next()
        {
            if !is_named {
                self.damage.need_unnamed(located.pack.hash);
            }
            return Some(located.entry.plain_bytes);
        }
        self.lack(id, kind);
        None
    }

    /// Reads a blob of metadata into `plain`, from whichever place holds.
    pub(super) fn read(&mut self, id: BlobId, kind: BlobKind) -> Result<bool> {
        let mut plain = std::mem::take(&mut self.plain);
        let mut left = limits::DELTA_OPENED_MAX;
        let is_read = self.read_below(id, Some(kind), ANY_DEPTH, &mut left, &mut plain);
        self.plain = plain;
        let is_read = is_read?;
        if !is_read {
            self.lack(&id, kind);
        }
        Ok(is_read)
    }

    fn read_below(
        &mut self,
        id: BlobId,
        kind: Option<BlobKind>,
        below: u8,
        left: &mut u32,
        plain: &mut Vec<u8>,
    ) -> Result<bool> {
        for (located, is_named) in self.places(&id, kind, below) {
            if *left == 0 {
                return Ok(false);
            }
            *left -= 1;
            let mut joined = Vec::new();
            if !self.gather(&located, left, &mut joined)? {
                continue;
            }
            match self.nodes.open(&located, &joined, plain) {
                Ok(()) => {
                    if !is_named {
                        self.damage.need_unnamed(located.pack.hash);
                    }
                    return Ok(true);
                }
                Err(error) => {
                    let why = match error.kind() {
                        Kind::NotFound => "it is missing".to_owned(),
                        _ => format!("blob {} does not open: {error}", id.short()),
                    };
                    self.run.goes_on(error)?;
                    self.damage.lose(&located.pack, id, &why);
                    // What stood on it stands no more.
                    self.standing = Standing::default();
                }
            }
        }
        Ok(false)
    }

    /// Joins the bases of a place; false where one of them cannot be had.
    fn gather(&mut self, located: &Located, left: &mut u32, joined: &mut Vec<u8>) -> Result<bool> {
        let mut plain = Vec::new();
        for base in &located.bases {
            if !self.read_below(*base, None, located.entry.depth, left, &mut plain)?
                || joined.len() + plain.len() > limits::DELTA_BASE_BYTES_MAX as usize
            {
                return Ok(false);
            }
            joined.extend_from_slice(&plain);
        }
        Ok(true)
    }

    /// Remembers that a blob is needed and that no place has it.
    fn lack(&mut self, id: &BlobId, kind: BlobKind) {
        let mut places = self.catalog.places(id);
        places.retain(|located| located.entry.kind == kind);
        if places.is_empty() {
            let is_other = self.catalog.index.contains(id);
            let why = if is_other {
                "it is not of the kind it is used as"
            } else {
                "it is in no pack of the index"
            };
            self.losses.absent(*id, why);
        }
        for located in &places {
            self.blame(located);
        }
    }

    /// Puts the loss of a place down to the packs that have lost it, or what it stands on.
    fn blame(&mut self, located: &Located) {
        self.damage.need(&located.pack.hash, &located.entry.id);
        let depth = located.entry.depth;
        for base in &located.bases {
            if self.is_sound(base, depth) || !self.standing.blamed.insert((key(base), depth)) {
                continue;
            }
            let mut places = self.catalog.places(base);
            places.retain(|place| place.entry.depth < depth);
            if places.is_empty() {
                self.losses
                    .absent(*base, "other blobs stand on it and it is in no pack below them");
            }
            for place in &places {
                self.blame(place);
            }
        }
    }
}

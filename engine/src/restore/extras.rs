//! What a folder of the target holds and the snapshot lacks: two sorted lists side by side.

use crate::source::files::{Kind, Names};

/// Names of a folder, compared with those of the snapshot as they come by in order.
#[derive(Debug)]
pub(super) struct Extras {
    names: Names,
    next: usize,
}

impl Extras {
    pub(super) const fn new(names: Names) -> Self {
        Self { names, next: 0 }
    }

    /// Names before the next one of the snapshot, with whether each is a directory.
    pub(super) fn before(&mut self, name: &[u8]) -> Vec<(Vec<u8>, bool)> {
        let mut extras = Vec::new();
        while let Some(found) = self.names.get(self.next) {
            if found >= name {
                self.next += usize::from(found == name);
                break;
            }
            extras.push(self.extra(found));
            self.next += 1;
        }
        extras
    }

    /// Names after the last one of the snapshot.
    pub(super) fn rest(&self) -> Vec<(Vec<u8>, bool)> {
        (self.next..self.names.len())
            .filter_map(|index| self.names.get(index).map(|name| (index, name)))
            .map(|(index, name)| (name.to_vec(), self.names.kind(index) == Some(Kind::Directory)))
            .collect()
    }

    fn extra(&self, name: &[u8]) -> (Vec<u8>, bool) {
        (name.to_vec(), self.names.kind(self.next) == Some(Kind::Directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::files::Directory;

    #[test]
    fn what_the_snapshot_lacks_is_found_in_order() {
        let place = tempfile::tempdir().unwrap();
        for name in ["b", "d", "z"] {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        std::fs::create_dir(place.path().join("a")).unwrap();
        let names = || Directory::open(place.path()).unwrap().names().unwrap();
        let mut extras = Extras::new(names());
        assert_eq!(extras.before(b"b"), [(b"a".to_vec(), true)]);
        assert_eq!(extras.before(b"c"), []);
        assert_eq!(extras.before(b"e"), [(b"d".to_vec(), false)]);
        assert_eq!(extras.rest(), [(b"z".to_vec(), false)]);
        assert_eq!(Extras::new(names()).rest().len(), 4);
    }
}

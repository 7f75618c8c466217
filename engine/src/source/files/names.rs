//! The names of one directory, sorted by bytes, in one allocation.
//!
//! Names are strictly ascending: a name that a directory lists twice while it changes stays once.

use std::io;

use super::stat::Kind;

/// Bytes before each name: its kind, then its length.
const HEAD: usize = 3;

/// Sorted names of one directory: 7 bytes a name besides the name itself.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// For each name: kind (1 byte), length (2 bytes, little-endian), the name.
    arena: Vec<u8>,
    /// Where in the arena each name's head is.
    starts: Vec<u32>,
}

impl Names {
    /// Takes one more name; [`Self::sort`] comes after the last one.
    pub(super) fn push(&mut self, name: &[u8], kind: Option<Kind>) -> io::Result<()> {
        let too_large =
            |_| io::Error::new(io::ErrorKind::FileTooLarge, "too many names in a folder");
        let start = u32::try_from(self.arena.len()).map_err(too_large)?;
        let length = u16::try_from(name.len()).map_err(too_large)?;
        self.starts.push(start);
        self.arena.push(kind.map_or(0, Kind::to_byte));
        self.arena.extend(length.to_le_bytes());
        self.arena.extend(name);
        Ok(())
    }

    /// Sorts by bytes, drops repeated names and gives spare memory back.
    pub(super) fn sort(&mut self) {
        // Names of one folder often begin alike, so the sort key starts where they first differ.
        let shared = self.shared_prefix();
        let mut keyed: Vec<(u64, u32)> =
            self.starts.iter().map(|&start| (key(&self.at(start)[shared..]), start)).collect();
        keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.at(a.1).cmp(self.at(b.1))));
        keyed.dedup_by(|a, b| self.at(a.1) == self.at(b.1));
        self.starts = keyed.iter().map(|&(_, start)| start).collect();
        self.arena.shrink_to_fit();
    }

    fn shared_prefix(&self) -> usize {
        let Some(&first) = self.starts.first() else { return 0 };
        let first = self.at(first);
        self.starts.iter().fold(first.len(), |shared, &start| {
            let same = first[..shared].iter().zip(self.at(start)).take_while(|(a, b)| a == b);
            same.count()
        })
    }

    fn at(&self, start: u32) -> &[u8] {
        let start = start as usize;
        let length = u16::from_le_bytes([self.arena[start + 1], self.arena[start + 2]]);
        &self.arena[start + HEAD..start + HEAD + usize::from(length)]
    }

    /// Number of names.
    pub const fn len(&self) -> usize {
        self.starts.len()
    }

    /// Says whether the directory is empty.
    pub const fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The name at `index`, in sorted order.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.starts.get(index).map(|&start| self.at(start))
    }

    /// Kind of the name at `index`, where the directory itself tells it; else a stat does.
    pub fn kind(&self, index: usize) -> Option<Kind> {
        Kind::from_byte(self.arena[*self.starts.get(index)? as usize])
    }

    /// The names, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.starts.iter().map(|&start| self.at(start))
    }

    /// The names, ascending, with their kinds where the directory itself tells them.
    pub fn iter_kinds(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<Kind>)> {
        let kind = |start: u32| Kind::from_byte(self.arena[start as usize]);
        self.starts.iter().map(move |&start| (self.at(start), kind(start)))
    }

    /// Says whether `name` is among the names.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.starts.binary_search_by(|&start| self.at(start).cmp(name)).is_ok()
    }

    /// Bytes of memory held.
    pub const fn memory(&self) -> usize {
        self.arena.capacity() + self.starts.capacity() * size_of::<u32>()
    }
}

/// First bytes of a name as a number that sorts as they do; no name holds the NUL of the padding.
fn key(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = name.len().min(8);
    bytes[..length].copy_from_slice(&name[..length]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut list = Names::default();
        for name in names {
            list.push(name, Some(Kind::File)).unwrap();
        }
        list.sort();
        list.iter().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn names_sort_by_bytes_and_repeated_ones_stay_once() {
        let names: [&[u8]; 8] =
            [b"b", b"a\xff", b"a", b"ab", b"a\x01", b"A", b"b", b"a-very-long-name-of-a-file"];
        let mut expected: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
        expected.sort();
        expected.dedup();
        assert_eq!(sorted(&names), expected);
    }

    #[test]
    fn names_that_begin_alike_sort_by_what_follows() {
        let names: [&[u8]; 4] = [b"prefix-000000010", b"prefix-0", b"prefix-000000002", b"prefix-"];
        let mut expected: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
        expected.sort();
        assert_eq!(sorted(&names), expected);
        assert!(sorted(&[]).is_empty());
    }

    #[test]
    fn a_million_names_take_little_memory() {
        let mut list = Names::default();
        for number in (0..1_000_000_u32).rev() {
            list.push(format!("invoice-{number:012}.xml").as_bytes(), None).unwrap();
        }
        list.sort();
        assert_eq!(list.len(), 1_000_000);
        assert_eq!(list.get(0).unwrap(), b"invoice-000000000000.xml");
        assert!(list.contains(b"invoice-000000999999.xml"));
        assert!(list.memory() < 40 << 20, "{}", list.memory());
    }
}

//! Identifiers: fixed-width byte strings, one type each, so that no two can be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{DecodeError, Reason};

/// Writes `bytes` as lower-case hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Reads exactly `N` bytes of lower-case hexadecimal; upper case is refused, so a name has one
/// spelling.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[derive(Serialize, Deserialize)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Bytes that one id takes.
            pub const BYTES: usize = $bytes;

            /// Reads the hexadecimal spelling.
            pub fn from_hex(text: &str) -> Option<Self> {
                from_hex(text).map(Self)
            }

            /// Takes the id from a slice of exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, DecodeError> {
                bytes.try_into().map(Self).map_err(|_| {
                    DecodeError::new(stringify!($name), bytes.len() as u64, Reason::Truncated)
                })
            }

            /// Spells the id in lower-case hexadecimal.
            pub fn to_hex(self) -> String {
                to_hex(&self.0)
            }

            /// Spells the first eight digits, enough to name the thing to a person.
            pub fn short(self) -> String {
                to_hex(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), to_hex(&self.0[..6]))
            }
        }
    };
}

id!(
    /// Names one repository; drawn at random when it is created.
    RepositoryId,
    16
);
id!(
    /// Names a blob: keyed BLAKE3 over its kind and its plain bytes. SPEC 5.1.
    BlobId,
    32
);
id!(
    /// Names an object by the hash of its bytes, which is also its trailer. SPEC 2.2.
    ObjectHash,
    32
);
id!(
    /// Names a writer: one installation that commits to the history. SPEC 8.1.
    WriterId,
    16
);
id!(
    /// Names a key slot; drawn at random.
    SlotId,
    16
);

/// Names a snapshot: the trailer hash of the history record that committed it. SPEC 8.3.
pub type SnapshotId = ObjectHash;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_has_one_spelling() {
        assert_eq!(from_hex::<2>("0aff"), Some([0x0a, 0xff]));
        assert_eq!(from_hex::<2>("0AFF"), None);
        assert_eq!(from_hex::<2>("0af"), None);
        assert_eq!(to_hex(&[0x0a, 0xff]), "0aff");
    }
}

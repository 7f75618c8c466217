//! The one file that names bincode: metadata records to bytes and back. SPEC 1.3.
//!
//! Reading consumes every byte, allocates no more than the input justifies, and accepts only bytes
//! that writing the value again would give.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{DecodeError, Reason, Result};
use crate::limits;

/// What the errors of a list or text that is too long end with.
const OVER_LIMIT: &str = "over the limit";
/// Most bytes of one encoded record; far above any real one.
const RECORD_LIMIT: usize = 64 << 20;

const fn configuration() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<RECORD_LIMIT>,
> {
    bincode::config::standard().with_limit::<RECORD_LIMIT>()
}

/// Encodes a record after whatever `out` already holds.
///
/// # Panics
/// Never for the records of this crate: their encodings cannot fail.
#[expect(
    clippy::expect_used,
    reason = "writing to memory fails only where a record has no encoding"
)]
pub fn encode_into<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, out, configuration())
        .expect("records of this crate have an encoding");
}

/// Encodes a record.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(value, &mut out);
    out
}

/// Decodes a record that fills `bytes` exactly and canonically.
pub fn decode<'a, T>(record: &'static str, bytes: &'a [u8]) -> Result<T>
where
    T: Deserialize<'a> + Serialize,
{
    let fail = |offset: usize, reason| DecodeError::new(record, offset as u64, reason);
    let (value, used) = bincode::serde::borrow_decode_from_slice::<T, _>(bytes, configuration())
        .map_err(|error| fail(0, reason_of(&error)))?;
    if used != bytes.len() {
        return Err(fail(used, Reason::TrailingBytes));
    }
    if encode(&value) != bytes {
        return Err(fail(0, Reason::NotCanonical));
    }
    Ok(value)
}

fn reason_of(error: &bincode::error::DecodeError) -> Reason {
    use bincode::error::DecodeError as E;
    match error {
        E::UnexpectedEnd { .. } => Reason::Truncated,
        E::LimitExceeded => Reason::OverLimit,
        // What serde's derive says of an enum index that this version lacks.
        E::OtherString(text) if text.contains("variant index") => Reason::Unsupported,
        // What the types of this crate say.
        E::OtherString(text) if text.contains(OVER_LIMIT) => Reason::OverLimit,
        _ => Reason::Invalid,
    }
}

/// Decodes a record at the start of `bytes`, whatever follows it.
pub fn decode_start<'a, T>(record: &'static str, bytes: &'a [u8]) -> Result<T>
where
    T: Deserialize<'a>,
{
    bincode::serde::borrow_decode_from_slice::<T, _>(bytes, configuration())
        .map(|(value, _)| value)
        .map_err(|error| DecodeError::new(record, 0, reason_of(&error)))
}

/// Encodes a versioned record: one version byte, then the record.
pub fn encode_versioned<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    let mut out = vec![version];
    encode_into(value, &mut out);
    out
}

/// Decodes a versioned record of the one version that is known.
pub fn decode_versioned<'a, T>(record: &'static str, version: u8, bytes: &'a [u8]) -> Result<T>
where
    T: Deserialize<'a> + Serialize,
{
    match bytes.split_first() {
        None => Err(DecodeError::new(record, 0, Reason::Truncated)),
        Some((&found, rest)) if found == version => decode(record, rest),
        Some(_) => Err(DecodeError::new(record, 0, Reason::Unsupported)),
    }
}

/// Deserializes a list of at most `MAX` items; a longer one is refused before any is read.
pub(crate) fn list_at_most<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} items")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            if items.size_hint().is_some_and(|count| count > MAX) {
                return Err(de::Error::custom(format!("a list {OVER_LIMIT}")));
            }
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

/// Bytes of any length: a `u64` length, then the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        // Borrowed first: the length is held against the input before anything is allocated.
        deserializer.deserialize_bytes(Borrowed)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Short UTF-8 text: stored as [`Bytes`] are, at most [`limits::TEXT_BYTES_MAX`] long.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(String);

impl Text {
    /// Takes text; over-long text is cut at a character border.
    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(limits::TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("short UTF-8 text")
            }
            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Text, E> {
                if bytes.len() > limits::TEXT_BYTES_MAX {
                    return Err(E::custom(format!("a text {OVER_LIMIT}")));
                }
                let text = std::str::from_utf8(bytes).map_err(E::custom)?;
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_bytes(Borrowed)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_length_allocates_nothing() {
        let mut bytes = vec![253];
        bytes.extend((1_u64 << 40).to_le_bytes());
        let error = decode::<Bytes>("bytes", &bytes).unwrap_err();
        assert!(matches!(error.reason, Reason::Truncated | Reason::OverLimit), "{error}");
    }

    #[test]
    fn a_longer_spelling_of_a_number_is_refused() {
        assert_eq!(decode::<u64>("number", &[5]).unwrap(), 5);
        let error = decode::<u64>("number", &[251, 5, 0]).unwrap_err();
        assert_eq!(error.reason, Reason::NotCanonical);
    }

    #[test]
    fn an_unknown_variant_is_unsupported_and_an_impossible_option_invalid() {
        #[derive(Debug, Serialize, Deserialize)]
        enum Known {
            One,
        }
        assert_eq!(decode::<Known>("known", &[1]).unwrap_err().reason, Reason::Unsupported);
        assert_eq!(decode::<Option<u8>>("option", &[2]).unwrap_err().reason, Reason::Invalid);
        assert!(matches!(decode::<Known>("known", &[0]), Ok(Known::One)));
    }

    #[test]
    fn a_list_over_its_limit_is_refused_before_its_items_are_read() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Few(#[serde(deserialize_with = "list_at_most::<_, _, 2>")] Vec<u64>);
        assert_eq!(decode::<Few>("few", &[2, 7, 8]).unwrap(), Few(vec![7, 8]));
        // The second item of the longer list would be refused as it is spelt.
        let error = decode::<Few>("few", &[3, 7, 255, 8]).unwrap_err();
        assert_eq!(error.reason, Reason::OverLimit);
        let error = decode::<Text>("text", &[vec![251, 0x88, 0x13], vec![b'x'; 5000]].concat());
        assert_eq!(error.unwrap_err().reason, Reason::OverLimit);
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert_eq!(decode::<u8>("byte", &[5, 6]).unwrap_err().reason, Reason::TrailingBytes);
    }
}

//! Why bytes are not a record: which record, at which byte, for what reason.

/// Reason for refusing bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The bytes end before the record does.
    #[error("truncated")]
    Truncated,
    /// Bytes are left over after the record.
    #[error("trailing bytes")]
    TrailingBytes,
    /// The magic bytes are those of something else.
    #[error("not a strongroom object")]
    BadMagic,
    /// The object is of another kind than its name says.
    #[error("wrong kind of object")]
    WrongKind,
    /// The object belongs to another repository.
    #[error("belongs to another repository")]
    OtherRepository,
    /// The length in the header is not the length of the object.
    #[error("length differs from the header")]
    WrongLength,
    /// The trailer is not the hash of the bytes before it.
    #[error("hash differs from the trailer")]
    WrongHash,
    /// Written by a newer format than this program knows: unsupported, not damaged.
    #[error("unsupported version or feature")]
    Unsupported,
    /// A count, length or depth is over the limit of this format.
    #[error("over the limit")]
    OverLimit,
    /// The same value has another, canonical encoding.
    #[error("not canonical")]
    NotCanonical,
    /// A field holds a value that the format does not allow.
    #[error("invalid value")]
    Invalid,
    /// A reserved byte is not zero.
    #[error("reserved bytes are not zero")]
    ReservedNotZero,
    /// Entries are not in the required order.
    #[error("out of order")]
    OutOfOrder,
}

/// Bytes that are not the record they should be. SPEC 1.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{record}: {reason} at byte {offset}")]
pub struct DecodeError {
    /// Record that was being read.
    pub record: &'static str,
    /// Byte offset in the record at which reading stopped; 0 where it is not known.
    pub offset: u64,
    /// Reason for stopping.
    pub reason: Reason,
}

impl DecodeError {
    /// Makes an error.
    pub const fn new(record: &'static str, offset: u64, reason: Reason) -> Self {
        Self { record, offset, reason }
    }

    /// Says whether a newer program may be able to read the bytes: never treated as damage.
    pub const fn is_unsupported(&self) -> bool {
        matches!(self.reason, Reason::Unsupported)
    }
}

/// Result of reading a record.
pub type Result<T, E = DecodeError> = std::result::Result<T, E>;

//! What may happen to a call to a store, and what it says then.

use bytes::Bytes;

use crate::store::layers::Call;
use crate::store::{Cause, Error};

/// What happens to one call. A fault that makes no sense for the kind of call acts as
/// [`Fault::ErrorBefore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; [`Cause::Unavailable`].
    ErrorBefore,
    /// Nothing is done; [`Cause::Ambiguous`].
    Ambiguous,
    /// Writes and deletes are done; [`Cause::Ambiguous`].
    ErrorAfter,
    /// Writes and deletes are done; [`Cause::Unavailable`], as from a server that misjudges.
    ErrorAfterUnavailable,
    /// The first half of the object gets its name; [`Cause::Ambiguous`].
    TornPut,
    /// Nothing is written, and the call succeeds.
    LostPut,
    /// Nothing is written, [`Cause::Ambiguous`]; the object comes so many calls later.
    DelayedPut(u64),
    /// The object is written, and written again so many calls later, whatever became of it.
    DuplicatedPut(u64),
    /// Nothing is written, the call succeeds, and the object comes so many calls later: its order
    /// among the others is lost.
    ReorderedPut(u64),
    /// Nothing is deleted, and the call succeeds.
    LostDelete,
    /// The object is deleted, and comes back so many calls later.
    Resurrection(u64),
    /// The last byte is missing, and the call succeeds.
    ShortGet,
    /// One bit is flipped, and the call succeeds.
    CorruptGet,
    /// The object as it was before it was last written, or as if it were not there yet.
    StaleGet,
    /// The bytes of another object of the same folder.
    MisdirectedGet,
    /// The listing lacks every second object, and the call succeeds: a store that breaks its
    /// promise.
    PartialList,
    /// The listing lacks the objects that were written last, so many of them.
    LaggingList(usize),
    /// The listing has an object that is not there: a deleted one, or one that never was.
    GhostList,
    /// The listing has every object twice.
    TwiceList,
    /// This call and all later ones do nothing and fail for good, as after a crash.
    Stop,
}

impl Fault {
    /// Faults that an honest store shows: whatever it does, it keeps its promises.
    pub const fn is_honest(self) -> bool {
        matches!(
            self,
            Self::ErrorBefore
                | Self::Ambiguous
                | Self::ErrorAfter
                | Self::ErrorAfterUnavailable
                | Self::DelayedPut(_)
                | Self::DuplicatedPut(_)
                | Self::Stop
        )
    }

    /// Every fault that makes sense for a kind of call, but for [`Fault::Stop`].
    pub const fn of(call: Call) -> &'static [Self] {
        match call {
            Call::Put => &[
                Self::ErrorBefore,
                Self::Ambiguous,
                Self::ErrorAfter,
                Self::ErrorAfterUnavailable,
                Self::TornPut,
                Self::LostPut,
                Self::DelayedPut(1),
                Self::DelayedPut(6),
                Self::DuplicatedPut(1),
                Self::DuplicatedPut(6),
                Self::ReorderedPut(1),
                Self::ReorderedPut(3),
            ],
            Call::Get => &[
                Self::ErrorBefore,
                Self::Ambiguous,
                Self::ShortGet,
                Self::CorruptGet,
                Self::StaleGet,
                Self::MisdirectedGet,
            ],
            Call::GetRange => {
                &[Self::ErrorBefore, Self::ShortGet, Self::CorruptGet, Self::MisdirectedGet]
            }
            Call::Size => &[Self::ErrorBefore, Self::StaleGet],
            Call::List => &[
                Self::ErrorBefore,
                Self::Ambiguous,
                Self::PartialList,
                Self::LaggingList(1),
                Self::LaggingList(3),
                Self::GhostList,
                Self::TwiceList,
            ],
            Call::Delete => &[
                Self::ErrorBefore,
                Self::Ambiguous,
                Self::ErrorAfter,
                Self::ErrorAfterUnavailable,
                Self::LostDelete,
                Self::Resurrection(1),
                Self::Resurrection(6),
            ],
        }
    }
}

/// Says how a call failed.
pub(super) fn failure(fault: Fault, call: Call, object: &str, number: u64) -> Error {
    let cause = match fault {
        Fault::Stop => Cause::Other,
        Fault::Ambiguous | Fault::ErrorAfter | Fault::TornPut | Fault::DelayedPut(_)
            if call == Call::Put =>
        {
            Cause::Ambiguous
        }
        _ => Cause::Unavailable,
    };
    let action = match call {
        Call::Put => "writing",
        Call::Get | Call::GetRange | Call::Size => "reading",
        Call::List => "listing",
        Call::Delete => "deleting",
    };
    Error::new(cause, action, object, format!("planned fault {fault:?} at call {number}"))
}

/// Says that an object is not there.
pub(super) fn absent(object: &str) -> Error {
    Error::new(Cause::NotFound, "reading", object, "not found")
}

/// Bytes as a damaging fault gives them; `None` where it does nothing to bytes.
pub(super) fn damaged(fault: Fault, number: u64, bytes: &Bytes) -> Option<Bytes> {
    let mut damaged = bytes.to_vec();
    match fault {
        Fault::ShortGet => {
            damaged.pop()?;
        }
        Fault::CorruptGet => {
            let place =
                usize::try_from(number.wrapping_mul(0x9e37_79b9) % damaged.len().max(1) as u64);
            *damaged.get_mut(place.ok()?)? ^= 1 << (number % 8);
        }
        _ => return None,
    }
    Some(Bytes::from(damaged))
}

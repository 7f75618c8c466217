//! Repairs what can be made again from what is left.
//!
//! Nothing is thrown away before what takes its place is stored and has been read back; what cannot
//! be repaired is told first, and left as it is.

mod index;
#[cfg(test)]
mod tests;

pub use index::{Options, Report, index};

//! Fuzz bodies: each takes bytes from a stranger and panics where a promise does not hold.
//!
//! A body is an ordinary function, so plain tests replay seeds and regressions on a stable
//! compiler, and `.ci/fuzz` gives the same functions to a fuzzing engine. Every body runs within a
//! limit of memory, see [`memory`].

pub mod memory;
mod places;
mod records;
mod repository;
mod sealed;
pub mod seeds;

pub use places::{excludes, location, object_name};
pub use records::{
    attributes, config, content_list, envelope, history_body, history_record, index_body,
    index_head, key_bundle, key_slot, label, marker, pack_directory, pack_footer, tree_node,
    values, writer_card,
};
pub use repository::repository;
pub use sealed::{argon2_costs, blob, bundle, cuts, frame};

/// A body.
pub type Body = fn(&[u8]);

/// Every target, by name.
pub const TARGETS: [(&str, Body); 26] = [
    ("envelope", envelope),
    ("marker", marker),
    ("key_slot", key_slot),
    ("key_bundle", key_bundle),
    ("label", label),
    ("config", config),
    ("writer_card", writer_card),
    ("pack_footer", pack_footer),
    ("pack_directory", pack_directory),
    ("index_head", index_head),
    ("index_body", index_body),
    ("tree_node", tree_node),
    ("content_list", content_list),
    ("attributes", attributes),
    ("history_record", history_record),
    ("history_body", history_body),
    ("values", values),
    ("object_name", object_name),
    ("location", location),
    ("excludes", excludes),
    ("argon2_costs", argon2_costs),
    ("blob", blob),
    ("frame", frame),
    ("bundle", bundle),
    ("cuts", cuts),
    ("repository", repository),
];

/// Splits a number of fixed width from the front; none where there are too few bytes.
pub(crate) fn number<const N: usize>(data: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = data.split_first_chunk::<N>()?;
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(first);
    Some((u64::from_le_bytes(wide), rest))
}

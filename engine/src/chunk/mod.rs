//! Streams in, chunks and their encodings out. SPEC 4.

pub mod compression;
pub mod cutter;
pub mod delta;
pub mod samples;
pub mod stream;

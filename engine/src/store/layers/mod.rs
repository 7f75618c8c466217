//! Layers that wrap a store and are stores themselves.
//!
//! A layer keeps every promise of what it wraps; the conformance suite runs over each.

mod cache;
mod deadline;
mod retry;
mod throttle;
mod trace;

pub use cache::Cache;
pub use deadline::Deadline;
pub use retry::{Retry, RetryPolicy};
pub use throttle::{Clock, Limits, MachineClock, Throttle};
pub use trace::{Call, CallCounts, Counts, Trace};

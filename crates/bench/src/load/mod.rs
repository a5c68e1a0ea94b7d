//! The kinds of load.

pub mod arguments;
pub mod connections;
pub mod consume;
pub mod latency;
pub mod produce;
pub mod produce_frame;
pub mod topics;

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds for the time stamps of records.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as i64)
}

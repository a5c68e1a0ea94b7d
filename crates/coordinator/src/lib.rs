//! Every coordinator, and the frame they hang in.
//!
//! [`runtime`] is the frame: a shard decides by returning records, timers and replies as data, and
//! changes only by replaying what was written. [`group`] is the group coordinator, whose state lives
//! in `__consumer_offsets`. No IO, no clock, no task in here: time arrives as an argument.

pub mod group;
pub mod metadata;
pub mod runtime;
pub mod share_state;
pub mod transaction;

//! Tools of the server trade, without hands: no clock, no thread, no task in here.
//!
//! [`timeline`] remembers uncommitted states, [`deferred`] parks replies until an offset commits,
//! and [`purgatory`] keeps operations that wait for something to happen to a key.

pub mod deferred;
pub mod purgatory;
pub mod timeline;

pub use deferred::DeferredEventQueue;
pub use purgatory::{DelayedOperationPurgatory, OperationId};
pub use timeline::Timeline;

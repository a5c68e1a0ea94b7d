//! Incremental fetch sessions (KIP-227): a fetcher names its partitions once, and later requests
//! and responses carry only what changed.

mod cache;
mod context;
mod session;
#[cfg(test)]
mod tests;

pub use cache::FetchManager;
pub use context::FetchContext;
pub use session::{FetchPartition, PartitionKey};

/// The epoch of a request that wants a new session, or a fetch without one.
pub const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that closes its session and wants no other.
pub const FINAL_EPOCH: i32 = -1;
/// The id that stands for "no session".
pub const INVALID_SESSION_ID: i32 = 0;

/// Epochs count from 1 and skip the two special values when they wrap.
pub(super) fn next_epoch(epoch: i32) -> i32 {
    if epoch < 0 {
        FINAL_EPOCH
    } else if epoch == i32::MAX {
        1
    } else {
        epoch + 1
    }
}

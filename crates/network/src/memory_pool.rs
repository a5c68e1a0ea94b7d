use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds the memory of all requests that are being received or served
/// (`queued.max.request.bytes`).
#[derive(Debug, Clone)]
pub(crate) struct MemoryPool {
    bound: Option<(Arc<Semaphore>, usize)>,
}

/// Memory taken from the pool; it goes back when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    _permit: Option<OwnedSemaphorePermit>,
}

impl MemoryPool {
    pub(crate) fn new(bytes: Option<usize>) -> Self {
        let bound = bytes.map(|bytes| {
            let size = bytes.clamp(1, u32::MAX as usize);
            (Arc::new(Semaphore::new(size)), size)
        });
        Self { bound }
    }

    /// Waits until there is room for a request. One larger than the whole pool takes all of it.
    pub(crate) async fn reserve(&self, bytes: usize) -> Reservation {
        let Some((pool, size)) = &self.bound else { return Reservation { _permit: None } };
        let permits = bytes.min(*size) as u32;
        // The semaphore is never closed, so there is no other way out than a permit.
        Reservation { _permit: Arc::clone(pool).acquire_many_owned(permits).await.ok() }
    }
}

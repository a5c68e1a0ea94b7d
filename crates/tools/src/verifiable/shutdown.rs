//! How a verifiable consumer ends.

use tokio::task::JoinHandle;

use super::event::Event;
use crate::error::Result;
use crate::signals::StopSignal;

/// Says `shutdown_requested` when a signal comes, and `shutdown_complete` when the consumer is closed. Both
/// lines come in any case; without a signal the request is said last, for then it is the end of the process
/// that asks.
#[derive(Debug)]
pub(super) struct Shutdown {
    stop: StopSignal,
    requested: JoinHandle<()>,
}

impl Shutdown {
    /// Listens to signals. Must be called within a tokio runtime.
    pub(super) fn listen() -> Result<Self> {
        let stop = StopSignal::listen()?;
        let told = stop.clone();
        let requested = tokio::spawn(async move {
            told.wait().await;
            Event::now("shutdown_requested").print();
        });
        Ok(Self { stop, requested })
    }

    /// Whether the consumer is to stop.
    pub(super) fn requested(&self) -> bool {
        self.stop.received()
    }

    /// Says that everything is done, and how the tool is to end.
    pub(super) async fn complete(self) -> Result {
        if self.stop.received() {
            // The request is said first. The task cannot fail: it only waits and writes.
            let _ = self.requested.await;
            Event::now("shutdown_complete").print();
        } else {
            self.requested.abort();
            Event::now("shutdown_complete").print();
            Event::now("shutdown_requested").print();
        }
        self.stop.outcome()
    }
}

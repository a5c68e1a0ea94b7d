//! Signals that end a tool. It finishes what it is at and then ends with the status that a shell expects of
//! a killed program, as a Java process with shutdown hooks does.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::{Result, ToolError};

/// What is received while no signal has come.
const NONE: i32 = 0;
/// Added to the number of a signal it makes an exit status.
const KILLED: i32 = 128;

/// Whether the tool was told to stop: by SIGHUP, SIGINT or SIGTERM.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal(watch::Receiver<i32>);

impl StopSignal {
    /// Listens from now on. Must be called within a tokio runtime.
    pub(crate) fn listen() -> Result<Self> {
        let (sender, receiver) = watch::channel(NONE);
        for kind in [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()] {
            let mut signals = signal(kind)?;
            let sender = sender.clone();
            tokio::spawn(async move {
                if signals.recv().await.is_some() {
                    sender.send_if_modified(|received| {
                        let first = *received == NONE;
                        if first {
                            *received = kind.as_raw_value();
                        }
                        first
                    });
                }
            });
        }
        Ok(Self(receiver))
    }

    /// Whether a signal has come.
    pub(crate) fn received(&self) -> bool {
        *self.0.borrow() != NONE
    }

    /// Waits for a signal.
    pub(crate) async fn wait(&self) {
        let mut receiver = self.0.clone();
        let ended = receiver.wait_for(|received| *received != NONE).await.is_err();
        if ended {
            // Nobody listens any more, so none can come.
            std::future::pending::<()>().await;
        }
    }

    /// How the tool is to end, now that its work is done.
    pub(crate) fn outcome(&self) -> Result {
        match *self.0.borrow() {
            NONE => Ok(()),
            number => Err(ToolError::Exit(KILLED + number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_names_the_signal() {
        let (sender, receiver) = watch::channel(NONE);
        let stop = StopSignal(receiver);
        assert!(!stop.received());
        assert!(stop.outcome().is_ok());
        sender.send(SignalKind::terminate().as_raw_value()).unwrap();
        assert!(stop.received());
        assert!(matches!(stop.outcome(), Err(ToolError::Exit(143))));
    }
}

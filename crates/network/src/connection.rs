use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::frame::{FrameError, LENGTH_BYTES};
use crate::header::{InvalidRequest, parse_request};
use crate::http::{self, ForeignProtocol};
use crate::idle::IdleTimer;
use crate::inbound::Inbound;
use crate::memory_pool::{MemoryPool, Reservation};
use crate::outbound::Outbound;
use crate::transport::Transport;
use crate::{ConnectionInfo, ConnectionSlot, HandlerResult, RequestHandler};

/// Answers to pipelined requests are written together up to this size.
const COALESCE_BYTES: usize = 64 * 1024;
/// How long a peer that got a page instead of an answer may take to hang up.
const LINGER: Duration = Duration::from_secs(1);

/// What the server wants of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Serve.
    Running,
    /// Finish the request that is being served, then close.
    Draining,
    /// Close now.
    Aborting,
}

/// One client's socket; owned and run by one task.
pub(crate) struct Connection<H> {
    pub(crate) transport: Transport,
    pub(crate) info: Arc<ConnectionInfo>,
    pub(crate) handler: Arc<H>,
    pub(crate) request_max_bytes: usize,
    pub(crate) memory: MemoryPool,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) idle: IdleTimer,
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    /// Whether a frame was seen: only the very first bytes can be another protocol's.
    pub(crate) greeted: bool,
    /// Its place among the connections, given back with it.
    pub(crate) _slot: ConnectionSlot,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseReason {
    #[error("the client hung up")]
    PeerClosed,
    #[error("nothing came for connections.max.idle.ms")]
    Idle,
    #[error("the server is shutting down")]
    Shutdown,
    #[error("the handler asked for it")]
    Handler,
    #[error("the client speaks {0:?} to a port of the Kafka protocol")]
    Foreign(ForeignProtocol),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CloseReason {
    /// Whether the client did what no Kafka client does.
    pub(crate) fn is_clients_fault(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Request(_) | Self::Foreign(_))
    }
}

impl<H: RequestHandler> Connection<H> {
    /// Serves until the connection ends.
    pub(crate) async fn run(mut self) -> CloseReason {
        let reason = match self.serve_all().await {
            Ok(never) => match never {},
            Err(reason) => reason,
        };
        if matches!(reason, CloseReason::Shutdown) && !self.is_aborting() {
            // The answer that was under way still belongs to the client.
            let _ = self.flush().await;
        }
        reason
    }

    async fn serve_all(&mut self) -> Result<std::convert::Infallible, CloseReason> {
        loop {
            match self.next_frame()? {
                Some(len) => {
                    let reservation = self.reserve(len).await?;
                    // Reading on may need memory first, so the frame can still be incomplete.
                    while self.inbound.len() < LENGTH_BYTES + len {
                        self.flush().await?;
                        self.read(Some(len)).await?;
                    }
                    let frame = self.inbound.take_frame(len);
                    self.serve(frame).await?;
                    drop(reservation);
                }
                None => {
                    self.flush().await?;
                    self.read(None).await?;
                    self.look_for_foreigners().await?;
                }
            }
            if *self.phase.borrow() >= Phase::Draining {
                return Err(CloseReason::Shutdown);
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<usize>, FrameError> {
        let len = self.inbound.frame_length(self.request_max_bytes)?;
        self.greeted |= len.is_some();
        Ok(len)
    }

    /// Takes memory for a frame from the pool; answers that are ready do not wait for it.
    async fn reserve(&mut self, len: usize) -> Result<Reservation, CloseReason> {
        let memory = self.memory.clone();
        let mut reserving = std::pin::pin!(memory.reserve(len));
        tokio::select! {
            biased;
            reservation = &mut reserving => return Ok(reservation),
            flushed = self.outbound.flush(&mut self.transport, &mut self.idle) => flushed?,
        }
        tokio::select! {
            biased;
            reservation = reserving => Ok(reservation),
            _ = self.phase.wait_for(|phase| *phase >= Phase::Draining) => Err(CloseReason::Shutdown),
        }
    }

    /// Reads once, waiting for bytes without holding more memory than has come already.
    async fn read(&mut self, frame: Option<usize>) -> Result<(), CloseReason> {
        loop {
            self.inbound.settle();
            tokio::select! {
                biased;
                ready = self.transport.readable() => ready?,
                () = self.idle.expired() => return Err(CloseReason::Idle),
                _ = self.phase.wait_for(|phase| *phase >= Phase::Draining) => return Err(CloseReason::Shutdown),
            }
            match self.transport.read_now(self.inbound.room(frame)).await? {
                Some(0) => return Err(CloseReason::PeerClosed),
                Some(_) => {
                    self.idle.touch();
                    return Ok(());
                }
                None => {}
            }
        }
    }

    async fn serve(&mut self, frame: Bytes) -> Result<(), CloseReason> {
        let (context, body) = parse_request(&*self.handler, &self.info, frame)?;
        let result = self.call(context, body).await?;
        self.idle.touch();
        let throttle = match result {
            HandlerResult::Response(response) => {
                let throttle = response.throttle;
                self.outbound.push(response)?;
                throttle
            }
            HandlerResult::NoResponse { throttle } => throttle,
            HandlerResult::Close => {
                self.flush().await?;
                return Err(CloseReason::Handler);
            }
        };
        if self.outbound.len() >= COALESCE_BYTES {
            self.flush().await?;
        }
        if throttle.is_zero() { Ok(()) } else { self.mute(throttle).await }
    }

    /// Runs the handler. While it waits for something, earlier answers go out and no buffer is held.
    async fn call(
        &mut self,
        context: crate::RequestContext,
        body: Bytes,
    ) -> Result<HandlerResult, CloseReason> {
        let handler = Arc::clone(&self.handler);
        // Boxed, so that connections that wait for a request do not carry the handler's state.
        let mut answer = Box::pin(handler.handle(context, body));
        if let Poll::Ready(result) = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await {
            return Ok(result);
        }
        self.inbound.settle();
        if !self.outbound.is_empty() {
            tokio::select! {
                biased;
                result = &mut answer => return Ok(result),
                flushed = self.outbound.flush(&mut self.transport, &mut self.idle) => flushed?,
            }
        }
        tokio::select! {
            biased;
            result = answer => Ok(result),
            _ = self.phase.wait_for(|phase| *phase >= Phase::Aborting) => Err(CloseReason::Shutdown),
        }
    }

    /// Answers, then does not listen for a while (KIP-219).
    async fn mute(&mut self, throttle: Duration) -> Result<(), CloseReason> {
        self.flush().await?;
        tokio::select! {
            () = tokio::time::sleep(throttle) => Ok(()),
            _ = self.phase.wait_for(|phase| *phase >= Phase::Draining) => Err(CloseReason::Shutdown),
        }
    }

    async fn flush(&mut self) -> Result<(), CloseReason> {
        if self.outbound.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            flushed = self.outbound.flush(&mut self.transport, &mut self.idle) => Ok(flushed?),
            _ = self.phase.wait_for(|phase| *phase >= Phase::Aborting) => Err(CloseReason::Shutdown),
        }
    }

    /// A browser gets a page; a TLS client only a line in the log, which it could not read.
    async fn look_for_foreigners(&mut self) -> Result<(), CloseReason> {
        if self.greeted {
            return Ok(());
        }
        let Some(foreign) = http::detect(self.inbound.as_slice()) else { return Ok(()) };
        if foreign == ForeignProtocol::Http {
            let page = http::page(&self.info.listener, &self.info.local_address.to_string());
            let _ = tokio::time::timeout(LINGER, self.send_page(&page)).await;
        }
        Err(CloseReason::Foreign(foreign))
    }

    async fn send_page(&mut self, page: &[u8]) -> io::Result<()> {
        self.transport.write_vectored(&[io::IoSlice::new(page)], false).await?;
        self.transport.shutdown().await?;
        // Closing with bytes unread would reset the connection and take the page with it.
        for _ in 0..16 {
            self.transport.readable().await?;
            self.inbound.clear();
            if self.transport.read_now(self.inbound.room(None)).await? == Some(0) {
                break;
            }
        }
        Ok(())
    }

    fn is_aborting(&self) -> bool {
        *self.phase.borrow() >= Phase::Aborting
    }
}

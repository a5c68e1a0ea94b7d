use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connection::{CloseReason, Connection, Phase};
use crate::idle::IdleTimer;
use crate::inbound::Inbound;
use crate::memory_pool::MemoryPool;
use crate::outbound::Outbound;
use crate::transport::Transport;
use crate::{
    ConnectionInfo, ConnectionQuotas, ConnectionSlot, RequestHandler, SecurityProtocol, SocketServerConfig,
};

/// Pauses after a failed accept: the usual reason is that no file descriptor is left, and it stays
/// so until some connection closes.
const ACCEPT_BACKOFF_MIN: Duration = Duration::from_millis(20);
const ACCEPT_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// What all listeners of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SocketServerConfig,
    pub(crate) quotas: Arc<ConnectionQuotas>,
    pub(crate) memory: MemoryPool,
    pub(crate) next_number: AtomicU64,
    pub(crate) complaints: Complaints,
}

/// Takes connections from one listening socket; owned and run by one task.
pub(crate) struct Acceptor<H> {
    pub(crate) listener: Arc<str>,
    pub(crate) security_protocol: SecurityProtocol,
    pub(crate) socket: TcpListener,
    pub(crate) handler: Arc<H>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) phase: watch::Receiver<Phase>,
}

impl<H: RequestHandler> Acceptor<H> {
    /// Accepts until the server stops.
    pub(crate) async fn run(mut self) {
        let mut stop = self.phase.clone();
        tokio::select! {
            () = self.accept_all() => {}
            _ = stop.wait_for(|phase| *phase >= Phase::Draining) => {}
        }
    }

    async fn accept_all(&mut self) {
        let mut backoff = ACCEPT_BACKOFF_MIN;
        loop {
            match self.socket.accept().await {
                Ok((stream, address)) => {
                    backoff = ACCEPT_BACKOFF_MIN;
                    self.admit(stream, address).await;
                }
                // The client gave up before its turn came; the next one is not concerned.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if self.shared.complaints.may_speak() {
                        let listener = &self.listener;
                        tracing::error!(
                            "Cannot accept connections on listener {listener}: {error}. Trying again; \
                             if files run out, raise the limit of open files (ulimit -n)"
                        );
                    }
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(ACCEPT_BACKOFF_MAX);
                }
            }
        }
    }

    async fn admit(&mut self, stream: TcpStream, address: SocketAddr) {
        match self.shared.quotas.acquire(&self.listener, address.ip()).await {
            Ok(slot) => {
                if let Err(error) = self.spawn(stream, address, slot) {
                    tracing::debug!("Connection from {address} was lost before its first byte: {error}");
                }
            }
            Err(refusal) => {
                if self.shared.complaints.may_speak() {
                    tracing::info!("Rejected connection on listener {}: {refusal}", self.listener);
                }
            }
        }
    }

    fn spawn(&self, stream: TcpStream, address: SocketAddr, slot: ConnectionSlot) -> io::Result<()> {
        let local = stream.local_addr()?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_keepalive(true)?;
        if let Ok(bytes @ 1..) = usize::try_from(self.shared.config.send_buffer_bytes) {
            socket.set_send_buffer_size(bytes)?;
        }
        let number = self.shared.next_number.fetch_add(1, Ordering::Relaxed);
        let listener = Arc::clone(&self.listener);
        let info = ConnectionInfo::new(listener, self.security_protocol, address, local, number);
        let connection = Connection {
            transport: Transport::Plaintext(stream),
            info: Arc::new(info),
            handler: Arc::clone(&self.handler),
            request_max_bytes: self.shared.config.request_max_bytes,
            memory: self.shared.memory.clone(),
            phase: self.phase.clone(),
            idle: IdleTimer::new(self.shared.config.connections_max_idle),
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            greeted: false,
            _slot: slot,
        };
        tokio::spawn(watch_over(connection, Arc::clone(&self.shared)));
        Ok(())
    }
}

async fn watch_over<H: RequestHandler>(connection: Connection<H>, shared: Arc<Shared>) {
    let (info, handler) = (Arc::clone(&connection.info), Arc::clone(&connection.handler));
    let reason = connection.run().await;
    handler.on_disconnect(&info);
    if matches!(reason, CloseReason::Foreign(crate::http::ForeignProtocol::Http)) {
        tracing::debug!("Closed {}: {reason}", info.id);
    } else if reason.is_clients_fault() && shared.complaints.may_speak() {
        tracing::warn!("Closed connection {} on listener {}: {reason}", info.id, info.listener);
    } else {
        tracing::debug!("Closed {}: {reason}", info.id);
    }
}

/// Keeps a flood of bad clients from flooding the log: one line a second.
#[derive(Debug)]
pub(crate) struct Complaints {
    start: Instant,
    last_ms: AtomicI64,
}

impl Complaints {
    const INTERVAL_MS: i64 = 1_000;

    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), last_ms: AtomicI64::new(-Self::INTERVAL_MS) }
    }

    fn may_speak(&self) -> bool {
        let now = self.start.elapsed().as_millis() as i64;
        let last = self.last_ms.load(Ordering::Relaxed);
        now - last >= Self::INTERVAL_MS
            && self.last_ms.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

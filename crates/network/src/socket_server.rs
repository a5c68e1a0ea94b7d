use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error, info};

use crate::connection::Connection;
use crate::connection_quotas::{ConnectionLimits, ConnectionQuotas};
use crate::request::RequestHandler;

/// Where clients may come in.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its name, such as `PLAINTEXT`.
    pub name: Arc<str>,
    /// Host or address; empty for all interfaces.
    pub host: String,
    /// Port; 0 lets the system choose.
    pub port: u16,
}

/// A listener that has its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundListener {
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Settings of all listeners.
#[derive(Debug, Clone)]
pub struct SocketServerConfig {
    /// `socket.request.max.bytes`.
    pub request_max_bytes: usize,
    /// `connections.max.idle.ms`.
    pub connections_max_idle: Duration,
    /// `socket.send.buffer.bytes`; `None` leaves it to the system.
    pub send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` leaves it to the system.
    pub receive_buffer_bytes: Option<usize>,
    /// `socket.listen.backlog.size`.
    pub backlog: i32,
    /// Limits on the number of connections.
    pub limits: ConnectionLimits,
}

impl Default for SocketServerConfig {
    fn default() -> Self {
        Self {
            request_max_bytes: 104_857_600,
            connections_max_idle: Duration::from_millis(600_000),
            send_buffer_bytes: Some(102_400),
            receive_buffer_bytes: Some(102_400),
            backlog: 50,
            limits: ConnectionLimits::default(),
        }
    }
}

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {host}:{port} for listener {name}: {source}")]
pub struct StartError {
    name: Arc<str>,
    host: String,
    port: u16,
    source: io::Error,
}

/// The listeners of a node. Ports are bound first and served later, so that the node can tell the
/// cluster where it will be before it lets anybody in.
#[derive(Debug)]
pub struct SocketServer {
    config: SocketServerConfig,
    quotas: Arc<ConnectionQuotas>,
    bound: Vec<(BoundListener, TcpListener)>,
    acceptors: JoinSet<()>,
    stop: watch::Sender<bool>,
    /// Every connection holds a clone of the receiver; when all are gone the channel closes.
    stopping: watch::Receiver<bool>,
}

impl SocketServer {
    /// Opens every port.
    pub async fn bind(config: SocketServerConfig, listeners: &[Listener]) -> Result<Self, StartError> {
        let mut bound = Vec::new();
        for listener in listeners {
            let socket = open(&config, listener).await.map_err(|source| StartError {
                name: listener.name.clone(),
                host: listener.host.clone(),
                port: listener.port,
                source,
            })?;
            bound.push(socket);
        }
        let (stop, stopping) = watch::channel(false);
        let quotas = ConnectionQuotas::new(config.limits.clone());
        Ok(Self { config, quotas, bound, acceptors: JoinSet::new(), stop, stopping })
    }

    /// The ports, in the order of the listeners.
    pub fn bound(&self) -> Vec<BoundListener> {
        self.bound.iter().map(|(bound, _)| bound.clone()).collect()
    }

    /// Lets clients of one listener in.
    pub fn serve<H: RequestHandler>(&mut self, name: &str, handler: Arc<H>) {
        let (ours, others) = std::mem::take(&mut self.bound).into_iter().partition(|(b, _)| &*b.name == name);
        self.bound = others;
        for (bound, socket) in ours {
            let acceptor = Acceptor {
                name: bound.name,
                socket,
                handler: handler.clone(),
                config: self.config.clone(),
                quotas: self.quotas.clone(),
                stopping: self.stopping.clone(),
            };
            self.acceptors.spawn(acceptor.run());
        }
    }

    /// Accepts nobody any more, lets requests that are being served finish, and closes everything, at
    /// the latest when `grace` is over.
    pub async fn shutdown(mut self, grace: Duration) {
        let _ = self.stop.send(true);
        self.bound.clear();
        self.acceptors.abort_all();
        while self.acceptors.join_next().await.is_some() {}
        drop(self.stopping);
        if tokio::time::timeout(grace, self.stop.closed()).await.is_err() {
            debug!(logger = "kafka.network.SocketServer", "Some connections were still busy at shutdown");
        }
    }
}

async fn open(config: &SocketServerConfig, listener: &Listener) -> io::Result<(BoundListener, TcpListener)> {
    let host = if listener.host.is_empty() { "0.0.0.0" } else { &listener.host };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in lookup_host((host, listener.port)).await? {
        match bind_one(config, address) {
            Ok(socket) => {
                let bound = BoundListener { name: listener.name.clone(), address: socket.local_addr()? };
                return Ok((bound, socket));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_one(config: &SocketServerConfig, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it, and it must be set before the window is negotiated.
    if let Some(bytes) = config.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    socket.listen(config.backlog)?;
    TcpListener::from_std(socket.into())
}

struct Acceptor<H> {
    name: Arc<str>,
    socket: TcpListener,
    handler: Arc<H>,
    config: SocketServerConfig,
    quotas: Arc<ConnectionQuotas>,
    stopping: watch::Receiver<bool>,
}

impl<H: RequestHandler> Acceptor<H> {
    async fn run(self) {
        info!(logger = "kafka.network.DataPlaneAcceptor", "Awaiting socket connections on listener {}.", self.name);
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    // Out of descriptors, most likely: others must close before this can go on.
                    error!(logger = "kafka.network.DataPlaneAcceptor", "Cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(permit) = self.quotas.acquire(peer.ip()) else {
            info!(logger = "kafka.network.ConnectionQuotas", "Rejected connection from {peer}: too many are open");
            return;
        };
        if let Err(error) = self.prepare(&stream) {
            debug!(logger = "kafka.network.DataPlaneAcceptor", "Cannot set up the connection of {peer}: {error}");
        }
        let connection = Connection {
            stream,
            peer,
            listener: self.name.clone(),
            handler: self.handler.clone(),
            request_max_bytes: self.config.request_max_bytes,
            max_idle: self.config.connections_max_idle,
            stopping: self.stopping.clone(),
        };
        tokio::spawn(async move {
            connection.run().await;
            drop(permit);
        });
    }

    fn prepare(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = socket2::SockRef::from(stream);
        socket.set_keepalive(true)?;
        match self.config.send_buffer_bytes {
            Some(bytes) => socket.set_send_buffer_size(bytes),
            None => Ok(()),
        }
    }
}

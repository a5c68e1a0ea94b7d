use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::acceptor::{Acceptor, Complaints, Shared};
use crate::connection::Phase;
use crate::memory_pool::MemoryPool;
use crate::{ConnectionQuotas, ListenerConfig, RequestHandler, SecurityProtocol, SocketServerConfig};

/// The listeners of one node and everybody connected to them.
///
/// Bound first, started later: between the two, clients wait in the backlog, so a port is taken
/// (or found taken) before anything is loaded, and answers come only when there is somebody to
/// give them. Dropping the server cuts every connection.
#[derive(Debug)]
pub struct SocketServer {
    shared: Arc<Shared>,
    bound: Vec<Bound>,
    acceptors: Vec<JoinHandle<()>>,
    phase: watch::Sender<Phase>,
}

#[derive(Debug)]
struct Bound {
    name: Arc<str>,
    security_protocol: SecurityProtocol,
    address: SocketAddr,
    /// Taken when the listener starts.
    socket: Option<TcpListener>,
}

/// Why a listener has no port.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The system said no.
    #[error("listener {listener} cannot listen on {host}:{port}: {source}; {}", remedy(source))]
    Socket {
        /// Name of the listener.
        listener: String,
        /// What was to be bound.
        host: String,
        /// What was to be bound.
        port: u16,
        /// What went wrong.
        source: io::Error,
    },
    /// A seam, not yet a feature.
    #[error("listener {listener} uses {protocol}, which is not available yet; use PLAINTEXT")]
    UnsupportedSecurityProtocol {
        /// Name of the listener.
        listener: String,
        /// What it asks for.
        protocol: SecurityProtocol,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop what uses that port or choose another one in `listeners`",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 belong to root; choose a higher one in `listeners`"
        }
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address; see `listeners`",
        _ => "check the host and port in `listeners`",
    }
}

impl SocketServer {
    /// Binds all listeners. Must be called within a tokio runtime.
    pub fn bind(config: SocketServerConfig, listeners: &[ListenerConfig]) -> Result<Self, BindError> {
        let bound = listeners.iter().map(|l| Bound::new(&config, l)).collect::<Result<_, _>>()?;
        let shared = Shared {
            quotas: Arc::new(ConnectionQuotas::new(config.limits.clone())),
            memory: MemoryPool::new(config.queued_max_request_bytes),
            next_number: AtomicU64::new(0),
            complaints: Complaints::new(),
            config,
        };
        let phase = watch::Sender::new(Phase::Running);
        Ok(Self { shared: Arc::new(shared), bound, acceptors: Vec::new(), phase })
    }

    /// Starts serving every listener that is not served yet.
    pub fn start<H: RequestHandler>(&mut self, handler: &Arc<H>) {
        let names: Vec<_> = self.bound.iter().map(|b| Arc::clone(&b.name)).collect();
        for name in names {
            self.start_listener(&name, handler);
        }
    }

    /// Starts serving one listener; says whether there is one of this name that was not started.
    pub fn start_listener<H: RequestHandler>(&mut self, name: &str, handler: &Arc<H>) -> bool {
        let Some(bound) = self.bound.iter_mut().find(|b| &*b.name == name) else { return false };
        let Some(socket) = bound.socket.take() else { return false };
        let acceptor = Acceptor {
            listener: Arc::clone(&bound.name),
            security_protocol: bound.security_protocol,
            socket,
            handler: Arc::clone(handler),
            shared: Arc::clone(&self.shared),
            phase: self.phase.subscribe(),
        };
        self.acceptors.push(tokio::spawn(acceptor.run()));
        true
    }

    /// The address a listener really has.
    pub fn bound_address(&self, name: &str) -> Option<SocketAddr> {
        self.bound.iter().find(|b| &*b.name == name).map(|b| b.address)
    }

    /// The connection counts and their limits.
    pub fn quotas(&self) -> &Arc<ConnectionQuotas> {
        &self.shared.quotas
    }

    /// Stops: accepts nobody, lets each connection finish the request it is being served, closes
    /// idle ones at once and, when `grace` is over, the others too.
    pub async fn shutdown(&mut self, grace: Duration) {
        self.phase.send_replace(Phase::Draining);
        for bound in &mut self.bound {
            bound.socket = None;
        }
        for acceptor in self.acceptors.drain(..) {
            // An acceptor that panicked has nothing left to stop.
            let _ = acceptor.await;
        }
        if tokio::time::timeout(grace, self.shared.quotas.drained()).await.is_err() {
            let left = self.shared.quotas.total();
            tracing::info!("Cutting {left} connections whose requests did not end within {grace:?}");
            self.phase.send_replace(Phase::Aborting);
            self.shared.quotas.drained().await;
        }
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Aborting);
    }
}

impl Bound {
    fn new(config: &SocketServerConfig, listener: &ListenerConfig) -> Result<Self, BindError> {
        let ListenerConfig { name, security_protocol, host, port } = listener;
        if *security_protocol != SecurityProtocol::Plaintext {
            let (listener, protocol) = (name.clone(), *security_protocol);
            return Err(BindError::UnsupportedSecurityProtocol { listener, protocol });
        }
        let failed =
            |source| BindError::Socket { listener: name.clone(), host: host.clone(), port: *port, source };
        let socket = listen(config, host, *port).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let name = Arc::from(name.as_str());
        Ok(Self { name, security_protocol: *security_protocol, address, socket: Some(socket) })
    }
}

fn listen(config: &SocketServerConfig, host: &str, port: u16) -> io::Result<TcpListener> {
    let mut last = None;
    for address in candidates(host, port)? {
        match listen_on(config, address) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host name has no address")))
}

/// No host means every interface, over IPv6 and IPv4 alike where the machine has both.
fn candidates(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.is_empty() {
        return Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]);
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host, port).to_socket_addrs()?.collect())
}

fn listen_on(config: &SocketServerConfig, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    // Before listen: the window's scale is settled in the handshake.
    if let Ok(bytes @ 1..) = usize::try_from(config.receive_buffer_bytes) {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(config.listen_backlog_size.max(1))?;
    TcpListener::from_std(socket.into())
}

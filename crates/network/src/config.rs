use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::MAX_FRAME_BYTES_DEFAULT;

/// How a listener's bytes are protected and its clients known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL in the clear.
    SaslPlaintext,
    /// SASL inside TLS.
    SaslSsl,
}

/// A text that names no security protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no security protocol; use one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL")]
pub struct UnknownSecurityProtocol(pub String);

impl SecurityProtocol {
    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SecurityProtocol {
    type Err = UnknownSecurityProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownSecurityProtocol(text.to_owned()))
    }
}

/// One entry of `listeners`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Name of the listener, such as `PLAINTEXT` or `CONTROLLER`.
    pub name: String,
    /// What its connections speak before Kafka.
    pub security_protocol: SecurityProtocol,
    /// Address or host name to bind; empty for every interface.
    pub host: String,
    /// Port to bind; 0 for any free one.
    pub port: u16,
}

impl ListenerConfig {
    /// A listener in the clear.
    pub fn plaintext(name: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        Self { name: name.into(), security_protocol: SecurityProtocol::Plaintext, host: host.into(), port }
    }
}

/// The settings of a socket server, under Kafka's names.
#[derive(Debug, Clone)]
pub struct SocketServerConfig {
    /// `socket.listen.backlog.size`.
    pub listen_backlog_size: i32,
    /// `socket.send.buffer.bytes`; -1 leaves the system's default.
    pub send_buffer_bytes: i32,
    /// `socket.receive.buffer.bytes`; -1 leaves the system's default.
    pub receive_buffer_bytes: i32,
    /// `socket.request.max.bytes`.
    pub request_max_bytes: usize,
    /// `connections.max.idle.ms`; `None` keeps idle connections for ever.
    pub connections_max_idle: Option<Duration>,
    /// `queued.max.request.bytes`; `None` for no bound.
    pub queued_max_request_bytes: Option<usize>,
    /// Who may connect how often.
    pub limits: ConnectionLimits,
}

impl Default for SocketServerConfig {
    fn default() -> Self {
        Self {
            listen_backlog_size: 4096,
            send_buffer_bytes: 100 * 1024,
            receive_buffer_bytes: 100 * 1024,
            request_max_bytes: MAX_FRAME_BYTES_DEFAULT,
            connections_max_idle: Some(Duration::from_secs(600)),
            queued_max_request_bytes: None,
            limits: ConnectionLimits::default(),
        }
    }
}

/// How many connections there may be. Can change while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `max.connections`.
    pub max_connections: usize,
    /// `max.connections.per.ip`.
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`, host names resolved.
    pub per_ip_overrides: HashMap<IpAddr, usize>,
    /// `listener.name.<name>.max.connections`.
    pub per_listener: HashMap<String, usize>,
    /// The listener whose connections are let in beyond `max.connections`: brokers must reach
    /// each other even when clients took every place.
    pub inter_broker_listener: Option<String>,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: i32::MAX as usize,
            max_connections_per_ip: i32::MAX as usize,
            per_ip_overrides: HashMap::new(),
            per_listener: HashMap::new(),
            inter_broker_listener: None,
        }
    }
}

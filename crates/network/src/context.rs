use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_protocol::messages::ResponseHeader;
use ottla_protocol::{ApiKey, EncodeError, Message, Payload, Writer};

use crate::SecurityProtocol;

/// Who serves the requests of a listener.
pub trait RequestHandler: Send + Sync + 'static {
    /// Serves one request. `body` is what follows the request header; it shares the memory of the
    /// read buffer, so copy what has to live long. The future is dropped where it waits when the
    /// client is lost while earlier answers are written, or when a shutdown's grace is over.
    fn handle(&self, ctx: RequestContext, body: Bytes) -> impl Future<Output = HandlerResult> + Send;

    /// Whether this listener serves the API in this version. If not, the connection is closed as
    /// Kafka does, except for ApiVersions: its handler answers any version (KIP-511).
    fn is_api_enabled(&self, listener: &str, api_key: ApiKey, version: i16) -> bool {
        let _ = listener;
        api_key.supports(version)
    }

    /// A connection is gone, and with it what was kept for it. Its requests may still be under way.
    fn on_disconnect(&self, connection: &ConnectionInfo) {
        let _ = connection;
    }
}

/// What is known of a request besides its body.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The connection it came by.
    pub connection: Arc<ConnectionInfo>,
    /// Which API.
    pub api_key: ApiKey,
    /// In which version; for ApiVersions possibly one that nobody knows.
    pub api_version: i16,
    /// What the client will recognise the answer by.
    pub correlation_id: i32,
    /// What the client calls itself; empty when it does not say.
    pub client_id: ByteString,
}

/// What is known of a connection.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// Name of the listener.
    pub listener: Arc<str>,
    /// How the connection is protected.
    pub security_protocol: SecurityProtocol,
    /// Address of the client.
    pub client_address: SocketAddr,
    /// Address the client connected to.
    pub local_address: SocketAddr,
    /// Kafka's name of the connection: both addresses, the processor and a running number.
    pub id: Arc<str>,
    /// The client's address as Kafka records it for group members: `/127.0.0.1`.
    pub client_host: ByteString,
    /// Who the client is; `User:ANONYMOUS` where nobody asks.
    pub principal: Arc<str>,
    /// Set once by ApiVersions (KIP-511).
    client_information: OnceLock<ClientInformation>,
    /// What the client called itself in its first request.
    client_id: OnceLock<ByteString>,
}

/// Name and version of the client library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInformation {
    /// Such as `apache-kafka-java`.
    pub software_name: ByteString,
    /// Such as `4.4.0`.
    pub software_version: ByteString,
}

/// The principal of a client that nobody asked for its name.
const ANONYMOUS: &str = "User:ANONYMOUS";

impl ConnectionInfo {
    pub(crate) fn new(
        listener: Arc<str>,
        security_protocol: SecurityProtocol,
        client_address: SocketAddr,
        local_address: SocketAddr,
        number: u64,
    ) -> Self {
        Self {
            listener,
            security_protocol,
            client_address,
            local_address,
            client_host: format!("/{}", client_address.ip().to_canonical()).into(),
            id: format!("{local_address}-{client_address}-0-{number}").into(),
            principal: ANONYMOUS.into(),
            client_information: OnceLock::new(),
            client_id: OnceLock::new(),
        }
    }

    /// A client id without the frame that it came in, which a request that waits must not hold on to. It is
    /// the same in all requests as a rule, and then copied once.
    pub(crate) fn own_client_id(&self, id: ByteString) -> ByteString {
        let copy = || ByteString::from(id.to_string());
        let first = self.client_id.get_or_init(copy);
        if *first == id { first.clone() } else { copy() }
    }

    /// The client's library, once its ApiVersions request named it.
    pub fn client_information(&self) -> Option<&ClientInformation> {
        self.client_information.get()
    }

    /// Keeps what a valid ApiVersions request says; the first one counts.
    pub fn register_client_information(&self, information: ClientInformation) {
        let _ = self.client_information.set(information);
    }
}

impl RequestContext {
    /// Encodes the answer to this request in the request's version.
    pub fn respond<M: Message>(&self, message: &M) -> Result<Response, EncodeError> {
        self.respond_in_version(message, self.api_version)
    }

    /// Encodes an answer in another version than the request's: ApiVersions answers a version it
    /// does not know with version 0 (KIP-511).
    pub fn respond_in_version<M: Message>(&self, message: &M, version: i16) -> Result<Response, EncodeError> {
        let mut w = Writer::with_capacity(256);
        let header = ResponseHeader { correlation_id: self.correlation_id, ..ResponseHeader::default() };
        header.encode(&mut w, self.api_key.response_header_version(version))?;
        message.encode(&mut w, version)?;
        Ok(Response::from_parts(w.into_parts()))
    }
}

impl fmt::Display for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api_key, api_version, correlation_id, client_id, connection } = self;
        let id = &connection.id;
        write!(f, "{api_key:?} v{api_version} (correlation {correlation_id}, client `{client_id}`) from {id}")
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum HandlerResult {
    /// An answer.
    Response(Response),
    /// None, because the client waits for none (produce with `acks=0`).
    NoResponse {
        /// How long the connection is not read afterwards (KIP-219).
        throttle: Duration,
    },
    /// The connection ends; the only way to tell a producer with `acks=0` that something failed.
    Close,
}

impl HandlerResult {
    /// No answer, and the next request at once.
    pub const NO_RESPONSE: Self = Self::NoResponse { throttle: Duration::ZERO };
}

impl From<Response> for HandlerResult {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

/// The bytes of an answer, response header included, without the frame's length.
#[derive(Debug, Default)]
pub struct Response {
    pub(crate) parts: Vec<Payload>,
    pub(crate) throttle: Duration,
}

impl Response {
    /// An answer that is one run of bytes.
    pub fn new(bytes: Bytes) -> Self {
        Self { parts: vec![Payload::Bytes(bytes)], throttle: Duration::ZERO }
    }

    /// An answer in pieces, sent one after the other.
    pub fn from_parts(parts: Vec<Payload>) -> Self {
        Self { parts, throttle: Duration::ZERO }
    }

    /// Makes the connection deaf for this long after the answer went out (KIP-219).
    pub fn with_throttle(mut self, throttle: Duration) -> Self {
        self.throttle = throttle;
        self
    }

    /// Size of the frame that carries this answer, without its length.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Payload::len).sum()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

//! A cluster as a tool sees it: bootstrap addresses, the nodes behind them, and requests to one of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::config::parse_properties;
use ottla_protocol::ApiKey;
use ottla_protocol::codec::{Message, Reader, Request, Writer};
use ottla_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FindCoordinatorRequest, MetadataRequest, MetadataResponse,
    RequestHeader, ResponseHeader,
};

use crate::error::{Result, ToolError, failed};
use crate::options::Options;
use crate::output::errln;

/// No answer of a broker is larger; a longer length is nonsense.
const RESPONSE_BYTES_MAX: usize = 512 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Keys and values of a client's configuration file.
pub(crate) type Properties = BTreeMap<String, String>;

/// A node and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
}

/// Connections to a cluster.
pub(crate) struct Cluster {
    bootstrap: Vec<String>,
    client_id: String,
    api_timeout: Duration,
    request_timeout: Duration,
    connections: HashMap<String, Connection>,
    nodes: Vec<Node>,
    pub(crate) controller_id: i32,
    pub(crate) cluster_id: String,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

struct Connection {
    stream: TcpStream,
    versions: ApiVersionsResponse,
    correlation_id: i32,
}

/// Reads a `--command-config` file.
pub(crate) fn read_properties(path: Option<&str>) -> Result<Properties> {
    let Some(path) = path else { return Ok(Properties::new()) };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return failed(format!("{path}: {error}")),
    };
    parse_properties(&bytes).map_err(|error| ToolError::Failed(format!("{path}: {error}")))
}

impl Cluster {
    /// Connects to the `--bootstrap-server` of a tool.
    pub(crate) fn from_options(options: &Options) -> Result<Self> {
        let config = read_properties(options.one("command-config")?)?;
        match options.one("bootstrap-server")? {
            Some(bootstrap) => Self::connect(bootstrap, &config),
            None => failed("--bootstrap-server must be specified"),
        }
    }

    /// Connects to the first of these addresses that answers, for as long as `default.api.timeout.ms` says.
    pub(crate) fn connect(bootstrap: &str, config: &Properties) -> Result<Self> {
        let protocol = config.get("security.protocol").map_or("PLAINTEXT", String::as_str);
        if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
            return failed(format!(
                "security.protocol={protocol} is not supported yet: use a PLAINTEXT listener"
            ));
        }
        let millis = |key: &str, default| {
            Duration::from_millis(
                config.get(key).and_then(|text| text.trim().parse().ok()).unwrap_or(default),
            )
        };
        let addresses: Vec<_> =
            bootstrap.split(',').map(str::trim).filter(|a| !a.is_empty()).map(str::to_owned).collect();
        if let Some(wrong) = addresses.iter().find(|a| !is_address(a)) {
            return failed(format!("Invalid url in bootstrap.servers: {wrong}"));
        }
        let mut cluster = Self {
            bootstrap: addresses,
            client_id: config.get("client.id").cloned().unwrap_or_else(|| "adminclient-1".to_owned()),
            api_timeout: millis("default.api.timeout.ms", 60_000),
            request_timeout: millis("request.timeout.ms", 30_000),
            connections: HashMap::new(),
            nodes: Vec::new(),
            controller_id: -1,
            cluster_id: String::new(),
        };
        cluster.refresh()?;
        Ok(cluster)
    }

    /// Asks any node who is there.
    pub(crate) fn refresh(&mut self) -> Result {
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        let response = self.any(&request)?;
        self.remember(&response);
        Ok(())
    }

    fn remember(&mut self, response: &MetadataResponse) {
        let node = |b: &ottla_protocol::messages::metadata_response::MetadataResponseBroker| Node {
            id: b.node_id,
            host: b.host.to_string(),
            port: b.port,
            rack: b.rack.as_ref().map(ToString::to_string),
        };
        self.nodes = response.brokers.iter().map(node).collect();
        self.nodes.sort_by_key(|node| node.id);
        self.controller_id = response.controller_id;
        self.cluster_id = response.cluster_id.as_ref().map(ToString::to_string).unwrap_or_default();
    }

    /// The brokers, by id.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Sends to whichever bootstrap address answers.
    pub(crate) fn any<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        let started = Instant::now();
        let mut warned = false;
        loop {
            let mut problem = "No resolvable bootstrap urls given in bootstrap.servers".to_owned();
            for address in self.bootstrap.clone() {
                match self.send(&address, request) {
                    Ok(response) => return Ok(response),
                    Err(SendError::Unreachable(reason)) => problem = format!("{address}: {reason}"),
                    Err(SendError::Refused(error)) => return Err(error),
                }
            }
            if started.elapsed() >= self.api_timeout {
                return failed(format!(
                    "Timed out waiting for a node assignment. Call: {} ({problem})",
                    R::API_KEY.name()
                ));
            }
            if !std::mem::replace(&mut warned, true) {
                errln!(
                    "Cannot reach the cluster yet ({problem}); trying for {} s.",
                    self.api_timeout.as_secs()
                );
            }
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    /// Sends to one broker.
    pub(crate) fn node<R: Request>(&mut self, id: i32, request: &R) -> Result<R::Response> {
        let Some(node) = self.nodes.iter().find(|node| node.id == id) else {
            return failed(format!("Broker {id} is not part of the cluster or not alive."));
        };
        let address = format!("{}:{}", node.host, node.port);
        match self.send(&address, request) {
            Ok(response) => Ok(response),
            Err(SendError::Refused(error)) => Err(error),
            Err(SendError::Unreachable(reason)) => failed(format!(
                "Cannot reach broker {id} at {address} ({reason}): is that its advertised.listeners address?"
            )),
        }
    }

    /// Sends to the controller, which the brokers stand for.
    pub(crate) fn controller<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        let id = self.controller_id;
        if self.nodes.iter().any(|node| node.id == id) { self.node(id, request) } else { self.any(request) }
    }

    /// The versions that the API knows on this broker.
    pub(crate) fn api_versions(&mut self, id: i32) -> Result<ApiVersionsResponse> {
        self.node(id, &versions_request())
    }

    /// The broker that keeps a group.
    pub(crate) fn group_coordinator(&mut self, group: &str) -> Result<i32> {
        let request = FindCoordinatorRequest {
            key_type: 0,
            coordinator_keys: vec![ByteString::from(group)],
            ..FindCoordinatorRequest::default()
        };
        let started = Instant::now();
        loop {
            let response = self.any(&request)?;
            let Some(found) = response.coordinators.first() else {
                return failed("The broker answered FindCoordinator with nothing.");
            };
            let code = ErrorCode::from_code(found.error_code);
            if code.is_none() {
                return Ok(found.node_id);
            }
            if !code.is_retriable() || started.elapsed() >= self.api_timeout {
                return Err(refusal(code, found.error_message.as_ref()));
            }
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    fn send<R: Request>(
        &mut self,
        address: &str,
        request: &R,
    ) -> std::result::Result<R::Response, SendError> {
        if !self.connections.contains_key(address) {
            let connection = Connection::open(address, &self.client_id, self.request_timeout)?;
            self.connections.insert(address.to_owned(), connection);
        }
        let Some(connection) = self.connections.get_mut(address) else {
            return Err(SendError::Unreachable("not connected".to_owned()));
        };
        let result = connection.send(&self.client_id, request);
        if matches!(result, Err(SendError::Unreachable(_))) {
            self.connections.remove(address);
        }
        result
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

enum SendError {
    Unreachable(String),
    Refused(ToolError),
}

impl From<std::io::Error> for SendError {
    fn from(error: std::io::Error) -> Self {
        Self::Unreachable(match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "no answer in time".to_owned(),
            std::io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
            _ => error.to_string(),
        })
    }
}

fn refused(message: String) -> SendError {
    SendError::Refused(ToolError::Failed(message))
}

fn versions_request() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "ottla".into(),
        client_software_version: crate::KAFKA_VERSION.into(),
        ..ApiVersionsRequest::default()
    }
}

impl Connection {
    fn open(address: &str, client_id: &str, timeout: Duration) -> std::result::Result<Self, SendError> {
        let mut last = SendError::Unreachable("the name has no address".to_owned());
        for socket in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&socket, CONNECT_TIMEOUT) {
                Ok(stream) => return Self::greet(stream, client_id, timeout),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    fn greet(stream: TcpStream, client_id: &str, timeout: Duration) -> std::result::Result<Self, SendError> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let mut connection = Self { stream, versions: ApiVersionsResponse::default(), correlation_id: 0 };
        let mut response =
            connection.exchange(client_id, &versions_request(), ApiVersionsRequest::MAX_VERSION)?;
        if ErrorCode::from_code(response.error_code) == ErrorCode::UnsupportedVersion {
            response = connection.exchange(client_id, &ApiVersionsRequest::default(), 0)?;
        }
        connection.versions = response;
        Ok(connection)
    }

    fn send<R: Request>(
        &mut self,
        client_id: &str,
        request: &R,
    ) -> std::result::Result<R::Response, SendError> {
        let key = R::API_KEY;
        let known = self.versions.api_keys.iter().find(|api| api.api_key == key as i16);
        let Some(known) = known else {
            return Err(refused(format!("The node does not support {}", key.name())));
        };
        let version = key.latest_stable_version().min(known.max_version);
        if version < known.min_version.max(R::MIN_VERSION) {
            return Err(refused(format!(
                "The node does not support {} with version in range [{},{}]. The supported range is [{},{}].",
                key.name(),
                R::MIN_VERSION,
                R::MAX_VERSION,
                known.min_version,
                known.max_version
            )));
        }
        self.exchange(client_id, request, version)
    }

    fn exchange<R: Request>(
        &mut self,
        client_id: &str,
        request: &R,
        version: i16,
    ) -> std::result::Result<R::Response, SendError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let frame = encode(request, version, self.correlation_id, client_id).map_err(|error| {
            refused(format!("{} cannot be asked of this broker: {error}", R::API_KEY.name()))
        })?;
        self.stream.write_all(&frame)?;
        let bytes = self.read_frame()?;
        decode::<R>(bytes, version, self.correlation_id)
            .map_err(|error| refused(format!("The answer to {} cannot be read: {error}", R::API_KEY.name())))
    }

    fn read_frame(&mut self) -> std::result::Result<Bytes, SendError> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let length = usize::try_from(i32::from_be_bytes(head)).unwrap_or(usize::MAX);
        if length > RESPONSE_BYTES_MAX {
            return Err(refused(
                "This does not look like a Kafka listener: the answer has no sensible length".to_owned(),
            ));
        }
        // Memory grows with what arrives, not with what the length claims.
        let mut frame = Vec::with_capacity(length.min(1 << 20));
        let read = (&mut self.stream).take(length as u64).read_to_end(&mut frame)?;
        if read < length {
            return Err(SendError::Unreachable("the connection was closed".to_owned()));
        }
        Ok(Bytes::from(frame))
    }
}

fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> std::result::Result<Bytes, ottla_protocol::codec::EncodeError> {
    let header = RequestHeader {
        request_api_key: R::API_KEY as i16,
        request_api_version: version,
        correlation_id,
        client_id: Some(client_id.into()),
        ..RequestHeader::default()
    };
    let mut body = Writer::default();
    header.encode(&mut body, R::API_KEY.request_header_version(version))?;
    request.encode(&mut body, version)?;
    let body = body.into_bytes();
    let mut frame = Writer::with_capacity(body.len() + 4);
    frame.i32(body.len() as i32);
    frame.raw(&body);
    Ok(frame.into_bytes())
}

fn decode<R: Request>(
    bytes: Bytes,
    version: i16,
    correlation_id: i32,
) -> std::result::Result<R::Response, String> {
    let mut reader = Reader::new(bytes);
    let header_version = R::API_KEY.response_header_version(version);
    let header = ResponseHeader::decode(&mut reader, header_version).map_err(|e| e.to_string())?;
    if header.correlation_id != correlation_id {
        return Err(format!("it answers request {}, not {correlation_id}", header.correlation_id));
    }
    // A broker that does not know the version of ApiVersions answers in version 0 (KIP-511).
    let version = if R::API_KEY == ApiKey::ApiVersions && is_unsupported(&reader) { 0 } else { version };
    R::Response::decode(&mut reader, version).map_err(|e| e.to_string())
}

fn is_unsupported(reader: &Reader) -> bool {
    reader.rest().get(..2) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes())
}

/// What a broker said no with, in Kafka's words.
pub(crate) fn refusal(code: ErrorCode, message: Option<&ByteString>) -> ToolError {
    ToolError::Failed(message.map_or_else(|| default_message(code), ToString::to_string))
}

/// An error of a response, if it is one.
pub(crate) fn check(code: i16, message: Option<&ByteString>) -> Result {
    match ErrorCode::from_code(code) {
        ErrorCode::None => Ok(()),
        code => Err(refusal(code, message)),
    }
}

/// What a code says when the broker adds no words of its own.
pub(crate) fn default_message(code: ErrorCode) -> String {
    match code {
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::UnknownTopicId => "This server does not host this topic ID.",
        ErrorCode::GroupIdNotFound => "The group id does not exist.",
        ErrorCode::NonEmptyGroup => "The group is not empty.",
        ErrorCode::NotController => "This is not the correct controller for this cluster.",
        ErrorCode::NotCoordinator => "This is not the correct coordinator.",
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        ErrorCode::OffsetOutOfRange => {
            "The requested offset is not within the range of offsets maintained by the server."
        }
        ErrorCode::InvalidTopicException => {
            "The request attempted to perform an operation on an invalid topic."
        }
        ErrorCode::RequestTimedOut => "The request timed out.",
        ErrorCode::TopicAlreadyExists => "Topic with this name already exists.",
        ErrorCode::UnsupportedVersion => "The version of API is not supported.",
        ErrorCode::PolicyViolation => "Request parameters do not satisfy the configured policy.",
        ErrorCode::TopicDeletionDisabled => "Topic deletion is disabled.",
        code => return code.name().to_owned(),
    }
    .to_owned()
}

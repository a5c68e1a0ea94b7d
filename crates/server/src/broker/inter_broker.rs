//! The way from this broker to the others, and to itself.
//!
//! Whoever leads a partition or coordinates a transaction may be this very broker: then a request goes straight to
//! the table of APIs, in the bytes that would have gone over the wire. To any other broker there is one connection
//! per channel, made when it is first needed and again after it broke.
//!
//! An answer comes back, or an error that says why there is none; nothing is tried twice. Whoever needs an answer
//! asks again, by deadlines of his own, and meanwhile the node may be another one.
//!
//! A broker reads one request after the other from a connection. So those whose answers may take long, as the
//! markers of transactions, have a channel of their own, as in Kafka.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use ottla_apis::context::partition_for;
use ottla_apis::support::metadata_cache::{MetadataCache, alive_endpoint};
use ottla_apis::table::is_served;
use ottla_apis::{BrokerContext, Call, Outcome};
use ottla_clients::{BrokerConnection, ClientConfig, ClientError, CommonSettings};
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::ResponseHeader;
use ottla_protocol::{ApiKey, Message, Payload, Reader, Request};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

const LOGGER: &str = "kafka.server.InterBrokerChannel";
/// Between a connection that failed and the next try; doubled with every failure.
const RECONNECT_BACKOFF: Duration = Duration::from_millis(50);
/// The longest pause between two tries.
const RECONNECT_BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Number of the security protocol without encryption and authentication.
const PLAINTEXT: i16 = 0;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChannelError {
    /// The node cannot be reached, the connection broke, or the answer took too long.
    #[error("the node did not answer")]
    Disconnected,
    /// The node does not speak the request in a version that this broker can use.
    #[error("the node does not speak the request in a version this broker can use")]
    UnsupportedVersion,
    /// The node does not believe that this broker is who it is.
    #[error("the node refused to authenticate this broker: {0}")]
    AuthenticationFailed(ErrorCode),
}

impl From<&ClientError> for ChannelError {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::UnsupportedVersion { .. } => Self::UnsupportedVersion,
            ClientError::Api { code, .. } if is_authentication(*code) => Self::AuthenticationFailed(*code),
            _ => Self::Disconnected,
        }
    }
}

fn is_authentication(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::SaslAuthenticationFailed
            | ErrorCode::UnsupportedSaslMechanism
            | ErrorCode::IllegalSaslState
    )
}

/// What a channel needs to know of its broker.
#[derive(Debug, Clone)]
pub struct InterBrokerOptions {
    /// `node.id`.
    pub node_id: i32,
    /// The name of the inter-broker listener.
    pub listener: String,
    /// What the channel is for; a part of its client id, such as `txn-marker-sender`.
    pub purpose: &'static str,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
}

/// Requests to brokers by their ids, this one included.
#[derive(Debug)]
pub struct InterBrokerChannel {
    options: InterBrokerOptions,
    client_id: ByteString,
    metadata: Arc<MetadataCache>,
    /// This broker, once it serves. Not owned: it owns coordinators that own channels.
    here: OnceLock<Weak<BrokerContext>>,
    nodes: SyncMutex<HashMap<i32, Arc<Mutex<NodeConnection>>>>,
    next_correlation_id: AtomicI32,
}

/// The connection to one node.
#[derive(Debug, Default)]
struct NodeConnection {
    connection: Option<Arc<BrokerConnection>>,
    /// Tries in vain, one after the other.
    failures: u32,
    /// No try before that.
    not_before: Option<Instant>,
}

impl InterBrokerChannel {
    /// A channel without connections. Nodes are looked for in `metadata`.
    pub fn new(options: InterBrokerOptions, metadata: Arc<MetadataCache>) -> Self {
        let client_id = format!("broker-{}-{}", options.node_id, options.purpose).into();
        Self {
            options,
            client_id,
            metadata,
            here: OnceLock::new(),
            nodes: SyncMutex::default(),
            next_correlation_id: AtomicI32::new(0),
        }
    }

    /// From now on requests to this broker are served. Before, they end as if nobody answered.
    pub fn attach(&self, broker: &Arc<BrokerContext>) {
        let first = self.here.set(Arc::downgrade(broker)).is_ok();
        assert!(first, "INTER-BROKER-ONE-BROKER: a channel belongs to one broker");
    }

    /// The cluster as the channel sees it.
    pub fn metadata(&self) -> &Arc<MetadataCache> {
        &self.metadata
    }

    /// Whether there is such a partition.
    pub fn contains(&self, topic: &str, partition: i32) -> bool {
        self.metadata.contains(&TopicPartition::new(topic, partition))
    }

    /// The leader of a partition, if it is alive and can be reached by brokers.
    pub fn leader_of(&self, topic: &str, partition: i32) -> Option<i32> {
        let image = self.metadata.image();
        let leader = image.topics.topic_by_name(topic)?.partitions.get(&partition)?.leader;
        alive_endpoint(&image, leader, &self.options.listener).map(|_| leader)
    }

    /// The coordinator of a key: who leads its partition of this internal topic. `None` while the topic is not
    /// there.
    pub fn coordinator_of(&self, topic: &str, key: &str) -> Option<i32> {
        let count = self.metadata.image().topics.topic_by_name(topic)?.partitions.size();
        self.leader_of(topic, partition_for(key, i32::try_from(count).unwrap_or(i32::MAX)))
    }

    /// Asks a node, in the newest version that both know and that is not below `oldest`.
    pub async fn send<Q: Request>(
        &self,
        node_id: i32,
        oldest: i16,
        request: &Q,
    ) -> Result<Q::Response, ChannelError> {
        if node_id == self.options.node_id {
            return Box::pin(self.send_here(oldest, request)).await;
        }
        let connection = Box::pin(self.connection(node_id)).await?;
        let version = connection.version::<Q>().map_err(|error| self.failed::<Q>(node_id, &error))?;
        if version < oldest {
            return Err(ChannelError::UnsupportedVersion);
        }
        let answer = Box::pin(connection.send_version(request, version, self.options.request_timeout)).await;
        answer.map_err(|error| self.failed::<Q>(node_id, &error))
    }

    fn failed<Q: Request>(&self, node_id: i32, error: &ClientError) -> ChannelError {
        info!(logger = LOGGER, "{:?} of {} to node {node_id} failed: {error}", Q::API_KEY, self.client_id);
        error.into()
    }

    /// Asks this broker, as if it were another.
    async fn send_here<Q: Request>(&self, oldest: i16, request: &Q) -> Result<Q::Response, ChannelError> {
        let broker = self.here.get().and_then(Weak::upgrade).ok_or(ChannelError::Disconnected)?;
        let key = Q::API_KEY;
        let version = key.latest_stable_version();
        if version < oldest || !is_served(&broker, key, version) {
            return Err(ChannelError::UnsupportedVersion);
        }
        let call = Call {
            version,
            listener: self.options.listener.as_str().into(),
            connection_id: "".into(),
            client_id: Some(self.client_id.clone()),
            client_host: ByteString::from_static("/127.0.0.1"),
        };
        let body = request.to_bytes(version).map_err(|error| broken(key, &error))?;
        let correlation_id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed);
        let served = ottla_apis::serve(broker, key, call, correlation_id, body);
        match timeout(self.options.request_timeout, served).await {
            Ok(Outcome::Response(parts)) => decode::<Q>(parts, version),
            Ok(Outcome::Close(reason)) => Err(broken(key, &reason)),
            Ok(Outcome::NoResponse) | Err(_) => Err(ChannelError::Disconnected),
        }
    }

    /// The connection to a node: the one that is there, or a new one.
    async fn connection(&self, node_id: i32) -> Result<Arc<BrokerConnection>, ChannelError> {
        let address = self.address_of(node_id)?;
        let node = self.node(node_id);
        // Whoever comes while somebody connects waits for what comes of that.
        let mut node = node.lock().await;
        if let Some(connection) = node.connection.as_ref().filter(|connection| !connection.is_closed())
            && connection.address() == address
        {
            return Ok(Arc::clone(connection));
        }
        node.connection = None;
        if node.not_before.is_some_and(|at| Instant::now() < at) {
            return Err(ChannelError::Disconnected);
        }
        match self.connect(&address).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *node = NodeConnection { connection: Some(Arc::clone(&connection)), ..Default::default() };
                Ok(connection)
            }
            Err(error) => {
                let pause = RECONNECT_BACKOFF.saturating_mul(1 << node.failures.min(8));
                node.failures = node.failures.saturating_add(1);
                node.not_before = Some(Instant::now() + pause.min(RECONNECT_BACKOFF_MAX));
                info!(logger = LOGGER, "Connection of {} to node {node_id} failed: {error}", self.client_id);
                Err((&error).into())
            }
        }
    }

    async fn connect(&self, address: &str) -> Result<BrokerConnection, ClientError> {
        let config = ClientConfig::new(address)
            .with("client.id", self.client_id.to_string())
            .with("request.timeout.ms", self.options.request_timeout.as_millis().to_string());
        BrokerConnection::connect(address, &CommonSettings::new(&config)?).await
    }

    fn node(&self, node_id: i32) -> Arc<Mutex<NodeConnection>> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(nodes.entry(node_id).or_default())
    }

    /// Where a node listens for brokers, as `host:port`.
    fn address_of(&self, node_id: i32) -> Result<String, ChannelError> {
        let image = self.metadata.image();
        let endpoint =
            alive_endpoint(&image, node_id, &self.options.listener).ok_or(ChannelError::Disconnected)?;
        if endpoint.security_protocol != PLAINTEXT {
            warn!(logger = LOGGER, "Node {node_id} cannot be asked: brokers speak only PLAINTEXT yet");
            return Err(ChannelError::Disconnected);
        }
        let (host, port) = (&endpoint.host, endpoint.port);
        Ok(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
    }
}

fn decode<Q: Request>(parts: Vec<Payload>, version: i16) -> Result<Q::Response, ChannelError> {
    let mut answer = BytesMut::new();
    for part in parts {
        match part {
            Payload::Bytes(bytes) => answer.extend_from_slice(&bytes),
            // Records are fetched by other ways.
            Payload::Records(_) => return Err(ChannelError::Disconnected),
        }
    }
    let answer: Bytes = answer.freeze();
    let mut r = Reader::new(answer);
    let header = ResponseHeader::decode(&mut r, Q::API_KEY.response_header_version(version));
    header.and_then(|_| Q::Response::decode(&mut r, version)).map_err(|error| broken(Q::API_KEY, &error))
}

fn broken(key: ApiKey, reason: &dyn std::fmt::Display) -> ChannelError {
    warn!(logger = LOGGER, "{key:?} of this broker to itself failed: {reason}");
    ChannelError::Disconnected
}

#[cfg(test)]
#[path = "inter_broker_test.rs"]
mod tests;

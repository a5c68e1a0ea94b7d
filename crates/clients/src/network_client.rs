use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_protocol::Request;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::{DescribeClusterRequest, FindCoordinatorRequest, MetadataRequest};
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::CommonSettings;
use crate::{BrokerConnection, ClientConfig, ClientError, Metadata, Node};

/// Connections to the brokers of one cluster, and what is known of it.
///
/// Connections are made when first needed and made again when lost. Cheap to share in an `Arc`.
#[derive(Debug)]
pub struct NetworkClient {
    settings: CommonSettings,
    state: Mutex<State>,
}

/// What a coordinator is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum CoordinatorType {
    /// The id of a group of any type.
    Group = 0,
    /// A transactional id.
    Transaction = 1,
}

impl CoordinatorType {
    const fn noun(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Transaction => "transactional id",
        }
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Arc<BrokerConnection>>>>;

#[derive(Debug, Default)]
struct State {
    metadata: Arc<Metadata>,
    /// By address. A slot is locked while its connection is being made.
    connections: HashMap<String, Slot>,
    /// Where to go on when any broker will do.
    turn: usize,
}

impl NetworkClient {
    /// Reads the properties; connects to nobody yet.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { settings: CommonSettings::new(config)?, state: Mutex::default() })
    }

    /// The settings all clients have.
    pub fn settings(&self) -> &CommonSettings {
        &self.settings
    }

    /// What is known of the cluster by now.
    pub fn metadata(&self) -> Arc<Metadata> {
        Arc::clone(&self.state().metadata)
    }

    /// A connection to a broker by its id.
    pub async fn node(&self, id: i32) -> Result<Arc<BrokerConnection>, ClientError> {
        let known = self.metadata().brokers.get(&id).map(Node::address);
        let address = match known {
            Some(address) => address,
            None => self.refresh_brokers().await?.brokers.get(&id).map(Node::address).ok_or_else(|| {
                let message = format!("Broker {id} is not part of the cluster or not alive.");
                ClientError::api(format!("broker {id}"), ErrorCode::BrokerNotAvailable, Some(&message))
            })?,
        };
        self.connection(&address).await
    }

    /// A connection to any broker that answers.
    pub async fn any(&self) -> Result<Arc<BrokerConnection>, ClientError> {
        let mut failures = Vec::new();
        for address in self.candidates() {
            match self.connection(&address).await {
                Ok(connection) => return Ok(connection),
                Err(error @ ClientError::Connect { .. }) => {
                    tracing::debug!("{error}");
                    failures.push(error);
                }
                Err(error) => failures.push(error),
            }
        }
        match failures.pop() {
            Some(only) if failures.is_empty() => Err(only),
            Some(last) => Err(ClientError::Connect {
                address: self.settings.bootstrap_servers.join(","),
                reason: last.to_string(),
            }),
            None => Err(ClientError::IllegalState("there is no broker to connect to".into())),
        }
    }

    /// Asks any broker, again and elsewhere if need be.
    pub async fn send_any<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.retrying(R::API_KEY.name(), || async { self.any().await?.send(request).await }).await
    }

    /// Asks a certain broker, once.
    pub async fn send_to<R: Request>(&self, node: i32, request: &R) -> Result<R::Response, ClientError> {
        self.node(node).await?.send(request).await
    }

    /// Tries until it works, fails for good, or `default.api.timeout.ms` is over.
    pub async fn retrying<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        what: &str,
        attempt: impl FnMut() -> F,
    ) -> Result<T, ClientError> {
        self.retrying_for(self.settings.api_timeout, what, attempt).await
    }

    /// Tries until it works, fails for good, or the time is over.
    pub async fn retrying_for<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        patience: Duration,
        what: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + patience;
        let mut cause = None;
        for tries in 0u32.. {
            match timeout_at(deadline, attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if error.is_retriable() => {
                    if tries == 0 && matches!(error, ClientError::Connect { .. }) {
                        tracing::warn!("{error}; trying again");
                    }
                    cause = Some(error);
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => break,
            }
            let pause = self.settings.backoff(tries);
            if Instant::now() + pause >= deadline {
                break;
            }
            sleep(pause).await;
        }
        let cause = cause.map_or_else(|| "no answer".to_owned(), |error| error.to_string());
        Err(ClientError::Timeout { what: what.to_owned(), waited: patience, cause })
    }

    /// Asks for these topics (all of them for `None`) and remembers the answer. Topics the cluster
    /// does not know are in the answer too, with their error.
    pub async fn refresh_metadata(
        &self,
        topics: Option<&[ByteString]>,
        allow_auto_topic_creation: bool,
    ) -> Result<Arc<Metadata>, ClientError> {
        let named =
            |name: &ByteString| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let request = MetadataRequest {
            topics: topics.map(|topics| topics.iter().map(named).collect()),
            allow_auto_topic_creation,
            ..MetadataRequest::default()
        };
        let response = self.any().await?.send(&request).await?;
        ClientError::check("Metadata", response.error_code, None)?;
        let mut state = self.state();
        let mut metadata = (*state.metadata).clone();
        if topics.is_none() {
            metadata.topics.clear();
        }
        metadata.update(response);
        state.metadata = Arc::new(metadata);
        Ok(Arc::clone(&state.metadata))
    }

    /// Asks for topics by their ids and remembers the answer (KIP-516). What a broker does not know
    /// stays unknown.
    pub async fn refresh_topic_ids(&self, ids: &[Uuid]) -> Result<Arc<Metadata>, ClientError> {
        let named = |id: &Uuid| MetadataRequestTopic { topic_id: *id, name: None, ..Default::default() };
        let request = MetadataRequest {
            topics: Some(ids.iter().map(named).collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let response = self.any().await?.send(&request).await?;
        ClientError::check("Metadata", response.error_code, None)?;
        let mut state = self.state();
        Arc::make_mut(&mut state.metadata).update(response);
        Ok(Arc::clone(&state.metadata))
    }

    /// Asks who the brokers are; controllers, where those were given.
    pub async fn refresh_brokers(&self) -> Result<Arc<Metadata>, ClientError> {
        const CONTROLLERS: i8 = 2;
        if !self.settings.to_controllers {
            return self.refresh_metadata(Some(&[]), false).await;
        }
        let request = DescribeClusterRequest { endpoint_type: CONTROLLERS, ..Default::default() };
        let response = self.any().await?.send(&request).await?;
        ClientError::check("cluster", response.error_code, response.error_message.as_deref())?;
        let mut state = self.state();
        Arc::make_mut(&mut state.metadata).update_nodes(response);
        Ok(Arc::clone(&state.metadata))
    }

    /// Makes sure that every topic is known, and answers what is known.
    pub async fn topics(&self, topics: &[ByteString], create: bool) -> Result<Arc<Metadata>, ClientError> {
        let metadata = self.metadata();
        let usable = |name: &ByteString| {
            metadata
                .topics
                .get(name)
                .is_some_and(|t| t.error.is_none() && t.partitions.iter().all(|p| p.leader.is_some()))
        };
        if topics.iter().all(usable) {
            return Ok(metadata);
        }
        self.retrying("Metadata", || async {
            let metadata = self.refresh_metadata(Some(topics), create).await?;
            for name in topics {
                let error = metadata.topics.get(name).map_or(ErrorCode::UnknownTopicOrPartition, |t| t.error);
                if error == ErrorCode::UnknownTopicOrPartition {
                    // A topic that was just asked into being takes a moment to get its leaders.
                    let code = if create { ErrorCode::LeaderNotAvailable } else { continue };
                    return Err(ClientError::api(format!("topic {name}"), code, None));
                }
                if error.is_retriable() {
                    return Err(ClientError::api(format!("topic {name}"), error, None));
                }
            }
            Ok(metadata)
        })
        .await
    }

    /// Forgets what is known of a topic, so that it is asked for again.
    pub fn forget_topic(&self, topic: &str) {
        let mut state = self.state();
        if state.metadata.topics.contains_key(topic) {
            Arc::make_mut(&mut state.metadata).topics.remove(topic);
        }
    }

    /// The broker that coordinates a group or a transactional id.
    pub async fn find_coordinator(&self, kind: CoordinatorType, key: &str) -> Result<i32, ClientError> {
        const BATCHED: i16 = 4;
        let what = format!("coordinator of {} {key}", kind.noun());
        let connection = self.any().await?;
        let version = connection.version::<FindCoordinatorRequest>()?;
        let batched = version >= BATCHED;
        let request = FindCoordinatorRequest {
            key: if batched { ByteString::new() } else { key.into() },
            key_type: kind as i8,
            coordinator_keys: if batched { vec![key.into()] } else { vec![] },
            ..FindCoordinatorRequest::default()
        };
        let response = connection.send_version(&request, version, self.settings.request_timeout).await?;
        if !batched {
            ClientError::check(&what, response.error_code, response.error_message.as_deref())?;
            return Ok(response.node_id);
        }
        let found = response.coordinators.into_iter().find(|c| *c.key == *key);
        let found = found.ok_or_else(|| ClientError::api(&what, ErrorCode::CoordinatorNotAvailable, None))?;
        ClientError::check(&what, found.error_code, found.error_message.as_deref())?;
        Ok(found.node_id)
    }

    /// Sorts partitions by their leader. Fails, worth a retry, when one has none.
    pub async fn by_leader<T>(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, T)>,
    ) -> Result<BTreeMap<i32, Vec<(TopicPartition, T)>>, ClientError> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        let mut names: Vec<ByteString> = partitions.iter().map(|(tp, _)| (&*tp.topic).into()).collect();
        names.sort();
        names.dedup();
        let metadata = self.topics(&names, false).await?;
        let mut sorted: BTreeMap<i32, Vec<_>> = BTreeMap::new();
        for (tp, value) in partitions {
            match metadata.leader(&tp.topic, tp.partition) {
                Some(leader) => sorted.entry(leader).or_default().push((tp, value)),
                None => {
                    let topic = metadata.topics.get(&*tp.topic);
                    let exists = topic.is_some_and(|t| t.partition(tp.partition).is_some());
                    let error = if exists {
                        ErrorCode::LeaderNotAvailable
                    } else {
                        topic.map_or(ErrorCode::UnknownTopicOrPartition, |t| t.error)
                    };
                    let error = if error.is_none() { ErrorCode::UnknownTopicOrPartition } else { error };
                    self.forget_topic(&tp.topic);
                    return Err(ClientError::api(tp.to_string(), error, None));
                }
            }
        }
        Ok(sorted)
    }

    /// Hangs up everywhere.
    pub fn close(&self) {
        self.state().connections.clear();
    }

    async fn connection(&self, address: &str) -> Result<Arc<BrokerConnection>, ClientError> {
        let slot = Arc::clone(self.state().connections.entry(address.to_owned()).or_default());
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|c| !c.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(BrokerConnection::connect(address, &self.settings).await?);
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Known brokers in turn; when there are none or they fail, the bootstrap servers.
    fn candidates(&self) -> Vec<String> {
        let mut state = self.state();
        state.turn = state.turn.wrapping_add(1);
        let mut addresses: Vec<_> = state.metadata.brokers.values().map(Node::address).collect();
        if !addresses.is_empty() {
            let turn = state.turn % addresses.len();
            addresses.rotate_left(turn);
        }
        for server in &self.settings.bootstrap_servers {
            if !addresses.contains(server) {
                addresses.push(server.clone());
            }
        }
        addresses
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_protocol::messages::FetchRequest;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::fetch_response::PartitionData;

use super::settings::ConsumerSettings;
use crate::{ClientError, NetworkClient};

/// One fetch from one broker.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) client: Arc<NetworkClient>,
    pub(crate) settings: Arc<ConsumerSettings>,
    pub(crate) node: i32,
    /// Partitions and where to read them.
    pub(crate) positions: BTreeMap<TopicPartition, i64>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) node: i32,
    pub(crate) positions: BTreeMap<TopicPartition, i64>,
    pub(crate) result: Result<Vec<(TopicPartition, PartitionData)>, ClientError>,
}

/// From this version on, topics go by id (KIP-516).
const WITH_TOPIC_IDS: i16 = 13;
/// A fetch without a session (KIP-227): each names all its partitions.
const SESSIONLESS_EPOCH: i32 = -1;

impl Fetch {
    pub(crate) async fn run(self) -> Fetched {
        let result = self.exchange().await;
        Fetched { node: self.node, positions: self.positions, result }
    }

    async fn exchange(&self) -> Result<Vec<(TopicPartition, PartitionData)>, ClientError> {
        let connection = self.client.node(self.node).await?;
        let version = connection.version::<FetchRequest>()?;
        let by_id = version >= WITH_TOPIC_IDS;
        let metadata = self.client.metadata();
        let mut topics: Vec<FetchTopic> = Vec::new();
        for (tp, position) in &self.positions {
            let id = metadata.topics.get(&*tp.topic).map(|t| t.topic_id).unwrap_or_default();
            let partition = FetchPartition {
                partition: tp.partition,
                fetch_offset: *position,
                partition_max_bytes: self.settings.max_partition_fetch_bytes,
                ..Default::default()
            };
            // Partitions are sorted, so those of one topic follow each other.
            let same = |t: &&mut FetchTopic| if by_id { t.topic_id == id } else { t.topic == *tp.topic };
            match topics.last_mut().filter(same) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(FetchTopic {
                    topic: if by_id { ByteString::new() } else { (&*tp.topic).into() },
                    topic_id: if by_id { id } else { Uuid::ZERO },
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        let request = FetchRequest {
            max_wait_ms: self.settings.fetch_max_wait.as_millis() as i32,
            min_bytes: self.settings.fetch_min_bytes,
            max_bytes: self.settings.fetch_max_bytes,
            isolation_level: i8::from(self.settings.read_committed),
            session_epoch: SESSIONLESS_EPOCH,
            topics,
            rack_id: if version >= 11 { self.settings.client_rack.clone() } else { ByteString::new() },
            ..FetchRequest::default()
        };
        let patience = self.client.settings().request_timeout.max(self.settings.fetch_max_wait * 2);
        let response = connection.send_version(&request, version, patience).await?;
        ClientError::check(format!("fetch from broker {}", self.node), response.error_code, None)?;
        let mut fetched = Vec::new();
        for topic in response.responses {
            let name = match by_id {
                true => metadata.topic_name(topic.topic_id).cloned().unwrap_or_default(),
                false => topic.topic,
            };
            for data in topic.partitions {
                fetched.push((TopicPartition::new(&*name, data.partition_index), data));
            }
        }
        Ok(fetched)
    }
}

/// What to do about a partition's error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FetchProblem {
    /// None.
    Fine,
    /// Ask anew who leads it.
    Moved,
    /// The position is outside of the log.
    OutOfRange,
    /// Nothing helps.
    Fatal,
}

impl FetchProblem {
    pub(crate) fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::None => Self::Fine,
            ErrorCode::OffsetOutOfRange => Self::OutOfRange,
            ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => Self::Moved,
            code if code.is_retriable() && code != ErrorCode::CorruptMessage => Self::Moved,
            _ => Self::Fatal,
        }
    }
}

//! One request to one broker of a share group: a fetch, acknowledgements, or both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::Records;
use ottla_protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch as SentBatch,
};
use ottla_protocol::messages::share_fetch_request::{
    AcknowledgementBatch, FetchPartition, FetchTopic, ForgottenTopic,
};
use ottla_protocol::messages::{ShareAcknowledgeRequest, ShareFetchRequest};

use super::acknowledgements::{Acknowledgements, Batch};
use super::session::{FINAL_EPOCH, SessionUpdate, TopicIdPartition};
use super::settings::ShareConsumerSettings;
use crate::{ClientError, NetworkClient};

/// Acknowledgements by partition.
pub(super) type AcknowledgementMap = BTreeMap<TopicIdPartition, Acknowledgements>;

/// What is asked.
#[derive(Debug)]
pub(super) enum Work {
    /// Records, or with `records` false only a change of the session.
    Fetch { update: SessionUpdate, records: bool },
    /// To take note of acknowledgements.
    Acknowledge { epoch: i32 },
}

/// A request to a broker.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) client: Arc<NetworkClient>,
    pub(super) settings: Arc<ShareConsumerSettings>,
    pub(super) member_id: ByteString,
    pub(super) node: i32,
    pub(super) work: Work,
    pub(super) acks: AcknowledgementMap,
    /// The partitions the answer may speak of.
    pub(super) known: BTreeSet<TopicIdPartition>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Exchanged {
    pub(super) node: i32,
    pub(super) acks: AcknowledgementMap,
    /// Whether records were asked for.
    pub(super) fetched: bool,
    /// Whether the session is closed by it.
    pub(super) closed: bool,
    pub(super) result: Result<Answer, ClientError>,
}

/// What a broker answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: ErrorCode,
    pub(super) message: Option<ByteString>,
    /// How long records stay acquired, where the broker says so.
    pub(super) lock_timeout: Option<Duration>,
    pub(super) partitions: Vec<PartitionAnswer>,
}

/// What a broker answered of a partition.
#[derive(Debug)]
pub(super) struct PartitionAnswer {
    pub(super) tip: TopicIdPartition,
    pub(super) code: ErrorCode,
    pub(super) message: Option<ByteString>,
    pub(super) acknowledge_code: ErrorCode,
    pub(super) acknowledge_message: Option<ByteString>,
    pub(super) records: Bytes,
    pub(super) acquired: Vec<(i64, i64, i16)>,
}

impl Exchange {
    pub(super) async fn run(self) -> Exchanged {
        let result = match &self.work {
            Work::Fetch { update, records } => self.fetch(update, *records).await,
            Work::Acknowledge { epoch } => self.acknowledge(*epoch).await,
        };
        Exchanged {
            node: self.node,
            fetched: matches!(self.work, Work::Fetch { records: true, .. }),
            closed: matches!(self.work, Work::Acknowledge { epoch: FINAL_EPOCH }),
            acks: self.acks,
            result,
        }
    }

    async fn fetch(&self, update: &SessionUpdate, records: bool) -> Result<Answer, ClientError> {
        let settings = &self.settings;
        let connection = self.client.node(self.node).await?;
        let version = connection.version::<ShareFetchRequest>()?;
        let mut request = ShareFetchRequest {
            group_id: Some(settings.group_id.clone()),
            member_id: Some(self.member_id.clone()),
            share_session_epoch: update.epoch,
            max_bytes: 0,
            share_acquire_mode: settings.acquire_mode as i8,
            topics: self.fetch_topics(&update.added),
            forgotten_topics_data: forgotten_topics(&update.forgotten),
            ..ShareFetchRequest::default()
        };
        if records {
            let max_records = i32::try_from(settings.max_poll_records).unwrap_or(i32::MAX);
            request.max_wait_ms = settings.fetch_max_wait.as_millis() as i32;
            request.min_bytes = settings.fetch_min_bytes;
            request.max_bytes = settings.fetch_max_bytes;
            request.max_records = max_records;
            request.batch_size = max_records;
        }
        let patience = self.client.settings().request_timeout.max(settings.fetch_max_wait * 2);
        let response = connection.send_version(&request, version, patience).await?;
        let mut partitions = Vec::new();
        for topic in response.responses {
            for p in topic.partitions {
                let Some(tip) = self.tip(topic.topic_id, p.partition_index) else { continue };
                let acquired = p.acquired_records.iter();
                partitions.push(PartitionAnswer {
                    tip,
                    code: ErrorCode::from_code(p.error_code),
                    message: p.error_message,
                    acknowledge_code: ErrorCode::from_code(p.acknowledge_error_code),
                    acknowledge_message: p.acknowledge_error_message,
                    acquired: acquired.map(|a| (a.first_offset, a.last_offset, a.delivery_count)).collect(),
                    records: p.records.map(Records::into_bytes).unwrap_or_default(),
                });
            }
        }
        Ok(Answer {
            code: ErrorCode::from_code(response.error_code),
            message: response.error_message,
            lock_timeout: lock_timeout(response.acquisition_lock_timeout_ms),
            partitions,
        })
    }

    async fn acknowledge(&self, epoch: i32) -> Result<Answer, ClientError> {
        let mut topics: Vec<AcknowledgeTopic> = Vec::new();
        for (tip, acks) in &self.acks {
            let batches = acks.batches().into_iter().map(|Batch { first, last, types }| SentBatch {
                first_offset: first,
                last_offset: last,
                acknowledge_types: types,
                ..Default::default()
            });
            let partition = AcknowledgePartition {
                partition_index: tip.tp.partition,
                acknowledgement_batches: batches.collect(),
                ..Default::default()
            };
            // Sorted by topic id, so those of one topic follow each other.
            match topics.last_mut().filter(|topic| topic.topic_id == tip.topic_id) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(AcknowledgeTopic {
                    topic_id: tip.topic_id,
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        let request = ShareAcknowledgeRequest {
            group_id: Some(self.settings.group_id.clone()),
            member_id: Some(self.member_id.clone()),
            share_session_epoch: epoch,
            is_renew_ack: self.acks.values().any(|acks| acks.renewals().next().is_some()),
            topics,
            ..ShareAcknowledgeRequest::default()
        };
        let response = self.client.send_to(self.node, &request).await?;
        let mut partitions = Vec::new();
        for topic in response.responses {
            for p in topic.partitions {
                let Some(tip) = self.tip(topic.topic_id, p.partition_index) else { continue };
                partitions.push(PartitionAnswer {
                    tip,
                    code: ErrorCode::None,
                    message: None,
                    acknowledge_code: ErrorCode::from_code(p.error_code),
                    acknowledge_message: p.error_message,
                    records: Bytes::new(),
                    acquired: Vec::new(),
                });
            }
        }
        Ok(Answer {
            code: ErrorCode::from_code(response.error_code),
            message: response.error_message,
            lock_timeout: lock_timeout(response.acquisition_lock_timeout_ms),
            partitions,
        })
    }

    /// What comes into the session, and what is acknowledged with the fetch.
    fn fetch_topics(&self, added: &[TopicIdPartition]) -> Vec<FetchTopic> {
        let named: BTreeSet<_> = added.iter().chain(self.acks.keys()).collect();
        let mut topics: Vec<FetchTopic> = Vec::new();
        for tip in named {
            let batches = self.acks.get(tip).map(Acknowledgements::batches).unwrap_or_default();
            let batches = batches.into_iter().map(|Batch { first, last, types }| AcknowledgementBatch {
                first_offset: first,
                last_offset: last,
                acknowledge_types: types,
                ..Default::default()
            });
            let partition = FetchPartition {
                partition_index: tip.tp.partition,
                acknowledgement_batches: batches.collect(),
                ..Default::default()
            };
            match topics.last_mut().filter(|topic| topic.topic_id == tip.topic_id) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(FetchTopic {
                    topic_id: tip.topic_id,
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        topics
    }

    fn tip(&self, topic_id: Uuid, partition: i32) -> Option<TopicIdPartition> {
        let mut of_request = self.known.iter().chain(self.acks.keys());
        of_request.find(|tip| tip.topic_id == topic_id && tip.tp.partition == partition).cloned()
    }
}

fn forgotten_topics(forgotten: &[TopicIdPartition]) -> Vec<ForgottenTopic> {
    let mut topics: Vec<ForgottenTopic> = Vec::new();
    for tip in forgotten {
        match topics.last_mut().filter(|topic| topic.topic_id == tip.topic_id) {
            Some(topic) => topic.partitions.push(tip.tp.partition),
            None => topics.push(ForgottenTopic {
                topic_id: tip.topic_id,
                partitions: vec![tip.tp.partition],
                ..Default::default()
            }),
        }
    }
    topics
}

fn lock_timeout(ms: i32) -> Option<Duration> {
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

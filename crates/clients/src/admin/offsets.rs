use bytestring::ByteString;
use ottla_common::TopicPartition;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::{DeleteRecordsRequest, ListOffsetsRequest};

use super::{Admin, Outcomes};
use crate::partitions::{by_topic, tp};
use crate::{ClientError, NetworkClient};

/// Which offset of a partition is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first one.
    Earliest,
    /// The one after the last.
    Latest,
    /// The record with the greatest timestamp (KIP-734).
    MaxTimestamp,
    /// The first one on this disk (KIP-405).
    EarliestLocal,
    /// The last one in the remote tier (KIP-1005).
    LatestTiered,
    /// The first one not yet in the remote tier (KIP-1023).
    EarliestPendingUpload,
    /// The first one at or after this time, in milliseconds.
    ForTimestamp(i64),
}

impl OffsetSpec {
    /// By the number on the wire.
    pub const fn from_timestamp(timestamp: i64) -> Self {
        match timestamp {
            -1 => Self::Latest,
            -2 => Self::Earliest,
            -3 => Self::MaxTimestamp,
            -4 => Self::EarliestLocal,
            -5 => Self::LatestTiered,
            -6 => Self::EarliestPendingUpload,
            timestamp => Self::ForTimestamp(timestamp),
        }
    }

    /// The number on the wire.
    pub const fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::EarliestLocal => -4,
            Self::LatestTiered => -5,
            Self::EarliestPendingUpload => -6,
            Self::ForTimestamp(timestamp) => timestamp,
        }
    }

    /// The request's version that brought it.
    const fn min_version(self) -> i16 {
        match self {
            Self::MaxTimestamp => 7,
            Self::EarliestLocal => 8,
            Self::LatestTiered => 9,
            Self::EarliestPendingUpload => 11,
            Self::Latest | Self::Earliest | Self::ForTimestamp(_) => 1,
        }
    }
}

/// An offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; -1 when no record fits.
    pub offset: i64,
    /// The record's timestamp; -1 when none was asked for.
    pub timestamp: i64,
    /// The epoch of the leader that wrote it.
    pub leader_epoch: Option<i32>,
}

/// A position in a partition, with what the application wrote beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next record to read.
    pub offset: i64,
    /// The epoch of the leader that wrote the one before.
    pub leader_epoch: Option<i32>,
    /// The application's own words.
    pub metadata: ByteString,
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self { offset, leader_epoch: None, metadata: ByteString::new() }
    }
}

impl OffsetAndMetadata {
    pub(crate) fn new(offset: i64, leader_epoch: i32, metadata: Option<ByteString>) -> Self {
        let leader_epoch = (leader_epoch >= 0).then_some(leader_epoch);
        Self { offset, leader_epoch, metadata: metadata.unwrap_or_default() }
    }
}

impl Admin {
    /// Offsets of partitions. With `read_committed`, the latest is the last stable one.
    pub async fn list_offsets(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
        read_committed: bool,
    ) -> Result<Outcomes<TopicPartition, ListedOffset>, ClientError> {
        let mut outcomes = Vec::new();
        let mut open = Vec::new();
        for (tp, spec) in wanted {
            // One unknown topic must not hide the offsets of the others.
            match self.client.by_leader([(tp.clone(), *spec)]).await {
                Err(error) if !error.is_retriable() => outcomes.push((tp.clone(), Err(error))),
                _ => open.push((tp.clone(), *spec)),
            }
        }
        if !open.is_empty() {
            let listed = self
                .client
                .retrying("ListOffsets", || list_offsets(&self.client, &open, read_committed))
                .await?;
            outcomes.extend(listed);
        }
        Ok(outcomes)
    }

    /// Deletes the records before an offset (-1 for all there are) and answers the new first one.
    pub async fn delete_records(
        &self,
        before: &[(TopicPartition, i64)],
    ) -> Result<Outcomes<TopicPartition, i64>, ClientError> {
        let mut outcomes = Vec::new();
        for (partition, offset) in before {
            let result =
                self.client.retrying("DeleteRecords", || self.delete_records_of(partition, *offset)).await;
            outcomes.push((partition.clone(), result));
        }
        Ok(outcomes)
    }

    async fn delete_records_of(&self, partition: &TopicPartition, offset: i64) -> Result<i64, ClientError> {
        let leaders = self.client.by_leader([(partition.clone(), ())]).await?;
        let Some(leader) = leaders.keys().next() else {
            return Err(ClientError::IllegalState(format!("{partition} has no leader")));
        };
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: (&*partition.topic).into(),
                partitions: vec![DeleteRecordsPartition {
                    partition_index: partition.partition,
                    offset,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            timeout_ms: self.timeout_ms(),
            ..DeleteRecordsRequest::default()
        };
        let response = self.client.send_to(*leader, &request).await?;
        let answer = response.topics.into_iter().flat_map(|t| t.partitions).next();
        let answer =
            answer.ok_or_else(|| ClientError::IllegalState(format!("no answer about {partition}")))?;
        ClientError::check(partition.to_string(), answer.error_code, None).inspect_err(|error| {
            if error.is_retriable() {
                self.client.forget_topic(&partition.topic);
            }
        })?;
        Ok(answer.low_watermark)
    }
}

/// Asks the leaders once. Any failure worth a retry fails the whole.
pub(crate) async fn list_offsets(
    client: &NetworkClient,
    wanted: &[(TopicPartition, OffsetSpec)],
    read_committed: bool,
) -> Result<Outcomes<TopicPartition, ListedOffset>, ClientError> {
    const WITH_TIMEOUT: i16 = 10;
    let mut outcomes = Vec::new();
    for (leader, partitions) in client.by_leader(wanted.iter().cloned()).await? {
        let connection = client.node(leader).await?;
        let version = connection.version::<ListOffsetsRequest>()?;
        let needed = partitions.iter().map(|(_, spec)| spec.min_version()).max().unwrap_or(1);
        if version < needed {
            return Err(ClientError::UnsupportedVersion {
                address: connection.address().to_owned(),
                api: ottla_protocol::ApiKey::ListOffsets,
                offered: format!("up to {version}, {needed} is needed"),
            });
        }
        let topics = by_topic(partitions.iter().map(|(tp, spec)| (tp, *spec)), |partition_index, spec| {
            ListOffsetsPartition { partition_index, timestamp: spec.timestamp(), ..Default::default() }
        });
        let topics = topics.into_iter().map(|(name, partitions)| ListOffsetsTopic {
            name,
            partitions,
            ..Default::default()
        });
        let patience = client.settings().request_timeout;
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: if version >= 2 { i8::from(read_committed) } else { 0 },
            topics: topics.collect(),
            timeout_ms: if version >= WITH_TIMEOUT { patience.as_millis() as i32 } else { 0 },
            ..ListOffsetsRequest::default()
        };
        let response = connection.send_version(&request, version, patience).await?;
        for t in response.topics {
            for p in t.partitions {
                let tp = tp(&t.name, p.partition_index);
                let listed = ListedOffset {
                    offset: p.offset,
                    timestamp: p.timestamp,
                    leader_epoch: (p.leader_epoch >= 0).then_some(p.leader_epoch),
                };
                let checked = ClientError::check(tp.to_string(), p.error_code, None);
                if let Err(error) = &checked
                    && error.is_retriable()
                {
                    client.forget_topic(&tp.topic);
                    return Err(error.clone());
                }
                outcomes.push((tp, checked.map(|()| listed)));
            }
        }
    }
    Ok(outcomes)
}

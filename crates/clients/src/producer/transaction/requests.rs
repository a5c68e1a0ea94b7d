//! The steps as requests, and the answers to them.

use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use ottla_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest,
    TxnOffsetCommitRequest,
};

use super::Transactions;
use super::answers::Answer;
use super::step::{Features, Step};
use crate::admin::OffsetAndMetadata;
use crate::partitions::{by_topic, tp};
use crate::producer::accumulator::Producer;
use crate::{BrokerConnection, ClientError};

/// The newer versions are for brokers among themselves.
const ADD_PARTITIONS_FOR_CLIENTS: i16 = 3;
/// Older versions lack what only `transaction.version` 2 understands (KIP-890).
const END_BEFORE_V2: i16 = 4;
const OFFSETS_BEFORE_V2: i16 = 4;
/// From the next version on, topics are named by their ids.
const OFFSETS_BY_NAME: i16 = 5;
/// The first version of InitProducerId that raises a producer's epoch (KIP-360).
const BUMPS_EPOCH: i16 = 3;

/// Asks a coordinator, once.
pub(super) async fn exchange(
    connection: &BrokerConnection,
    transactions: &Transactions,
    step: &Step,
) -> Result<Answer, ClientError> {
    match step {
        Step::InitProducerId { bump } => init(connection, transactions, *bump).await,
        Step::AddPartitions { producer, partitions } => {
            add_partitions(connection, transactions, *producer, partitions).await
        }
        Step::AddOffsets { producer, group_id, .. } => {
            let request = AddOffsetsToTxnRequest {
                transactional_id: transactions.id.clone(),
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                group_id: group_id.clone(),
                ..AddOffsetsToTxnRequest::default()
            };
            let response = connection.send(&request).await?;
            Ok(Answer::OffsetsAdded(ErrorCode::from_code(response.error_code)))
        }
        Step::CommitOffsets { .. } => commit_offsets(connection, transactions, step).await,
        Step::End { producer, committed, v2 } => {
            let max = if *v2 { i16::MAX } else { END_BEFORE_V2 };
            let version = connection.version_up_to::<EndTxnRequest>(max)?;
            let request = EndTxnRequest {
                transactional_id: transactions.id.clone(),
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                committed: *committed,
                ..EndTxnRequest::default()
            };
            let response = connection.send_version(&request, version, connection.patience()).await?;
            let next = Producer { id: response.producer_id, epoch: response.producer_epoch };
            Ok(Answer::Ended(ErrorCode::from_code(response.error_code), (next.id >= 0).then_some(next)))
        }
    }
}

/// What a broker says of transactions in its cluster.
pub(super) fn features(connection: &BrokerConnection) -> Features {
    let versions = connection.api_versions();
    let level = versions.finalized_features.iter().find(|f| &*f.name == "transaction.version");
    Features {
        epoch: versions.finalized_features_epoch,
        transaction_version: level.map_or(0, |f| f.max_version_level),
        bumps_epoch: connection.version::<InitProducerIdRequest>().is_ok_and(|v| v >= BUMPS_EPOCH),
    }
}

async fn init(
    connection: &BrokerConnection,
    transactions: &Transactions,
    bump: Option<Producer>,
) -> Result<Answer, ClientError> {
    let request = InitProducerIdRequest {
        transactional_id: Some(transactions.id.clone()),
        transaction_timeout_ms: transactions.timeout.as_millis() as i32,
        producer_id: bump.map_or(-1, |producer| producer.id),
        producer_epoch: bump.map_or(-1, |producer| producer.epoch),
        ..InitProducerIdRequest::default()
    };
    let response = connection.send(&request).await?;
    let producer = Producer { id: response.producer_id, epoch: response.producer_epoch };
    Ok(Answer::Initialized(ErrorCode::from_code(response.error_code), producer))
}

async fn add_partitions(
    connection: &BrokerConnection,
    transactions: &Transactions,
    producer: Producer,
    partitions: &[TopicPartition],
) -> Result<Answer, ClientError> {
    let version = connection.version_up_to::<AddPartitionsToTxnRequest>(ADD_PARTITIONS_FOR_CLIENTS)?;
    let topics = by_topic(partitions.iter().map(|tp| (tp, ())), |partition, ()| partition);
    let topics = topics.into_iter().map(|(name, partitions)| AddPartitionsToTxnTopic {
        name,
        partitions,
        ..Default::default()
    });
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: transactions.id.clone(),
        v3_and_below_producer_id: producer.id,
        v3_and_below_producer_epoch: producer.epoch,
        v3_and_below_topics: topics.collect(),
        ..AddPartitionsToTxnRequest::default()
    };
    let response = connection.send_version(&request, version, connection.patience()).await?;
    let topics = response.results_by_topic_v3_and_below.iter();
    let results = topics.flat_map(|t| {
        let partitions = t.results_by_partition.iter();
        partitions.map(|p| (tp(&t.name, p.partition_index), ErrorCode::from_code(p.partition_error_code)))
    });
    Ok(Answer::Partitions(results.collect()))
}

async fn commit_offsets(
    connection: &BrokerConnection,
    transactions: &Transactions,
    step: &Step,
) -> Result<Answer, ClientError> {
    let Step::CommitOffsets { producer, group, offsets, v2, .. } = step else {
        return Err(ClientError::IllegalState("there are no offsets to commit".into()));
    };
    let max = if *v2 { OFFSETS_BY_NAME } else { OFFSETS_BEFORE_V2 };
    let version = connection.version_up_to::<TxnOffsetCommitRequest>(max)?;
    let topics =
        by_topic(offsets.iter(), |partition_index, o: &OffsetAndMetadata| TxnOffsetCommitRequestPartition {
            partition_index,
            committed_offset: o.offset,
            committed_leader_epoch: o.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(o.metadata.clone()),
            ..Default::default()
        });
    let topics = topics.into_iter().map(|(name, partitions)| TxnOffsetCommitRequestTopic {
        name,
        partitions,
        ..Default::default()
    });
    let request = TxnOffsetCommitRequest {
        transactional_id: transactions.id.clone(),
        group_id: group.group_id.clone(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        generation_id_or_member_epoch: group.generation_id,
        member_id: group.member_id.clone(),
        group_instance_id: group.group_instance_id.clone(),
        topics: topics.collect(),
        ..TxnOffsetCommitRequest::default()
    };
    let response = connection.send_version(&request, version, connection.patience()).await?;
    let results = response.topics.iter().flat_map(|t| {
        let partitions = t.partitions.iter();
        partitions.map(|p| (tp(&t.name, p.partition_index), ErrorCode::from_code(p.error_code)))
    });
    Ok(Answer::OffsetsCommitted(results.collect()))
}

//! Produce requests with records of a transaction: what is done before these are appended (KIP-98, KIP-890).

use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::Records;
use ottla_protocol::messages::ProduceResponse;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::produce_response::TopicProduceResponse;
use ottla_record::RecordBatchHeader;
use ottla_replica::transaction_verification::{TransactionSupportedOperation, produce_error};
use ottla_replica::{AppendFailure, TransactionalWrite, VerifiedPartitions};

use super::{Target, check_shape, failed};
use crate::{BrokerContext, Call};

/// Whether there is anything to be verified: a glance at every batch.
pub(super) fn has_transactional_records(topics: &[TopicProduceData]) -> bool {
    let partitions = topics.iter().flat_map(|topic| &topic.partition_data);
    partitions.filter_map(header).any(|header| header.is_transactional())
}

/// The header of a partition's first batch, if it can be read. What was decoded is always in memory.
fn header(partition: &PartitionProduceData) -> Option<RecordBatchHeader<&[u8]>> {
    match &partition.records {
        Some(Records::Memory(bytes)) => RecordBatchHeader::new(&bytes[..]).ok(),
        _ => None,
    }
}

/// Has the transaction's coordinator asked about the partitions that records of it are for. Fails if none of
/// the request may be appended.
pub(super) async fn verify(
    broker: &BrokerContext,
    call: &Call,
    transactional_id: Option<&str>,
    topics: &[TopicProduceData],
) -> Result<VerifiedPartitions, AppendFailure> {
    // Nobody is allowed to write for a transaction without a name.
    let transactional_id = transactional_id.ok_or(ErrorCode::TransactionalIdAuthorizationFailed)?;
    let batches = transactional_batches(broker, call, topics);
    let Some(write) = write(transactional_id, call.version, batches)? else {
        return Ok(VerifiedPartitions::default());
    };
    Ok(broker.replicas.verify_transactional_produce(&write).await)
}

/// A producer's first batch for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    tp: TopicPartition,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
}

/// Those of partitions that will be appended to. The others are answered without asking anybody.
fn transactional_batches(broker: &BrokerContext, call: &Call, topics: &[TopicProduceData]) -> Vec<Batch> {
    let mut batches = Vec::new();
    for topic in topics {
        let Ok(target) = Target::resolve(broker, call, topic) else { continue };
        let valid = topic.partition_data.iter().filter(|partition| target.has(partition.index));
        for partition in valid.filter(|partition| is_whole(call.version, partition)) {
            let Some(header) = header(partition).filter(is_of_transaction) else { continue };
            batches.push(Batch {
                tp: TopicPartition::new(target.name.clone(), partition.index),
                producer_id: header.producer_id(),
                producer_epoch: header.producer_epoch(),
                base_sequence: header.base_sequence(),
            });
        }
    }
    batches
}

fn is_whole(version: i16, partition: &PartitionProduceData) -> bool {
    matches!(&partition.records, Some(Records::Memory(bytes)) if check_shape(version, bytes).is_ok())
}

fn is_of_transaction(header: &RecordBatchHeader<&[u8]>) -> bool {
    header.is_transactional() && header.has_producer_id()
}

/// All of them are of one producer.
fn write(
    transactional_id: &str,
    version: i16,
    batches: Vec<Batch>,
) -> Result<Option<TransactionalWrite>, AppendFailure> {
    let Some(first) = batches.first() else { return Ok(None) };
    let (producer_id, producer_epoch) = (first.producer_id, first.producer_epoch);
    let of = |batch: &Batch| (batch.producer_id, batch.producer_epoch);
    if batches.iter().any(|batch| of(batch) != (producer_id, producer_epoch)) {
        let message = "Transactional records contained more than one producer ID".to_owned();
        return Err(AppendFailure { message: Some(message), ..ErrorCode::InvalidProducerIdMapping.into() });
    }
    Ok(Some(TransactionalWrite {
        transactional_id: transactional_id.to_owned(),
        producer_id,
        producer_epoch,
        operation: TransactionSupportedOperation::of_produce(version),
        partitions: batches.into_iter().map(|batch| (batch.tp, batch.base_sequence)).collect(),
    }))
}

/// What a producer of this version is told when its records were not verified.
pub(super) fn failure(version: i16, error: ErrorCode) -> AppendFailure {
    let (error, message) = produce_error(TransactionSupportedOperation::of_produce(version), error);
    AppendFailure { message, ..error.into() }
}

/// The answer to a request of which nothing was appended.
pub(super) fn refused(topics: Vec<TopicProduceData>, failure: &AppendFailure) -> ProduceResponse {
    let topic = |topic: TopicProduceData| {
        let partitions = topic.partition_data.iter();
        TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: partitions.map(|p| failed(p.index, failure.clone())).collect(),
            ..Default::default()
        }
    };
    ProduceResponse { responses: topics.into_iter().map(topic).collect(), ..Default::default() }
}

#[cfg(test)]
#[path = "transactional_test.rs"]
mod tests;

//! Produce (0), versions 3-13: appends record batches (KIP-98, KIP-467, KIP-516, KIP-890, KIP-951).
//!
//! Errors per partition: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_RECORD,
//! UNSUPPORTED_COMPRESSION_TYPE, CORRUPT_MESSAGE, INVALID_REQUIRED_ACKS, INVALID_TOPIC_EXCEPTION,
//! NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS, REQUEST_TIMED_OUT, those of the log, and those of a
//! transaction's coordinator: INVALID_TXN_STATE, INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING,
//! TRANSACTION_ABORTABLE, CONCURRENT_TRANSACTIONS. Of all partitions:
//! TRANSACTIONAL_ID_AUTHORIZATION_FAILED, INVALID_PRODUCER_ID_MAPPING.

mod transactional;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_protocol::Records;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use ottla_protocol::messages::{ProduceRequest, ProduceResponse};
use ottla_record::{CompressionType, MemoryRecords};
use ottla_replica::{AppendFailure, Appended, VerifiedPartitions};

use crate::support::metadata_cache::node_endpoints;
use crate::{BrokerContext, Call};

/// The client id with which Kafka's own tools may write internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";
const ACKS_ALL: i16 = -1;

/// Appends every partition's records; with acks=all waits until they are committed.
pub async fn handle(broker: &BrokerContext, call: &Call, request: ProduceRequest) -> ProduceResponse {
    // Taken apart, because what is left of it would hold on to the frame while this waits.
    let ProduceRequest { transactional_id, acks, timeout_ms, topic_data, .. } = request;
    let mut verified = VerifiedPartitions::default();
    if transactional::has_transactional_records(&topic_data) {
        // Boxed, for all other requests to be spared the place.
        let outcome =
            Box::pin(transactional::verify(broker, call, transactional_id.as_deref(), &topic_data)).await;
        match outcome {
            Ok(partitions) => verified = partitions,
            Err(failure) => return transactional::refused(topic_data, &failure),
        }
    }
    drop(transactional_id);
    let mut response = ProduceResponse::default();
    let mut uncommitted = Vec::new();
    for topic in topic_data {
        let target = Target::resolve(broker, call, &topic);
        let mut answer =
            TopicProduceResponse { name: topic.name.clone(), topic_id: topic.topic_id, ..Default::default() };
        for partition in topic.partition_data {
            let index = partition.index;
            match append(broker, call, &target, partition, acks, &verified) {
                Ok((tp, appended)) => {
                    if acks == ACKS_ALL && !appended.is_committed {
                        uncommitted.push(Uncommitted {
                            topic: response.responses.len(),
                            partition: answer.partition_responses.len(),
                            tp,
                            last_offset: appended.last_offset,
                        });
                    }
                    answer.partition_responses.push(success(index, &appended));
                }
                Err(failure) => answer.partition_responses.push(failed(index, failure)),
            }
        }
        response.responses.push(answer);
    }
    if !uncommitted.is_empty() {
        wait_until_committed(broker, &mut response, uncommitted, timeout_ms).await;
    }
    if call.version >= 10 {
        name_current_leaders(broker, call, &mut response);
    }
    response
}

/// Whether any partition failed: a producer that wants no answers loses its connection then.
pub fn has_error(response: &ProduceResponse) -> bool {
    response.responses.iter().flat_map(|t| &t.partition_responses).any(|p| p.error_code != 0)
}

/// The topic that a request means, by id or by name.
struct Target {
    name: Arc<str>,
    topic_id: Uuid,
    partitions: usize,
}

impl Target {
    fn resolve(broker: &BrokerContext, call: &Call, topic: &TopicProduceData) -> Result<Self, ErrorCode> {
        let image = broker.metadata.image();
        let by_id = call.version >= 13;
        let found =
            if by_id { image.topics.topic(topic.topic_id) } else { image.topics.topic_by_name(&topic.name) };
        let missing = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
        let found = found.ok_or(missing)?;
        Ok(Self { name: found.name.clone(), topic_id: found.id, partitions: found.partitions.size() })
    }

    fn has(&self, partition: i32) -> bool {
        usize::try_from(partition).is_ok_and(|index| index < self.partitions)
    }
}

fn append(
    broker: &BrokerContext,
    call: &Call,
    target: &Result<Target, ErrorCode>,
    partition: PartitionProduceData,
    acks: i16,
    verified: &VerifiedPartitions,
) -> Result<(TopicPartition, Appended), AppendFailure> {
    let target = target.as_ref().map_err(|error| AppendFailure::from(*error))?;
    if !target.has(partition.index) {
        return Err(ErrorCode::UnknownTopicOrPartition.into());
    }
    let records = partition.records.map(Records::into_bytes).unwrap_or_default();
    check_shape(call.version, &records)?;
    let tp = TopicPartition::new(target.name.clone(), partition.index);
    let guard = verified.guard(&tp).map_err(|error| transactional::failure(call.version, error))?;
    let internal_allowed = call.client_id() == ADMIN_CLIENT_ID;
    let appended = broker.replicas.append(&tp, target.topic_id, records, acks, internal_allowed, guard)?;
    Ok((tp, appended))
}

/// Exactly one batch of the current format, in a codec that the version knows.
fn check_shape(version: i16, records: &Bytes) -> Result<(), AppendFailure> {
    let invalid =
        |message: String| AppendFailure { message: Some(message), ..ErrorCode::InvalidRecord.into() };
    let run = MemoryRecords::from(records.clone());
    let mut batches = run.batches_strict();
    let batch = match batches.next() {
        None => {
            return Err(invalid(format!(
                "Produce requests with version {version} must have a record batch per partition"
            )));
        }
        Some(batch) => {
            batch.map_err(|e| AppendFailure { message: Some(e.to_string()), ..e.code().into() })?
        }
    };
    if batches.next().is_some() {
        return Err(invalid(format!(
            "Produce requests with version {version} are only allowed to contain exactly one record batch per partition"
        )));
    }
    let codec = batch.compression_type().map_err(|e| invalid(e.to_string()))?;
    if version < 7 && codec == CompressionType::Zstd {
        return Err(ErrorCode::UnsupportedCompressionType.into());
    }
    Ok(())
}

fn success(index: i32, appended: &Appended) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time_ms,
        log_start_offset: appended.log_start_offset,
        ..Default::default()
    }
}

fn failed(index: i32, failure: AppendFailure) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: failure.error.code(),
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: failure.log_start_offset,
        record_errors: failure
            .record_errors
            .into_iter()
            .map(|(batch_index, message)| BatchIndexAndErrorMessage {
                batch_index,
                batch_index_error_message: Some(ByteString::from(message)),
                ..Default::default()
            })
            .collect(),
        error_message: failure.message.map(ByteString::from),
        ..Default::default()
    }
}

/// Records that other replicas do not have yet, and their place in the answer.
struct Uncommitted {
    topic: usize,
    partition: usize,
    tp: TopicPartition,
    last_offset: i64,
}

async fn wait_until_committed(
    broker: &BrokerContext,
    response: &mut ProduceResponse,
    uncommitted: Vec<Uncommitted>,
    timeout_ms: i32,
) {
    for answer in &mut response.responses {
        own(&mut answer.name);
    }
    let offsets: Vec<_> = uncommitted.iter().map(|wait| (wait.tp.clone(), wait.last_offset)).collect();
    let errors = broker.replicas.wait_until_committed(&offsets, timeout_ms).await;
    for (wait, error) in uncommitted.into_iter().zip(errors) {
        if !error.is_none() {
            let answer = &mut response.responses[wait.topic].partition_responses[wait.partition];
            *answer = failed(answer.index, error.into());
        }
    }
}

/// A name from a request shares the memory its connection reads into: a copy does not keep that from others.
fn own(name: &mut ByteString) {
    *name = ByteString::from(name.to_string());
}

/// A producer that asked the wrong broker is told the right one (KIP-951).
fn name_current_leaders(broker: &BrokerContext, call: &Call, response: &mut ProduceResponse) {
    let is_elsewhere = |p: &PartitionProduceResponse| p.error_code == ErrorCode::NotLeaderOrFollower.code();
    if !response.responses.iter().flat_map(|topic| &topic.partition_responses).any(is_elsewhere) {
        return;
    }
    let mut leaders = BTreeSet::new();
    for topic in &mut response.responses {
        let name = if topic.name.is_empty() {
            broker.metadata.topic_name(topic.topic_id)
        } else {
            Some(Arc::from(&*topic.name))
        };
        let Some(name) = name else { continue };
        for partition in &mut topic.partition_responses {
            if is_elsewhere(partition) {
                let tp = TopicPartition::new(name.clone(), partition.index);
                if let Some((leader, epoch)) = broker.metadata.current_leader(&tp) {
                    partition.current_leader.leader_id = leader;
                    partition.current_leader.leader_epoch = epoch;
                    leaders.insert(leader);
                }
            }
        }
    }
    let image = broker.metadata.image();
    let endpoint =
        |node_id, host, port, rack| NodeEndpoint { node_id, host, port, rack, ..Default::default() };
    response.node_endpoints = node_endpoints(&image, &call.listener, leaders, endpoint);
}

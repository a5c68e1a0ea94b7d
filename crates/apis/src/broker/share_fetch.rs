//! ShareFetch (78), versions 1-2: acquires records for a member of a share group, and takes down what it says
//! of those it has (KIP-932; limits of records and renewing since version 2: KIP-1206, KIP-1222).
//!
//! Errors: UNSUPPORTED_VERSION (`share.version` 0), INVALID_REQUEST, SHARE_SESSION_NOT_FOUND,
//! INVALID_SHARE_SESSION_EPOCH, SHARE_SESSION_LIMIT_REACHED; per partition: UNKNOWN_TOPIC_ID,
//! UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, OFFSET_NOT_AVAILABLE,
//! COORDINATOR_NOT_AVAILABLE, GROUP_ID_NOT_FOUND, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR, UNKNOWN_SERVER_ERROR;
//! for acknowledgements those of ShareAcknowledge.
//! Missing: authorization, quotas.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::image::MetadataImage;
use ottla_protocol::Records;
use ottla_protocol::messages::share_fetch_request::ForgottenTopic;
use ottla_protocol::messages::share_fetch_response::{
    AcquiredRecords, NodeEndpoint, PartitionData, ShareFetchableTopicResponse,
};
use ottla_protocol::messages::{ShareFetchRequest, ShareFetchResponse};
use ottla_replica::share::{
    AcknowledgementBatch, FINAL_EPOCH, FetchOutcome, ShareAcquireMode, ShareFetch, ShareFetchContext,
    SharePartitionData, SharePartitionId, ShareSessionError, ShareSessionKey, ShareSessionRequest,
    check_renew_fetch,
};

use super::share_acknowledge::{Acknowledged, Acknowledging, Batches, Terms, current_leader, member};
use crate::support::metadata_cache::node_endpoints;
use crate::{BrokerContext, Call};

/// Takes the acknowledgements down, acquires records while they are written, and answers both together.
pub async fn handle(broker: &BrokerContext, call: &Call, request: ShareFetchRequest) -> ShareFetchResponse {
    match serve(broker, call, request).await {
        Ok(response) => response,
        Err(error) => ShareFetchResponse { error_code: error.code(), ..Default::default() },
    }
}

async fn serve(
    broker: &BrokerContext,
    call: &Call,
    request: ShareFetchRequest,
) -> Result<ShareFetchResponse, ErrorCode> {
    let key = member(broker, request.group_id.as_deref(), request.member_id.as_deref())?;
    let acquire_mode =
        ShareAcquireMode::from_id(request.share_acquire_mode).ok_or(ErrorCode::InvalidRequest)?;
    // Version 1 has no such field.
    let renews = request.is_renew_ack;
    if renews {
        let ShareFetchRequest { max_bytes, min_bytes, max_records, max_wait_ms, .. } = request;
        check_renew_fetch(max_bytes, min_bytes, max_records, max_wait_ms)?;
    }
    let epoch = request.share_session_epoch;
    let mut fetch = ShareFetch {
        group_id: key.group_id.clone(),
        member_id: key.member_id.clone(),
        session_epoch: epoch,
        partitions: Vec::new(),
        acquire_mode,
        max_records: request.max_records,
        batch_size: request.batch_size,
        max_wait_ms: request.max_wait_ms,
        min_bytes: request.min_bytes,
        max_bytes: request.max_bytes.min(broker.settings.fetch_max_bytes),
    };
    fetch.min_bytes = fetch.min_bytes.min(fetch.max_bytes);
    // What is left of the request would hold on to its frame while this waits.
    let context = find_session(broker, call, &key, &request);
    let batches = batches(request);
    let context = match context {
        Err(ShareSessionError::LimitReached) => {
            // Clients would ask again at once.
            let max_wait_ms = u64::try_from(fetch.max_wait_ms).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(max_wait_ms)).await;
            return Err(ShareSessionError::LimitReached.code());
        }
        context => context.map_err(|error| error.code())?,
    };
    let acknowledging = Acknowledging::begin(broker, &key, Terms::of(call.version, renews), batches);
    // Fetching could take longer than the locks last that are renewed.
    let fetched = if renews { Vec::new() } else { fetch_all(broker, &context, fetch).await };
    let acknowledged = acknowledging.finish().await;
    let response = respond(broker, call, &key, &context, fetched, acknowledged);
    if epoch == FINAL_EPOCH {
        broker.share.release_session(&key);
    }
    Ok(response)
}

fn find_session(
    broker: &BrokerContext,
    call: &Call,
    key: &ShareSessionKey,
    request: &ShareFetchRequest,
) -> Result<ShareFetchContext, ShareSessionError> {
    let image = broker.metadata.image().clone();
    let id = |topic_id: Uuid, partition: i32| SharePartitionId {
        topic_id,
        partition,
        topic: image.topics.topic_name(topic_id).cloned(),
    };
    let (mut partitions, mut has_acknowledgements) = (Vec::new(), false);
    for topic in &request.topics {
        for partition in &topic.partitions {
            partitions.push(id(topic.topic_id, partition.partition_index));
            has_acknowledgements |= !partition.acknowledgement_batches.is_empty();
        }
    }
    let of_topic = |topic: &ForgottenTopic| {
        topic.partitions.iter().map(|partition| id(topic.topic_id, *partition)).collect::<Vec<_>>()
    };
    let forgotten: Vec<SharePartitionId> = request.forgotten_topics_data.iter().flat_map(of_topic).collect();
    broker.share.new_context(&ShareSessionRequest {
        key,
        epoch: request.share_session_epoch,
        partitions: &partitions,
        forgotten: &forgotten,
        has_acknowledgements,
        connection_id: &call.connection_id,
    })
}

/// The acknowledgements of a request, without partitions that are only fetched.
fn batches(request: ShareFetchRequest) -> Batches {
    let mut batches = Batches::new();
    for topic in request.topics {
        for partition in topic.partitions {
            if partition.acknowledgement_batches.is_empty() {
                continue;
            }
            let of_partition =
                partition.acknowledgement_batches.into_iter().map(|batch| AcknowledgementBatch {
                    first_offset: batch.first_offset,
                    last_offset: batch.last_offset,
                    acknowledge_types: batch.acknowledge_types,
                });
            batches.insert((topic.topic_id, partition.partition_index), of_partition.collect());
        }
    }
    batches
}

type Fetched = (SharePartitionId, PartitionData);

/// Fetches what can be fetched of a session, and answers an error for the rest.
async fn fetch_all(
    broker: &BrokerContext,
    context: &ShareFetchContext,
    mut fetch: ShareFetch,
) -> Vec<Fetched> {
    let wanted = match context {
        ShareFetchContext::Initial { partitions } | ShareFetchContext::Subsequent { partitions, .. } => {
            partitions
        }
        ShareFetchContext::Final => return Vec::new(),
    };
    let mut erroneous = Vec::new();
    {
        let image = broker.metadata.image();
        for id in wanted {
            match find(&image, id) {
                Ok(id) => fetch.partitions.push(id),
                Err(error) => erroneous.push((id.clone(), error_data(id.partition, error))),
            }
        }
    }
    let fetched = broker.share.fetch_messages(&fetch).await;
    let answer = |(id, data): (SharePartitionId, SharePartitionData)| {
        let data = partition_data(id.partition, data);
        (id, data)
    };
    let mut all: Vec<Fetched> = fetched.into_iter().map(answer).collect();
    all.append(&mut erroneous);
    all
}

/// The partition with the name that its topic has now.
fn find(image: &MetadataImage, id: &SharePartitionId) -> Result<SharePartitionId, ErrorCode> {
    let Some(topic) = image.topics.topic(id.topic_id) else {
        // A topic that the session knew is deleted.
        let was_known = id.topic.is_some();
        return Err(if was_known { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::UnknownTopicId });
    };
    if !topic.partitions.contains_key(&id.partition) {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    Ok(SharePartitionId { topic: Some(Arc::clone(&topic.name)), ..id.clone() })
}

fn error_data(index: i32, error: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: index,
        error_code: error.code(),
        records: Some(Records::default()),
        ..Default::default()
    }
}

fn partition_data(index: i32, data: SharePartitionData) -> PartitionData {
    let acquired = |records: ottla_replica::share::AcquiredRecords| AcquiredRecords {
        first_offset: records.first_offset,
        last_offset: records.last_offset,
        delivery_count: records.delivery_count,
        ..Default::default()
    };
    PartitionData {
        error_message: data.message.map(Into::into),
        records: Some(data.records.map_or_else(Records::default, Records::Elsewhere)),
        acquired_records: data.acquired.into_iter().map(acquired).collect(),
        ..error_data(index, data.error)
    }
}

fn respond(
    broker: &BrokerContext,
    call: &Call,
    key: &ShareSessionKey,
    context: &ShareFetchContext,
    mut fetched: Vec<Fetched>,
    acknowledged: Vec<Acknowledged>,
) -> ShareFetchResponse {
    let leaders = name_current_leaders(broker, &mut fetched);
    let outcomes: Vec<(SharePartitionId, FetchOutcome)> = fetched.iter().map(outcome).collect();
    let mut response = ShareFetchResponse {
        acquisition_lock_timeout_ms: broker.share.settings(&key.group_id).partition.record_lock_duration_ms,
        ..Default::default()
    };
    let mut topics = Topics::default();
    match broker.share.select_for_response(key, context, &outcomes) {
        Ok(selected) => {
            let answers = fetched.into_iter().zip(selected).filter(|(_, selected)| *selected);
            answers.for_each(|((id, data), _)| topics.push(id.topic_id, data));
        }
        // The session went on without this request.
        Err(error) => response.error_code = error.code().code(),
    }
    acknowledged.into_iter().for_each(|acknowledged| topics.acknowledge(acknowledged));
    let endpoint =
        |node_id, host, port, rack| NodeEndpoint { node_id, host, port, rack, ..Default::default() };
    response.node_endpoints = node_endpoints(&broker.metadata.image(), &call.listener, leaders, endpoint);
    response.responses = topics.responses;
    response
}

fn outcome((id, data): &Fetched) -> (SharePartitionId, FetchOutcome) {
    let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
    (id.clone(), FetchOutcome { has_records, error: ErrorCode::from_code(data.error_code) })
}

/// Tells who leads what was asked for in the wrong place (KIP-951).
fn name_current_leaders(broker: &BrokerContext, fetched: &mut [Fetched]) -> BTreeSet<i32> {
    let mut leaders = BTreeSet::new();
    for (id, data) in fetched {
        let error = ErrorCode::from_code(data.error_code);
        if let Some((leader, epoch)) = current_leader(broker, id, error) {
            data.current_leader.leader_id = leader;
            data.current_leader.leader_epoch = epoch;
            leaders.insert(leader);
        }
    }
    leaders
}

/// The answers of partitions, those of a topic together.
#[derive(Debug, Default)]
struct Topics {
    responses: Vec<ShareFetchableTopicResponse>,
    by_topic: BTreeMap<Uuid, usize>,
    by_partition: HashMap<(Uuid, i32), usize>,
}

impl Topics {
    fn push(&mut self, topic_id: Uuid, data: PartitionData) {
        let responses = &mut self.responses;
        let index = *self.by_topic.entry(topic_id).or_insert_with(|| {
            responses.push(ShareFetchableTopicResponse { topic_id, ..Default::default() });
            responses.len() - 1
        });
        if let Some(topic) = self.responses.get_mut(index) {
            self.by_partition.insert((topic_id, data.partition_index), topic.partitions.len());
            topic.partitions.push(data);
        }
    }

    /// Tells what became of acknowledgements, of a partition that is not answered otherwise too.
    fn acknowledge(&mut self, acknowledged: Acknowledged) {
        let Acknowledged { id: SharePartitionId { topic_id, partition, .. }, error, message } = acknowledged;
        if !self.by_partition.contains_key(&(topic_id, partition)) {
            self.push(topic_id, error_data(partition, ErrorCode::None));
        }
        if let Some(data) = self.get_mut(topic_id, partition) {
            data.acknowledge_error_code = error.code();
            data.acknowledge_error_message = message;
        }
    }

    fn get_mut(&mut self, topic_id: Uuid, partition: i32) -> Option<&mut PartitionData> {
        let topic = *self.by_topic.get(&topic_id)?;
        let index = *self.by_partition.get(&(topic_id, partition))?;
        self.responses.get_mut(topic)?.partitions.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::share_fetch_request::{
        AcknowledgementBatch as RequestBatch, FetchPartition, FetchTopic,
    };

    use super::*;

    const AVISOS: Uuid = Uuid::from_u128(7);
    const PEDIDOS: Uuid = Uuid::from_u128(9);

    fn id(topic_id: Uuid, partition: i32) -> SharePartitionId {
        SharePartitionId { topic_id, partition, topic: Some("avisos".into()) }
    }

    fn acknowledged(topic_id: Uuid, partition: i32, error: ErrorCode) -> Acknowledged {
        Acknowledged { id: id(topic_id, partition), error, message: None }
    }

    #[test]
    fn acknowledgements_are_answered_beside_the_records() {
        let mut topics = Topics::default();
        topics.push(AVISOS, error_data(0, ErrorCode::None));
        topics.push(PEDIDOS, error_data(0, ErrorCode::NotLeaderOrFollower));
        topics.push(AVISOS, error_data(4, ErrorCode::None));
        topics.acknowledge(acknowledged(AVISOS, 4, ErrorCode::InvalidRecordState));
        topics.acknowledge(acknowledged(PEDIDOS, 3, ErrorCode::None));
        topics.acknowledge(acknowledged(Uuid::ONE, 1, ErrorCode::UnknownTopicId));
        let told: Vec<_> = topics
            .responses
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |data| (topic.topic_id, data)))
            .map(|(topic_id, data)| {
                let errors = [data.error_code, data.acknowledge_error_code].map(ErrorCode::from_code);
                assert!(data.records.is_some(), "clients do not take null");
                (topic_id, data.partition_index, errors)
            })
            .collect();
        let none = ErrorCode::None;
        assert_eq!(
            told,
            [
                (AVISOS, 0, [none, none]),
                (AVISOS, 4, [none, ErrorCode::InvalidRecordState]),
                (PEDIDOS, 0, [ErrorCode::NotLeaderOrFollower, none]),
                (PEDIDOS, 3, [none, none]),
                (Uuid::ONE, 1, [none, ErrorCode::UnknownTopicId]),
            ]
        );
    }

    #[test]
    fn only_partitions_with_acknowledgements_are_acknowledged() {
        let batch = RequestBatch { first_offset: 3, last_offset: 5, ..Default::default() };
        let acknowledged =
            FetchPartition { partition_index: 1, acknowledgement_batches: vec![batch], ..Default::default() };
        let partitions = vec![FetchPartition::default(), acknowledged];
        let topic = FetchTopic { topic_id: AVISOS, partitions, ..Default::default() };
        let batches = batches(ShareFetchRequest { topics: vec![topic], ..Default::default() });
        assert_eq!(batches.into_keys().collect::<Vec<_>>(), [(AVISOS, 1)]);
    }

    #[test]
    fn a_topic_that_was_known_is_told_apart_from_one_that_never_was() {
        let image = MetadataImage::default();
        assert_eq!(find(&image, &id(AVISOS, 0)), Err(ErrorCode::UnknownTopicOrPartition));
        let nameless = SharePartitionId { topic: None, ..id(AVISOS, 0) };
        assert_eq!(find(&image, &nameless), Err(ErrorCode::UnknownTopicId));
    }
}

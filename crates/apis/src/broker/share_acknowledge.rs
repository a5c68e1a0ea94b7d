//! ShareAcknowledge (79), versions 1-2: what a member of a share group says of the records it holds
//! (KIP-932, renewing since version 2: KIP-1222).
//!
//! Errors: UNSUPPORTED_VERSION (`share.version` 0), INVALID_REQUEST, SHARE_SESSION_NOT_FOUND,
//! INVALID_SHARE_SESSION_EPOCH; per partition: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST,
//! INVALID_RECORD_STATE, NOT_LEADER_OR_FOLLOWER, LEADER_NOT_AVAILABLE, GROUP_ID_NOT_FOUND,
//! COORDINATOR_NOT_AVAILABLE, UNKNOWN_SERVER_ERROR.
//! Missing: authorization.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_metadata::Feature;
use ottla_metadata::image::MetadataImage;
use ottla_protocol::messages::share_acknowledge_response::{
    NodeEndpoint, PartitionData, ShareAcknowledgeTopicResponse,
};
use ottla_protocol::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
use ottla_replica::share::{
    AcknowledgementBatch, FINAL_EPOCH, PendingAcknowledgement, SharePartitionId, ShareSessionKey,
    validate_acknowledgement_batches,
};

use crate::support::metadata_cache::node_endpoints;
use crate::{BrokerContext, Call};

/// Members name themselves with ids in text.
const MAX_MEMBER_ID_LENGTH: usize = 36;

/// Takes all acknowledgements down, then waits until they are written.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: ShareAcknowledgeRequest,
) -> ShareAcknowledgeResponse {
    match serve(broker, call, request).await {
        Ok(response) => response,
        Err(error) => ShareAcknowledgeResponse { error_code: error.code(), ..Default::default() },
    }
}

async fn serve(
    broker: &BrokerContext,
    call: &Call,
    request: ShareAcknowledgeRequest,
) -> Result<ShareAcknowledgeResponse, ErrorCode> {
    let key = member(broker, request.group_id.as_deref(), request.member_id.as_deref())?;
    let (epoch, terms) = (request.share_session_epoch, Terms::of(call.version, request.is_renew_ack));
    broker.share.acknowledge_session_update(&key, epoch).map_err(|error| error.code())?;
    // What is left of the request would hold on to its frame while this waits.
    let batches = batches(request);
    let acknowledging = Acknowledging::begin(broker, &key, terms, batches);
    let acknowledged = acknowledging.finish().await;
    if epoch == FINAL_EPOCH {
        broker.share.release_session(&key);
    }
    Ok(respond(broker, call, &key, acknowledged))
}

/// Who asks, if share groups are there at all and it says who it is.
pub(super) fn member(
    broker: &BrokerContext,
    group_id: Option<&str>,
    member_id: Option<&str>,
) -> Result<ShareSessionKey, ErrorCode> {
    if broker.metadata.image().features.level(Feature::ShareVersion) < 1 {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let group_id = group_id.ok_or(ErrorCode::InvalidRequest)?;
    let member_id = member_id.filter(|id| is_member_id(id)).ok_or(ErrorCode::InvalidRequest)?;
    Ok(ShareSessionKey { group_id: Arc::from(group_id), member_id: Arc::from(member_id) })
}

fn is_member_id(member_id: &str) -> bool {
    (1..=MAX_MEMBER_ID_LENGTH).contains(&member_id.encode_utf16().count())
}

/// What a request may say in its acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    supports_renew: bool,
    is_renew_ack: bool,
}

impl Terms {
    pub(super) fn of(version: i16, is_renew_ack: bool) -> Self {
        Self { supports_renew: version >= 2, is_renew_ack }
    }
}

/// A partition that is acknowledged, and how. Named twice, the last word counts.
pub(super) type Batches = BTreeMap<(Uuid, i32), Vec<AcknowledgementBatch>>;

fn batches(request: ShareAcknowledgeRequest) -> Batches {
    let mut batches = Batches::new();
    for topic in request.topics {
        for partition in topic.partitions {
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

/// What became of the acknowledgements of one partition.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    pub(super) id: SharePartitionId,
    pub(super) error: ErrorCode,
    pub(super) message: Option<ByteString>,
}

/// Acknowledgements that are taken down, and may still have to be written.
#[derive(Debug, Default)]
pub(super) struct Acknowledging {
    done: Vec<Acknowledged>,
    pending: Vec<(SharePartitionId, PendingAcknowledgement)>,
}

impl Acknowledging {
    /// Takes down what makes sense.
    pub(super) fn begin(
        broker: &BrokerContext,
        key: &ShareSessionKey,
        terms: Terms,
        batches: Batches,
    ) -> Self {
        let image = broker.metadata.image().clone();
        let mut this = Self::default();
        for ((topic_id, partition), batches) in batches {
            let topic = image.topics.topic_name(topic_id).cloned();
            let id = SharePartitionId { topic_id, partition, topic };
            match check(&image, &id, &batches, terms) {
                Ok(()) if batches.is_empty() => this.done.push(acknowledged(id, Ok(()))),
                Ok(()) => {
                    let pending = broker.share.acknowledge(&key.group_id, &key.member_id, &id, &batches);
                    this.pending.push((id, pending));
                }
                Err(error) => this.done.push(Acknowledged { id, error, message: None }),
            }
        }
        this
    }

    /// Waits until all is written.
    pub(super) async fn finish(self) -> Vec<Acknowledged> {
        let mut done = self.done;
        for (id, pending) in self.pending {
            let result = pending.result().await.map_err(|error| (error.code(), error.to_string()));
            done.push(acknowledged(id, result));
        }
        done
    }
}

fn acknowledged(id: SharePartitionId, result: Result<(), (ErrorCode, String)>) -> Acknowledged {
    match result {
        Ok(()) => Acknowledged { id, error: ErrorCode::None, message: None },
        Err((error, message)) => Acknowledged { id, error, message: Some(message.into()) },
    }
}

fn check(
    image: &MetadataImage,
    id: &SharePartitionId,
    batches: &[AcknowledgementBatch],
    terms: Terms,
) -> Result<(), ErrorCode> {
    if id.topic.is_none() {
        return Err(ErrorCode::UnknownTopicId);
    }
    validate_acknowledgement_batches(batches, terms.supports_renew, terms.is_renew_ack)?;
    match image.topics.partition(id.topic_id, id.partition) {
        Some(_) => Ok(()),
        None => Err(ErrorCode::UnknownTopicOrPartition),
    }
}

/// Leader and leader epoch for a client that asked the wrong broker (KIP-951).
pub(super) fn current_leader(
    broker: &BrokerContext,
    id: &SharePartitionId,
    error: ErrorCode,
) -> Option<(i32, i32)> {
    let is_elsewhere = matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
    let topic = id.topic.clone().filter(|_| is_elsewhere)?;
    broker.metadata.current_leader(&TopicPartition { topic, partition: id.partition })
}

fn respond(
    broker: &BrokerContext,
    call: &Call,
    key: &ShareSessionKey,
    acknowledged: Vec<Acknowledged>,
) -> ShareAcknowledgeResponse {
    let mut leaders = BTreeSet::new();
    let mut topics: BTreeMap<Uuid, Vec<PartitionData>> = BTreeMap::new();
    for Acknowledged { id, error, message } in acknowledged {
        let mut data = PartitionData {
            partition_index: id.partition,
            error_code: error.code(),
            error_message: message,
            ..Default::default()
        };
        if let Some((leader, epoch)) = current_leader(broker, &id, error) {
            data.current_leader.leader_id = leader;
            data.current_leader.leader_epoch = epoch;
            leaders.insert(leader);
        }
        topics.entry(id.topic_id).or_default().push(data);
    }
    let topic =
        |(topic_id, partitions)| ShareAcknowledgeTopicResponse { topic_id, partitions, ..Default::default() };
    let endpoint =
        |node_id, host, port, rack| NodeEndpoint { node_id, host, port, rack, ..Default::default() };
    ShareAcknowledgeResponse {
        acquisition_lock_timeout_ms: broker.share.settings(&key.group_id).partition.record_lock_duration_ms,
        responses: topics.into_iter().map(topic).collect(),
        node_endpoints: node_endpoints(&broker.metadata.image(), &call.listener, leaders, endpoint),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::share_acknowledge_request::{
        AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch as RequestBatch,
    };

    use super::*;

    fn batch(first_offset: i64, last_offset: i64, kind: i8) -> AcknowledgementBatch {
        AcknowledgementBatch { first_offset, last_offset, acknowledge_types: vec![kind] }
    }

    #[test]
    fn members_have_ids_of_up_to_36_letters() {
        assert!(is_member_id("a") && is_member_id(&"ñ".repeat(36)));
        assert!(!is_member_id("") && !is_member_id(&"a".repeat(37)));
    }

    #[test]
    fn a_partition_named_twice_is_acknowledged_once() {
        let partition = |first_offset| AcknowledgePartition {
            partition_index: 3,
            acknowledgement_batches: vec![RequestBatch {
                first_offset,
                last_offset: 9,
                acknowledge_types: vec![1],
                ..Default::default()
            }],
            ..Default::default()
        };
        let topic = AcknowledgeTopic {
            topic_id: Uuid::ONE,
            partitions: vec![partition(0), partition(5)],
            ..Default::default()
        };
        let request = ShareAcknowledgeRequest { topics: vec![topic], ..Default::default() };
        let expected = Batches::from([((Uuid::ONE, 3), vec![batch(5, 9, 1)])]);
        assert_eq!(batches(request), expected);
    }

    #[test]
    fn each_reason_not_to_take_an_acknowledgement() {
        let image = MetadataImage::default();
        let named = SharePartitionId { topic_id: Uuid::ONE, partition: 0, topic: Some("avisos".into()) };
        let nameless = SharePartitionId { topic: None, ..named };
        let terms = Terms::of(1, false);
        let good = [batch(0, 4, 1)];
        assert_eq!(check(&image, &nameless, &good, terms), Err(ErrorCode::UnknownTopicId));
        assert_eq!(check(&image, &named, &good, terms), Err(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(check(&image, &named, &[batch(4, 0, 1)], terms), Err(ErrorCode::InvalidRequest));
        let renewing = [batch(0, 4, 4)];
        let unknown = Err(ErrorCode::UnknownTopicOrPartition);
        assert_eq!(check(&image, &named, &renewing, Terms::of(1, true)), Err(ErrorCode::InvalidRequest));
        assert_eq!(check(&image, &named, &renewing, Terms::of(2, false)), Err(ErrorCode::InvalidRequest));
        assert_eq!(check(&image, &named, &renewing, Terms::of(2, true)), unknown);
    }
}

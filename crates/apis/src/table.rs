//! Every API this broker serves, in one table: what ApiVersions lists is what works.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::messages::{ResponseHeader, *};
use ottla_protocol::{ApiKey, DecodeError, EncodeError, Message, Payload, Reader, Writer};

use crate::context::BoxFuture;
use crate::support::response_cache::Question;
use crate::{BrokerContext, Call, broker};

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The response, header first, without the length.
    Response(Vec<Payload>),
    /// The client wants no answer (acks=0).
    NoResponse,
    /// The connection ends: the request makes no sense, or its sender cannot be told otherwise.
    Close(CloseReason),
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum CloseReason {
    /// The body is not what its header says.
    #[error("the request cannot be read: {0}")]
    Undecodable(#[from] DecodeError),
    /// The answer has no form in the version asked for.
    #[error("the response cannot be written: {0}")]
    Unencodable(#[from] EncodeError),
    /// This broker does not serve the API, or not in this version.
    #[error("{0:?} is not served in version {1}")]
    Unsupported(ApiKey, i16),
    /// A producer that wants no answers must still learn that something failed.
    #[error("a produce request without acknowledgement failed")]
    UnacknowledgedProduceFailed,
}

type Serve = fn(Arc<BrokerContext>, Call, i32, Bytes) -> BoxFuture<'static, Outcome>;

/// One API.
#[derive(Debug, Clone, Copy)]
pub struct ApiEntry {
    /// Its number and name.
    pub key: ApiKey,
    serve: Serve,
}

macro_rules! api {
    ($key:ident, $handler:path) => {
        ApiEntry {
            key: ApiKey::$key,
            serve: |broker, call, correlation_id, body| {
                Box::pin(async move {
                    let request = match read(body, call.version) {
                        Ok(request) => request,
                        Err(error) => return Outcome::Close(error.into()),
                    };
                    let response = $handler(&broker, &call, request).await;
                    encode(ApiKey::$key, call.version, correlation_id, &response)
                })
            },
        }
    };
}

/// The APIs by number.
pub static API_TABLE: &[ApiEntry] = &[
    ApiEntry { key: ApiKey::Produce, serve: serve_produce },
    api!(Fetch, broker::fetch::handle),
    api!(ListOffsets, broker::list_offsets::handle),
    ApiEntry { key: ApiKey::Metadata, serve: serve_metadata },
    api!(OffsetCommit, broker::groups::offset_commit),
    api!(OffsetFetch, broker::groups::offset_fetch),
    api!(FindCoordinator, broker::find_coordinator::handle),
    api!(JoinGroup, broker::groups::join_group),
    api!(Heartbeat, broker::groups::heartbeat),
    api!(LeaveGroup, broker::groups::leave_group),
    api!(SyncGroup, broker::groups::sync_group),
    api!(DescribeGroups, broker::groups::describe_groups),
    api!(ListGroups, broker::groups::list_groups),
    ApiEntry { key: ApiKey::ApiVersions, serve: serve_api_versions },
    api!(CreateTopics, broker::forward::create_topics),
    api!(DeleteTopics, broker::forward::delete_topics),
    api!(DeleteRecords, broker::delete_records::handle),
    api!(InitProducerId, broker::init_producer_id::handle),
    api!(OffsetForLeaderEpoch, broker::offset_for_leader_epoch::handle),
    api!(AddPartitionsToTxn, broker::add_partitions_to_txn::handle),
    api!(AddOffsetsToTxn, broker::add_offsets_to_txn::handle),
    api!(EndTxn, broker::end_txn::handle),
    api!(WriteTxnMarkers, broker::write_txn_markers::handle),
    api!(TxnOffsetCommit, broker::txn_offset_commit::handle),
    api!(DescribeConfigs, broker::describe_configs::handle),
    api!(AlterConfigs, broker::forward::alter_configs),
    api!(DescribeLogDirs, broker::describe_log_dirs::handle),
    api!(CreatePartitions, broker::forward::create_partitions),
    api!(DeleteGroups, broker::groups::delete_groups),
    api!(IncrementalAlterConfigs, broker::forward::incremental_alter_configs),
    api!(OffsetDelete, broker::groups::offset_delete),
    api!(DescribeQuorum, broker::forward::describe_quorum),
    api!(UpdateFeatures, broker::forward::update_features),
    api!(DescribeCluster, broker::describe_cluster::handle),
    api!(DescribeProducers, broker::describe_producers::handle),
    api!(DescribeTransactions, broker::describe_transactions::handle),
    api!(ListTransactions, broker::list_transactions::handle),
    api!(ConsumerGroupHeartbeat, broker::consumer_groups::heartbeat),
    api!(ConsumerGroupDescribe, broker::consumer_groups::describe),
    api!(ListConfigResources, broker::list_config_resources::handle),
    api!(DescribeTopicPartitions, broker::describe_topic_partitions::handle),
    api!(ShareGroupHeartbeat, broker::share_groups::heartbeat),
    api!(ShareGroupDescribe, broker::share_groups::describe),
    api!(ShareFetch, broker::share_fetch::handle),
    api!(ShareAcknowledge, broker::share_acknowledge::handle),
    api!(InitializeShareGroupState, broker::initialize_share_group_state::handle),
    api!(ReadShareGroupState, broker::read_share_group_state::handle),
    api!(WriteShareGroupState, broker::write_share_group_state::handle),
    api!(DeleteShareGroupState, broker::delete_share_group_state::handle),
    api!(ReadShareGroupStateSummary, broker::read_share_group_state_summary::handle),
    api!(StreamsGroupHeartbeat, broker::streams_groups::heartbeat),
    api!(StreamsGroupDescribe, broker::streams_groups::describe),
    api!(DescribeShareGroupOffsets, broker::share_groups::describe_offsets),
    api!(AlterShareGroupOffsets, broker::share_groups::alter_offsets),
    api!(DeleteShareGroupOffsets, broker::share_groups::delete_offsets),
    api!(StreamsGroupTopologyDescriptionUpdate, broker::streams_groups::topology_description_update),
];

/// Serves one request: body in, response out.
pub async fn serve(
    broker: Arc<BrokerContext>,
    key: ApiKey,
    call: Call,
    correlation_id: i32,
    body: Bytes,
) -> Outcome {
    if !is_served(&broker, key, call.version) {
        if key == ApiKey::ApiVersions {
            return encode(key, 0, correlation_id, &broker::api_versions::unsupported_version());
        }
        return Outcome::Close(CloseReason::Unsupported(key, call.version));
    }
    match API_TABLE.binary_search_by_key(&key, |e| e.key) {
        Ok(index) => (API_TABLE[index].serve)(broker, call, correlation_id, body).await,
        Err(_) => Outcome::Close(CloseReason::Unsupported(key, call.version)),
    }
}

/// Whether this broker serves the API in this version.
pub fn is_served(broker: &BrokerContext, key: ApiKey, version: i16) -> bool {
    if API_TABLE.binary_search_by_key(&key, |e| e.key).is_err() {
        return false;
    }
    let newest = if broker.settings.unstable_api_versions_enable {
        key.max_version()
    } else {
        key.latest_stable_version()
    };
    (key.min_version()..=newest).contains(&version)
}

/// Bytes after the end of a request are ignored, as Kafka does: librdkafka's Metadata request of
/// version 13 has some.
fn read<M: Message>(body: Bytes, version: i16) -> Result<M, DecodeError> {
    M::decode(&mut Reader::new(body), version)
}

fn serve_produce(
    broker: Arc<BrokerContext>,
    call: Call,
    correlation_id: i32,
    body: Bytes,
) -> BoxFuture<'static, Outcome> {
    Box::pin(async move {
        let request = match read::<ProduceRequest>(body, call.version) {
            Ok(request) => request,
            Err(error) => return Outcome::Close(error.into()),
        };
        let acks = request.acks;
        let response = broker::produce::handle(&broker, &call, request).await;
        if acks != 0 {
            return encode(ApiKey::Produce, call.version, correlation_id, &response);
        }
        if broker::produce::has_error(&response) {
            return Outcome::Close(CloseReason::UnacknowledgedProduceFailed);
        }
        Outcome::NoResponse
    })
}

/// Answered from the cache as a rule: see [`ResponseCache`](crate::support::response_cache::ResponseCache).
fn serve_metadata(
    broker: Arc<BrokerContext>,
    call: Call,
    correlation_id: i32,
    body: Bytes,
) -> BoxFuture<'static, Outcome> {
    Box::pin(async move {
        let question = Question { version: call.version, listener: call.listener.clone(), body };
        let generation = match broker.metadata.responses().get(&question) {
            Ok(answer) => return with_header(ApiKey::Metadata, call.version, correlation_id, answer),
            Err(generation) => generation,
        };
        let request = match read::<MetadataRequest>(question.body.clone(), call.version) {
            Ok(request) => request,
            Err(error) => return Outcome::Close(error.into()),
        };
        let response = broker::metadata::handle(&broker, &call, request).await;
        // What is not there may be made by asking for it again, or by then.
        let lasts = response.topics.iter().all(|topic| topic.error_code == 0);
        match response.to_bytes(call.version) {
            Ok(answer) => {
                if lasts {
                    broker.metadata.responses().put(generation, question, answer.clone());
                }
                with_header(ApiKey::Metadata, call.version, correlation_id, answer)
            }
            Err(error) => Outcome::Close(error.into()),
        }
    })
}

/// The same for every client, and asked for on every new connection: encoded once per image.
fn serve_api_versions(
    broker: Arc<BrokerContext>,
    call: Call,
    correlation_id: i32,
    body: Bytes,
) -> BoxFuture<'static, Outcome> {
    Box::pin(async move {
        let request = match read::<ApiVersionsRequest>(body, call.version) {
            Ok(request) => request,
            Err(error) => return Outcome::Close(error.into()),
        };
        if let Some(refusal) = broker::api_versions::refusal(&broker, &call, &request) {
            return encode(ApiKey::ApiVersions, call.version, correlation_id, &refusal);
        }
        let question = Question { version: call.version, listener: call.listener, body: Bytes::new() };
        let answer = match broker.metadata.api_versions().get(&question) {
            Ok(answer) => answer,
            Err(generation) => {
                let list = broker::api_versions::list(&broker, call.version);
                match list.to_bytes(call.version) {
                    Ok(answer) => {
                        broker.metadata.api_versions().put(generation, question, answer.clone());
                        answer
                    }
                    Err(error) => return Outcome::Close(error.into()),
                }
            }
        };
        with_header(ApiKey::ApiVersions, call.version, correlation_id, answer)
    })
}

fn with_header(key: ApiKey, version: i16, correlation_id: i32, body: Bytes) -> Outcome {
    let header = ResponseHeader { correlation_id, ..Default::default() };
    match header.to_bytes(key.response_header_version(version)) {
        Ok(header) => Outcome::Response(vec![Payload::Bytes(header), Payload::Bytes(body)]),
        Err(error) => Outcome::Close(error.into()),
    }
}

/// Room for the answers that are sent most often: those to heartbeats, commits and single batches.
const SMALL_RESPONSE_BYTES: usize = 128;

fn encode<M: Message>(key: ApiKey, version: i16, correlation_id: i32, response: &M) -> Outcome {
    let header = ResponseHeader { correlation_id, ..Default::default() };
    let mut w = Writer::with_capacity(SMALL_RESPONSE_BYTES);
    let written = header
        .encode(&mut w, key.response_header_version(version))
        .and_then(|()| response.encode(&mut w, version));
    match written {
        Ok(()) => Outcome::Response(w.into_parts()),
        Err(error) => Outcome::Close(error.into()),
    }
}

#[cfg(test)]
#[path = "table_test.rs"]
mod tests;

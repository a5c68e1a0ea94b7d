//! What a controller listener serves: the metadata quorum's own requests, and those that admin
//! clients may send to controllers directly (KIP-919).
//!
//! Missing: brokers of other processes (registration, heartbeats, AlterPartition), Envelope.

use bytes::Bytes;
use bytestring::ByteString;
use ottla_apis::broker::api_versions;
use ottla_apis::support::authorized_operations;
use ottla_common::ErrorCode;
use ottla_network::{HandlerResult, RequestContext, RequestHandler};
use ottla_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use ottla_protocol::messages::*;
use ottla_protocol::{ApiKey, DecodeError, Message};
use tracing::info;

use crate::controller::QuorumControllerHandle;
use crate::raft::RaftClient;

/// APIs of a controller listener, by number.
static APIS: &[ApiKey] = &[
    ApiKey::Fetch,
    ApiKey::ApiVersions,
    ApiKey::Vote,
    ApiKey::BeginQuorumEpoch,
    ApiKey::EndQuorumEpoch,
    ApiKey::DescribeQuorum,
    ApiKey::FetchSnapshot,
    ApiKey::DescribeCluster,
];

const CONTROLLER_ENDPOINT: i8 = 2;

/// Serves one controller's listeners.
#[derive(Debug)]
pub(super) struct ControllerListenerHandler {
    pub(super) node_id: i32,
    pub(super) cluster_id: ByteString,
    pub(super) raft: RaftClient,
    pub(super) controller: QuorumControllerHandle,
    /// Name of the listener under which the voters of a static quorum know each other.
    pub(super) listener: String,
}

/// Why no answer is given.
enum Refusal {
    Undecodable(DecodeError),
    Unserved,
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::Undecodable(error)
    }
}

impl RequestHandler for ControllerListenerHandler {
    async fn handle(&self, ctx: RequestContext, body: Bytes) -> HandlerResult {
        let unknown_version = ctx.api_key == ApiKey::ApiVersions && !ctx.api_key.supports(ctx.api_version);
        if unknown_version {
            return encoded(ctx.respond_in_version(&api_versions::unsupported_version(), 0));
        }
        match self.serve(&ctx, body).await {
            Ok(result) => result,
            Err(Refusal::Undecodable(error)) => {
                info!(logger = "kafka.network.SocketServer", "Closing the connection of {ctx}: {error}");
                HandlerResult::Close
            }
            Err(Refusal::Unserved) => HandlerResult::Close,
        }
    }

    fn is_api_enabled(&self, _: &str, api_key: ApiKey, version: i16) -> bool {
        APIS.contains(&api_key) && api_key.supports(version)
    }
}

fn encoded(response: Result<ottla_network::Response, ottla_protocol::EncodeError>) -> HandlerResult {
    response.map_or(HandlerResult::Close, HandlerResult::from)
}

impl ControllerListenerHandler {
    async fn serve(&self, ctx: &RequestContext, body: Bytes) -> Result<HandlerResult, Refusal> {
        let version = ctx.api_version;
        let response = match ctx.api_key {
            ApiKey::ApiVersions => {
                let request = Message::from_bytes(body, version)?;
                ctx.respond(&self.api_versions(version, &request))
            }
            ApiKey::DescribeCluster => {
                let request = Message::from_bytes(body, version)?;
                ctx.respond(&self.describe_cluster(&request))
            }
            ApiKey::DescribeQuorum => {
                let request = Message::from_bytes(body, version)?;
                ctx.respond(&self.raft.describe_quorum(request, version).await)
            }
            ApiKey::Fetch => {
                let request = Message::from_bytes(body, version)?;
                ctx.respond(&self.raft.handle_fetch(request, version).await)
            }
            ApiKey::FetchSnapshot => {
                let request = Message::from_bytes(body, version)?;
                ctx.respond(&self.raft.handle_fetch_snapshot(request, version).await)
            }
            ApiKey::Vote => {
                let request = Message::from_bytes(body, version)?;
                ctx.respond(&self.raft.handle_vote(request, version).await)
            }
            ApiKey::BeginQuorumEpoch => {
                let request = Message::from_bytes(body, version)?;
                ctx.respond(&self.raft.handle_begin_quorum_epoch(request, version).await)
            }
            ApiKey::EndQuorumEpoch => {
                let request = Message::from_bytes(body, version)?;
                ctx.respond(&self.raft.handle_end_quorum_epoch(request, version).await)
            }
            _ => return Err(Refusal::Unserved),
        };
        Ok(encoded(response))
    }

    fn api_versions(&self, version: i16, request: &ApiVersionsRequest) -> ApiVersionsResponse {
        let meant = request.cluster_id.as_ref();
        if meant.is_some_and(|id| *id != self.cluster_id || request.node_id != self.node_id) {
            return ApiVersionsResponse {
                error_code: ErrorCode::RebootstrapRequired.code(),
                ..Default::default()
            };
        }
        let image = self.controller.committed_image();
        api_versions::response(APIS.iter().copied(), version, false, &image, self.raft.kraft_version())
    }

    /// The voters, as far as their listeners are known.
    fn describe_cluster(&self, request: &DescribeClusterRequest) -> DescribeClusterResponse {
        if request.endpoint_type != CONTROLLER_ENDPOINT {
            return DescribeClusterResponse {
                error_code: ErrorCode::MismatchedEndpointType.code(),
                error_message: Some(ByteString::from_static(
                    "This endpoint is a controller's, and the request was meant for a broker.",
                )),
                ..Default::default()
            };
        }
        let voters = self.raft.voters();
        let brokers = voters.ids().filter_map(|id| {
            let endpoint = voters.listeners(id)?.get(&self.listener)?;
            Some(DescribeClusterBroker {
                broker_id: id,
                host: endpoint.host.as_str().into(),
                port: i32::from(endpoint.port),
                ..Default::default()
            })
        });
        let wants_operations = request.include_cluster_authorized_operations;
        DescribeClusterResponse {
            endpoint_type: CONTROLLER_ENDPOINT,
            cluster_id: self.cluster_id.clone(),
            controller_id: self.raft.leader_and_epoch().leader_id.unwrap_or(-1),
            brokers: brokers.collect(),
            cluster_authorized_operations: if wants_operations {
                authorized_operations::CLUSTER
            } else {
                i32::MIN
            },
            ..Default::default()
        }
    }
}

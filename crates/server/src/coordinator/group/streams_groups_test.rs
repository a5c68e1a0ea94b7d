use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_coordinator::group::streams::{StatusCode, StreamsGroupHeartbeatResult, TopologyDescriptionStatus};
use ottla_protocol::messages::streams_group_heartbeat_request::{Subtopology, TopicInfo, Topology};
use ottla_protocol::messages::*;

use super::testing::{Fixture, GROUP, context};

const NEWEST: i16 = 1;
const CHANGELOG: &str = "grupo-almacen-changelog";

/// One subtopology with state, that reads `pagos`.
fn topology(source: &'static str, changelog: &'static str) -> Topology {
    let changelog = TopicInfo { name: ByteString::from_static(changelog), ..Default::default() };
    let subtopology = Subtopology {
        subtopology_id: "0".into(),
        source_topics: vec![ByteString::from_static(source)],
        state_changelog_topics: vec![changelog],
        ..Default::default()
    };
    Topology { epoch: 1, subtopologies: vec![subtopology], ..Default::default() }
}

pub(super) fn join_request() -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: "yo".into(),
        rebalance_timeout_ms: 30_000,
        topology: Some(topology("pagos", CHANGELOG)),
        process_id: Some("p".into()),
        active_tasks: Some(Vec::new()),
        standby_tasks: Some(Vec::new()),
        warmup_tasks: Some(Vec::new()),
        ..Default::default()
    }
}

impl Fixture {
    pub(super) async fn streams_beat(
        &self,
        request: StreamsGroupHeartbeatRequest,
    ) -> StreamsGroupHeartbeatResult {
        self.service.streams_group_heartbeat(context(NEWEST), request).await
    }

    pub(super) async fn describe_streams(
        &self,
        group_ids: &[&str],
        with_description: bool,
    ) -> StreamsGroupDescribeResponse {
        let group_ids = group_ids.iter().map(|group_id| (*group_id).into()).collect();
        let request = StreamsGroupDescribeRequest {
            group_ids,
            include_topology_description: with_description,
            ..Default::default()
        };
        self.service.streams_group_describe(request).await
    }
}

#[tokio::test]
async fn who_is_not_the_coordinator_says_so() {
    for (f, error) in [
        (Fixture::stopped(), ErrorCode::CoordinatorNotAvailable),
        (Fixture::leading_nothing(), ErrorCode::NotCoordinator),
    ] {
        let refused = f.streams_beat(join_request()).await;
        assert_eq!((refused.response.error_code, refused.creatable_topics.len()), (error.code(), 0));
        let described = f.describe_streams(&[GROUP], true).await;
        assert_eq!(
            (described.groups[0].error_code, &described.groups[0].group_id[..]),
            (error.code(), GROUP)
        );
    }
}

#[tokio::test]
async fn a_member_hears_which_topics_are_missing() {
    let f = Fixture::started().await;
    let result = f.streams_beat(join_request()).await;
    assert_eq!(result.response.error_code, 0);
    let codes: Vec<i8> = result.response.status.iter().flatten().map(|status| status.status_code).collect();
    assert!(codes.contains(&StatusCode::MissingInternalTopics.value()), "{codes:?}");
    let topics: Vec<_> = result.creatable_topics.iter().map(|t| (&*t.name, t.num_partitions)).collect();
    assert_eq!(topics, [(CHANGELOG, 2)]);
    f.put_topics(&[("pagos", 2), (CHANGELOG, 2)]).await;
    let again = f.streams_beat(join_request()).await;
    assert_eq!((again.response.error_code, again.creatable_topics.len()), (0, 0));
}

#[tokio::test]
async fn topologies_with_impossible_topics_are_refused() {
    let f = Fixture::started().await;
    for (source, changelog) in [
        ("__consumer_offsets", CHANGELOG),
        ("pagos", "__transaction_state"),
        ("pa gos", CHANGELOG),
        ("pagos", ".."),
    ] {
        let request =
            StreamsGroupHeartbeatRequest { topology: Some(topology(source, changelog)), ..join_request() };
        let refused = f.streams_beat(request).await.response;
        let error = ErrorCode::from_code(refused.error_code);
        assert_eq!(error, ErrorCode::StreamsInvalidTopology, "{source} {changelog}");
        assert!(refused.error_message.is_some());
    }
}

#[tokio::test]
async fn refusals_come_in_words() {
    let f = Fixture::started().await;
    let nobody = StreamsGroupHeartbeatRequest { member_id: "".into(), ..join_request() };
    let refused = f.streams_beat(nobody).await.response;
    assert_eq!(refused.error_code, ErrorCode::InvalidRequest.code());
    assert!(refused.error_message.is_some());
}

#[tokio::test]
async fn groups_are_described_without_their_topologys_description() {
    let f = Fixture::started().await;
    assert_eq!(f.streams_beat(join_request()).await.response.error_code, 0);
    let described = f.describe_streams(&[GROUP, "", "nadie"], true).await;
    let told: Vec<_> = described
        .groups
        .iter()
        .map(|group| (ErrorCode::from_code(group.error_code), group.topology_description_status))
        .collect();
    let (not_stored, not_requested) =
        (TopologyDescriptionStatus::NotStored.value(), TopologyDescriptionStatus::NotRequested.value());
    let expected = [
        (ErrorCode::None, not_stored),
        (ErrorCode::InvalidGroupId, not_requested),
        (ErrorCode::GroupIdNotFound, not_requested),
    ];
    assert_eq!(told, expected);
    let described = f.describe_streams(&[GROUP], false).await;
    assert_eq!(described.groups[0].topology_description_status, not_requested);
}

#[tokio::test]
async fn there_is_nowhere_to_keep_descriptions_of_topologies() {
    for (f, error) in [
        (Fixture::stopped(), ErrorCode::CoordinatorNotAvailable),
        (Fixture::leading_nothing(), ErrorCode::UnsupportedVersion),
    ] {
        let request = StreamsGroupTopologyDescriptionUpdateRequest::default();
        let response = f.service.streams_group_topology_description_update(request).await;
        assert_eq!(response.error_code, error.code());
    }
}

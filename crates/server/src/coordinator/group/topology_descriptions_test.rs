use std::sync::{Arc, Mutex};

use bytestring::ByteString;
use ottla_apis::context::BoxFuture;
use ottla_common::ErrorCode;
use ottla_coordinator::group::streams::{TopologyDescriptionError, TopologyDescriptionStatus};
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::streams_group_topology_description_update_request::{
    TopologyDescription, TopologyDescriptionNode, TopologyDescriptionSubtopology,
};
use ottla_protocol::messages::*;

use super::streams_groups_test::join_request;
use super::testing::{Fixture, GROUP, context};
use super::{InMemoryTopologyDescriptions, StoreTopologyDescriptionError, TopologyDescriptionPlugin};

/// Keeps descriptions, unless it is told to fail.
#[derive(Debug, Default)]
struct Plugin {
    memory: InMemoryTopologyDescriptions,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    store: Option<StoreTopologyDescriptionError>,
    delete: bool,
    get: bool,
    num_deleted: usize,
}

fn failure() -> TopologyDescriptionError {
    TopologyDescriptionError("no disk".to_owned())
}

impl TopologyDescriptionPlugin for Plugin {
    fn set_topology(
        &self,
        group_id: ByteString,
        topology_epoch: i32,
        description: TopologyDescription,
    ) -> BoxFuture<'_, Result<(), StoreTopologyDescriptionError>> {
        match self.failures.lock().unwrap().store.clone() {
            Some(failure) => Box::pin(std::future::ready(Err(failure))),
            None => self.memory.set_topology(group_id, topology_epoch, description),
        }
    }

    fn delete_topology(&self, group_id: ByteString) -> BoxFuture<'_, Result<(), TopologyDescriptionError>> {
        let mut failures = self.failures.lock().unwrap();
        failures.num_deleted += 1;
        match failures.delete {
            true => Box::pin(std::future::ready(Err(failure()))),
            false => self.memory.delete_topology(group_id),
        }
    }

    fn get_topology(
        &self,
        group_id: ByteString,
        topology_epoch: i32,
    ) -> BoxFuture<'_, Result<Option<TopologyDescription>, TopologyDescriptionError>> {
        match self.failures.lock().unwrap().get {
            true => Box::pin(std::future::ready(Err(failure()))),
            false => self.memory.get_topology(group_id, topology_epoch),
        }
    }
}

fn push_request(topology_epoch: i32) -> StreamsGroupTopologyDescriptionUpdateRequest {
    let source = TopologyDescriptionNode {
        name: "fuente".into(),
        node_type: 1,
        source_topics: vec!["pagos".into()],
        ..Default::default()
    };
    let subtopology = TopologyDescriptionSubtopology {
        subtopology_id: "0".into(),
        nodes: vec![source],
        ..Default::default()
    };
    StreamsGroupTopologyDescriptionUpdateRequest {
        group_id: GROUP.into(),
        member_id: "yo".into(),
        topology_epoch,
        topology_description: TopologyDescription { subtopologies: vec![subtopology], ..Default::default() },
        ..Default::default()
    }
}

async fn started() -> (Fixture, Arc<Plugin>) {
    let plugin = Arc::new(Plugin::default());
    let fixture = Fixture::started_describing(Some(plugin.clone())).await;
    (fixture, plugin)
}

impl Fixture {
    async fn push(&self, topology_epoch: i32) -> ErrorCode {
        let request = push_request(topology_epoch);
        let response = self.service.streams_group_topology_description_update(request).await;
        assert_eq!(response.error_code == 0, response.error_message.is_none());
        ErrorCode::from_code(response.error_code)
    }

    async fn description(&self) -> (i8, bool) {
        let described = self.describe_streams(&[GROUP], true).await;
        let group = &described.groups[0];
        (group.topology_description_status, group.topology_description.is_some())
    }

    async fn leave(&self) {
        let request = StreamsGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: "yo".into(),
            member_epoch: -1,
            ..Default::default()
        };
        assert_eq!(self.streams_beat(request).await.response.error_code, 0);
    }
}

const NOT_STORED: TopologyDescriptionStatus = TopologyDescriptionStatus::NotStored;

#[tokio::test]
async fn a_description_is_asked_for_kept_and_told() {
    let (f, _) = started().await;
    let joined = f.streams_beat(join_request()).await;
    assert!(joined.response.topology_description_required);
    let again = f.streams_beat(join_request()).await;
    assert!(!again.response.topology_description_required, "not so soon");
    assert_eq!(f.description().await, (NOT_STORED.value(), false));
    assert_eq!(f.push(1).await, ErrorCode::None);
    assert_eq!(f.description().await, (TopologyDescriptionStatus::Available.value(), true));
}

#[tokio::test]
async fn pushes_that_make_no_sense_are_refused() {
    let (f, _) = started().await;
    assert_eq!(f.push(1).await, ErrorCode::GroupIdNotFound);
    f.streams_beat(join_request()).await;
    assert_eq!(f.push(2).await, ErrorCode::InvalidRequest);
    let stranger =
        StreamsGroupTopologyDescriptionUpdateRequest { member_id: "otro".into(), ..push_request(1) };
    let response = f.service.streams_group_topology_description_update(stranger).await;
    assert_eq!(response.error_code, ErrorCode::UnknownMemberId.code());
}

#[tokio::test]
async fn what_the_plugin_refuses_is_told() {
    let failed = ErrorCode::StreamsTopologyDescriptionUpdateFailed;
    let (f, plugin) = started().await;
    f.streams_beat(join_request()).await;
    for failure in [
        StoreTopologyDescriptionError::Transient("later".to_owned()),
        StoreTopologyDescriptionError::Permanent("never".to_owned()),
    ] {
        plugin.failures.lock().unwrap().store = Some(failure);
        assert_eq!(f.push(1).await, failed);
        assert_eq!(f.description().await, (NOT_STORED.value(), false));
    }
    plugin.failures.lock().unwrap().store = None;
    assert_eq!(f.push(1).await, ErrorCode::None);
    plugin.failures.lock().unwrap().get = true;
    assert_eq!(f.description().await, (TopologyDescriptionStatus::Error.value(), false));
}

#[tokio::test]
async fn a_group_goes_when_its_description_is_forgotten() {
    let (f, plugin) = started().await;
    f.streams_beat(join_request()).await;
    assert_eq!(f.push(1).await, ErrorCode::None);
    assert_eq!(f.delete().await, ErrorCode::NonEmptyGroup);
    f.leave().await;
    plugin.failures.lock().unwrap().delete = true;
    assert_eq!(f.delete().await, ErrorCode::GroupDeletionFailed);
    plugin.failures.lock().unwrap().delete = false;
    assert_eq!(f.delete().await, ErrorCode::None);
    assert_eq!(plugin.failures.lock().unwrap().num_deleted, 2);
    assert_eq!(f.delete().await, ErrorCode::GroupIdNotFound);
}

#[tokio::test]
async fn descriptions_do_not_outlive_what_they_describe() {
    let (f, plugin) = started().await;
    f.streams_beat(join_request()).await;
    assert_eq!(f.push(1).await, ErrorCode::None);
    f.service.clean_up_topology_descriptions().await;
    assert_eq!(plugin.failures.lock().unwrap().num_deleted, 0, "somebody is there");
    f.leave().await;
    f.service.clean_up_topology_descriptions().await;
    f.service.clean_up_topology_descriptions().await;
    assert_eq!(plugin.failures.lock().unwrap().num_deleted, 1);
    assert_eq!(f.description().await, (NOT_STORED.value(), false));
}

#[tokio::test]
async fn a_description_goes_before_a_classic_group_takes_the_place() {
    let (f, plugin) = started().await;
    f.streams_beat(join_request()).await;
    assert_eq!(f.push(1).await, ErrorCode::None);
    f.leave().await;
    let join = || JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), ..Default::default() }],
        ..Default::default()
    };
    plugin.failures.lock().unwrap().delete = true;
    for _ in 0..3 {
        let response = f.service.join_group(context(9), join()).await;
        assert_eq!(response.error_code, ErrorCode::RebalanceInProgress.code());
    }
    {
        let mut failures = plugin.failures.lock().unwrap();
        assert_eq!(failures.num_deleted, 1, "members that try again at once are held off");
        failures.delete = false;
    }
    // Whoever looks for what is left over does not wait.
    f.service.clean_up_topology_descriptions().await;
    let response = f.service.join_group(context(9), join()).await;
    assert_eq!(response.error_code, ErrorCode::MemberIdRequired.code());
}

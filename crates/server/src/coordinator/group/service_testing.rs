//! A group coordinator on logs in memory, and the requests of a group of one topic.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::time::SystemTime;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::*;
use ottla_record::Compression;
use tokio::runtime::Handle;

use super::{GroupCoordinatorService, GroupPartners};
use crate::coordinator::runtime::testing::{MemoryPartitions, until};
use crate::coordinator::{GroupCoordinatorConfig, RequestContext};

pub(super) const PARTITIONS: i32 = 4;
pub(super) const GROUP: &str = "grupo";

pub(super) fn context(api_version: i16) -> RequestContext {
    RequestContext { api_version, client_id: "cliente".into(), client_host: "/127.0.0.1".into() }
}

pub(super) fn config() -> GroupCoordinatorConfig {
    GroupCoordinatorConfig {
        classic_group_initial_rebalance_delay_ms: 0,
        classic_group_min_session_timeout_ms: 100,
        offset_commit_timeout_ms: 60_000,
        ..Default::default()
    }
}

pub(super) struct Fixture {
    pub(super) log: Arc<MemoryPartitions>,
    pub(super) service: Arc<GroupCoordinatorService>,
}

impl Fixture {
    pub(super) fn stopped(config: GroupCoordinatorConfig) -> Self {
        let log = Arc::new(MemoryPartitions::default());
        let service = GroupCoordinatorService::new(
            config,
            Compression::NONE,
            Arc::new(SystemTime::default()),
            log.clone(),
            GroupPartners::none(),
            Handle::current(),
        );
        Self { log, service: Arc::new(service) }
    }

    pub(super) async fn started() -> Self {
        let fixture = Self::stopped(config());
        fixture.service.runtime().startup(PARTITIONS);
        fixture.elect(1).await;
        fixture
    }

    pub(super) async fn elect(&self, epoch: i32) {
        for partition in 0..PARTITIONS {
            self.service.runtime().on_election(partition, epoch);
        }
        until("loaded", async || self.committed().await != Err(ErrorCode::CoordinatorLoadInProgress)).await;
        until("all loaded", async || {
            self.service.list_groups(ListGroupsRequest::default()).await.error_code == 0
        })
        .await;
    }

    pub(super) async fn commit(&self, offset: i64) -> ErrorCode {
        let response = self.service.offset_commit(context(9), commit_request(offset)).await;
        ErrorCode::from_code(response.topics[0].partitions[0].error_code)
    }

    pub(super) async fn committed(&self) -> Result<i64, ErrorCode> {
        let request = OffsetFetchRequest { groups: vec![fetch_group()], ..Default::default() };
        let response = self.service.offset_fetch(context(9), request).await;
        let group = &response.groups[0];
        match ErrorCode::from_code(group.error_code) {
            ErrorCode::None => Ok(group.topics[0].partitions[0].committed_offset),
            error => Err(error),
        }
    }

    /// A group of one member, up to its assignment.
    pub(super) async fn stable(&self) -> (ByteString, i32) {
        let joined = self.join_in_two_steps().await;
        let sync = SyncGroupRequest {
            assignments: vec![SyncGroupRequestAssignment {
                member_id: joined.member_id.clone(),
                assignment: Bytes::from_static(b"todo"),
                ..Default::default()
            }],
            ..sync_request(&joined.member_id, joined.generation_id)
        };
        let synced = self.service.sync_group(context(5), sync).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"todo"[..]));
        (joined.member_id, joined.generation_id)
    }

    pub(super) async fn join_in_two_steps(&self) -> JoinGroupResponse {
        let response = self.service.join_group(context(9), join_request("")).await;
        assert_eq!(response.error_code, ErrorCode::MemberIdRequired.code());
        let joined = self.service.join_group(context(9), join_request(&response.member_id)).await;
        assert_eq!(joined.error_code, 0);
        joined
    }

    pub(super) async fn heartbeat(&self, member_id: &ByteString, generation_id: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.clone(),
            ..Default::default()
        };
        ErrorCode::from_code(self.service.heartbeat(request).await.error_code)
    }
}

pub(super) fn join_request(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), ..Default::default() }],
        ..Default::default()
    }
}

pub(super) fn sync_request(member_id: &ByteString, generation_id: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: member_id.clone(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..Default::default()
    }
}

pub(super) fn commit_request(offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: GROUP.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "pagos".into(),
            partitions: vec![OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub(super) fn fetch_group() -> OffsetFetchRequestGroup {
    OffsetFetchRequestGroup {
        group_id: GROUP.into(),
        topics: Some(vec![OffsetFetchRequestTopics {
            name: "pagos".into(),
            partition_indexes: vec![0],
            ..Default::default()
        }]),
        ..Default::default()
    }
}

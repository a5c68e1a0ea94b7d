//! A log of `__consumer_offsets` that Apache Kafka 4.4 wrote: classic groups with a dynamic member
//! that left (`clasico`) and with a static one that stayed (`estatico`), a group of offsets only
//! (`simple`) and a deleted one (`borrado`), a group of the consumer protocol (`moderno`), a share
//! group (`compartido`), and offsets committed in transactions that were committed (`tx-hecha`),
//! aborted (`tx-rota`) and left open (`tx-abierta`).

use std::sync::Arc;

use bytes::Bytes;
use ottla_common::ErrorCode;
use ottla_common::time::MockTime;
use ottla_coordinator::group::GroupRecord;
use ottla_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::offset_fetch_response::OffsetFetchResponsePartitions;
use ottla_protocol::messages::*;
use ottla_record::{Compression, DecompressionLimits, MemoryRecords};
use tokio::runtime::Handle;

use super::{GroupCoordinatorService, GroupPartners};
use crate::coordinator::runtime::testing::{MemoryPartitions, until};
use crate::coordinator::{GroupCoordinatorConfig, RequestContext};

const LOG: &[u8] = include_bytes!("testdata/consumer_offsets_kafka_4_4.log");

fn batches() -> Vec<Bytes> {
    let batches = MemoryRecords::new(Bytes::from_static(LOG)).batches_strict();
    batches.map(|batch| batch.unwrap().into_inner()).collect()
}

async fn loaded() -> GroupCoordinatorService {
    let log = Arc::new(MemoryPartitions::default());
    log.set(|state| {
        state.batches.insert(0, batches());
        state.high_watermarks.insert(0, i64::MAX);
    });
    let config = GroupCoordinatorConfig::default();
    let time = Arc::new(MockTime::new(1_800_000_000_000));
    let partners = GroupPartners::none();
    let service =
        GroupCoordinatorService::new(config, Compression::NONE, time, log, partners, Handle::current());
    service.runtime().startup(1);
    service.runtime().on_election(0, 1);
    until("loaded", async || service.list_groups(ListGroupsRequest::default()).await.error_code == 0).await;
    service
}

fn context() -> RequestContext {
    RequestContext { api_version: 9, client_id: "c".into(), client_host: "/127.0.0.1".into() }
}

async fn fetch(
    service: &GroupCoordinatorService,
    group: &'static str,
    require_stable: bool,
) -> OffsetFetchResponsePartitions {
    let topic =
        OffsetFetchRequestTopics { name: "pagos".into(), partition_indexes: vec![0], ..Default::default() };
    let request =
        OffsetFetchRequestGroup { group_id: group.into(), topics: Some(vec![topic]), ..Default::default() };
    let mut response = service.fetch_offsets(&context(), request, require_stable).await;
    assert_eq!(response.error_code, 0);
    response.topics.remove(0).partitions.remove(0)
}

#[tokio::test]
async fn every_group_is_found_as_kafka_left_it() {
    let service = loaded().await;
    let response = service.list_groups(ListGroupsRequest::default()).await;
    let groups: Vec<_> = response
        .groups
        .iter()
        .map(|g| (&g.group_id[..], &g.protocol_type[..], &g.group_state[..], &g.group_type[..]))
        .collect();
    assert_eq!(
        groups,
        vec![
            ("clasico", "consumer", "Empty", "classic"),
            ("compartido", "share", "Stable", "share"),
            ("estatico", "consumer", "Stable", "classic"),
            ("moderno", "consumer", "Stable", "consumer"),
            ("simple", "", "Empty", "classic"),
            ("tx-abierta", "", "Empty", "classic"),
            ("tx-hecha", "", "Empty", "classic"),
            ("tx-rota", "", "Empty", "classic"),
        ]
    );
}

#[tokio::test]
async fn offsets_are_found_as_kafka_left_them() {
    let service = loaded().await;
    for (group, offset) in [
        ("clasico", 10),
        ("estatico", 7),
        ("simple", 3),
        ("moderno", 10),
        ("tx-hecha", 5),
        ("tx-rota", -1),
        ("tx-abierta", -1),
        ("borrado", -1),
    ] {
        assert_eq!(fetch(&service, group, false).await.committed_offset, offset, "{group}");
    }
    assert_eq!(fetch(&service, "estatico", false).await.metadata.as_deref(), Some("nota ñ"));
    let unstable = fetch(&service, "tx-abierta", true).await.error_code;
    assert_eq!(ErrorCode::from_code(unstable), ErrorCode::UnstableOffsetCommit);
    assert_eq!(fetch(&service, "tx-hecha", true).await.committed_offset, 5);
}

#[tokio::test]
async fn a_member_goes_on_where_it_was() {
    let service = loaded().await;
    let request = DescribeGroupsRequest { groups: vec!["estatico".into()], ..Default::default() };
    let group = service.describe_groups(context(), request).await.groups.remove(0);
    assert_eq!((&group.group_state[..], &group.protocol_data[..]), ("Stable", "range"));
    let member = &group.members[0];
    assert_eq!(member.group_instance_id.as_deref(), Some("caja-1"));
    assert_eq!((&member.client_id[..], &member.client_host[..]), ("fixture", "/127.0.0.1"));
    let heartbeat = HeartbeatRequest {
        group_id: "estatico".into(),
        generation_id: 1,
        member_id: member.member_id.clone(),
        group_instance_id: member.group_instance_id.clone(),
        ..Default::default()
    };
    assert_eq!(service.heartbeat(heartbeat).await.error_code, 0);
}

/// What we would write is what Kafka wrote, to the byte.
#[test]
fn every_record_has_kafkas_bytes() {
    let mut seen = 0;
    for record in MemoryRecords::new(Bytes::from_static(LOG)).records(DecompressionLimits::default()) {
        let record = record.unwrap();
        let (key, value) = (record.key.unwrap(), record.value);
        if let Ok(read) = GroupRecord::decode(key.clone(), value.clone()) {
            assert_eq!(read.encode().unwrap(), (key, value), "{read:?}");
            seen += 1;
        }
    }
    assert!(seen > 10, "offsets and groups");
}

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_coordinator::group::GroupOverrides;
use ottla_coordinator::group::consumer::ConsumerGroupOverrides;
use ottla_protocol::messages::*;

use super::testing::{Fixture, GROUP, a_moment, context, topic_id};

const NEWEST: i16 = 1;

fn join_request() -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: "yo".into(),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec!["pagos".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

fn regex_request(regex: &'static str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(ByteString::from_static(regex)),
        ..join_request()
    }
}

fn describe_request(group_ids: &[&str]) -> ConsumerGroupDescribeRequest {
    let group_ids = group_ids.iter().map(|group_id| (*group_id).into()).collect();
    ConsumerGroupDescribeRequest { group_ids, ..Default::default() }
}

impl Fixture {
    async fn beat(&self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        self.service.consumer_group_heartbeat(context(NEWEST), request).await
    }

    /// A member that has joined sends heartbeats until it has partitions.
    async fn assigned(&self, mut member_epoch: i32) -> Vec<i32> {
        for _ in 0..5_000 {
            let request = ConsumerGroupHeartbeatRequest {
                group_id: GROUP.into(),
                member_id: "yo".into(),
                member_epoch,
                rebalance_timeout_ms: -1,
                ..Default::default()
            };
            let response = self.beat(request).await;
            assert_eq!(response.error_code, 0);
            member_epoch = response.member_epoch;
            if let Some(topic) = response.assignment.iter().flat_map(|all| &all.topic_partitions).next() {
                assert_eq!(topic.topic_id, topic_id(0));
                return topic.partitions.clone();
            }
            a_moment().await;
        }
        panic!("nothing was ever assigned");
    }
}

#[tokio::test]
async fn who_is_not_the_coordinator_says_so() {
    for (fixture, error) in [
        (Fixture::stopped(), ErrorCode::CoordinatorNotAvailable),
        (Fixture::leading_nothing(), ErrorCode::NotCoordinator),
    ] {
        assert_eq!(fixture.beat(join_request()).await.error_code, error.code());
        let described = fixture.service.consumer_group_describe(describe_request(&[GROUP])).await;
        assert_eq!(
            (described.groups[0].error_code, &described.groups[0].group_id[..]),
            (error.code(), GROUP)
        );
    }
}

#[tokio::test]
async fn a_member_joins_and_its_group_is_described() {
    let f = Fixture::started().await;
    let joined = f.beat(join_request()).await;
    assert_eq!((joined.error_code, joined.member_id.as_deref()), (0, Some("yo")));
    let partitions: Vec<i32> = match joined.assignment {
        Some(assignment) if !assignment.topic_partitions.is_empty() => {
            assignment.topic_partitions[0].partitions.clone()
        }
        _ => f.assigned(joined.member_epoch).await,
    };
    assert_eq!(partitions, [0, 1]);
    let described = f.service.consumer_group_describe(describe_request(&[GROUP, "", "nadie"])).await;
    let codes: Vec<_> = described.groups.iter().map(|group| ErrorCode::from_code(group.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::InvalidGroupId, ErrorCode::GroupIdNotFound]);
    assert_eq!(&described.groups[0].members[0].client_host[..], "/127.0.0.1");
    let listed = f
        .service
        .list_groups(ListGroupsRequest { types_filter: vec!["consumer".into()], ..Default::default() });
    assert_eq!(listed.await.groups.len(), 1);
}

#[tokio::test]
async fn refusals_come_in_words() {
    let f = Fixture::started().await;
    let nobody = ConsumerGroupHeartbeatRequest { member_id: "".into(), ..join_request() };
    let refused = f.beat(nobody).await;
    assert_eq!(refused.error_code, ErrorCode::InvalidRequest.code());
    assert!(refused.error_message.is_some());
    let broken = f.beat(regex_request("pag(")).await;
    assert_eq!(broken.error_code, ErrorCode::InvalidRegularExpression.code());
    assert!(broken.error_message.is_some());
}

#[tokio::test]
async fn what_cannot_be_written_did_not_happen() {
    let f = Fixture::started().await;
    f.log.set(|state| state.refuse_append = Some(ErrorCode::NotEnoughReplicas));
    let refused = f.beat(join_request()).await;
    assert_eq!(refused.error_code, ErrorCode::CoordinatorNotAvailable.code());
    f.log.set(|state| state.refuse_append = None);
    let described = f.service.consumer_group_describe(describe_request(&[GROUP])).await;
    assert_eq!(described.groups[0].error_code, ErrorCode::GroupIdNotFound.code());
}

#[tokio::test]
async fn topics_that_match_are_found_in_the_background() {
    let f = Fixture::started().await;
    let joined = f.beat(regex_request("pag.*")).await;
    assert_eq!(joined.error_code, 0);
    assert_eq!(f.assigned(joined.member_epoch).await, [0, 1]);
}

/// Whoever looked for topics tells the group that it is done, even if the member's heartbeat was lost.
#[tokio::test]
async fn a_lost_heartbeat_does_not_keep_others_from_looking() {
    let f = Fixture::started().await;
    f.log.set(|state| state.refuse_append = Some(ErrorCode::NotEnoughReplicas));
    assert_ne!(f.beat(regex_request("pag.*")).await.error_code, 0);
    f.log.set(|state| state.refuse_append = None);
    // Time enough for the search that leads to nothing.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let joined = f.beat(regex_request("pag.*")).await;
    assert_eq!(f.assigned(joined.member_epoch).await, [0, 1]);
}

#[tokio::test]
async fn a_groups_own_configuration_counts_from_the_next_heartbeat_on() {
    let f = Fixture::started().await;
    let joined = f.beat(join_request()).await;
    assert_eq!(joined.heartbeat_interval_ms, 5_000);
    let consumer = ConsumerGroupOverrides { heartbeat_interval_ms: Some(7_000), ..Default::default() };
    let overrides = GroupOverrides { consumer, ..Default::default() };
    f.service.on_new_overrides(GROUP.into(), Some(overrides)).await;
    assert_eq!(f.beat(join_request()).await.heartbeat_interval_ms, 7_000);
    f.service.on_new_overrides(GROUP.into(), None).await;
    assert_eq!(f.beat(join_request()).await.heartbeat_interval_ms, 5_000);
}

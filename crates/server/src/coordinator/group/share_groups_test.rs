use ottla_common::ErrorCode;
use ottla_protocol::messages::*;

use super::testing::{Answers, Fixture, GROUP, a_moment, context, topic_id};
use crate::coordinator::runtime::testing::until;

const NEWEST: i16 = 1;

fn request(member_id: &str, member_epoch: i32) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member_id.into(),
        member_epoch,
        subscribed_topic_names: (member_epoch == 0).then(|| vec!["pagos".into()]),
        ..Default::default()
    }
}

fn describe_request(group_ids: &[&str]) -> ShareGroupDescribeRequest {
    let group_ids = group_ids.iter().map(|group_id| (*group_id).into()).collect();
    ShareGroupDescribeRequest { group_ids, ..Default::default() }
}

impl Fixture {
    async fn share_beat(&self, request: ShareGroupHeartbeatRequest) -> ShareGroupHeartbeatResponse {
        self.service.share_group_heartbeat(context(NEWEST), request).await
    }

    /// A member that has joined sends heartbeats until this comes true.
    async fn beat_until(&self, mut member_epoch: i32, done: impl Fn(&ShareGroupHeartbeatResponse) -> bool) {
        for _ in 0..5_000 {
            let response = self.share_beat(request("yo", member_epoch)).await;
            assert_eq!(response.error_code, 0);
            if done(&response) {
                return;
            }
            member_epoch = response.member_epoch;
            a_moment().await;
        }
        panic!("it never came true");
    }
}

fn has_partitions(response: &ShareGroupHeartbeatResponse) -> bool {
    let mut topics = response.assignment.iter().flat_map(|all| &all.topic_partitions);
    topics.any(|topic| topic.topic_id == topic_id(0) && topic.partitions.len() == 2)
}

#[tokio::test]
async fn who_is_not_the_coordinator_says_so() {
    for (fixture, error) in [
        (Fixture::stopped(), ErrorCode::CoordinatorNotAvailable),
        (Fixture::leading_nothing(), ErrorCode::NotCoordinator),
    ] {
        assert_eq!(fixture.share_beat(request("yo", 0)).await.error_code, error.code());
        let described = fixture.service.share_group_describe(describe_request(&[GROUP])).await;
        assert_eq!(
            (described.groups[0].error_code, &described.groups[0].group_id[..]),
            (error.code(), GROUP)
        );
    }
}

#[tokio::test]
async fn a_member_id_is_no_longer_than_a_uuid() {
    let f = Fixture::started().await;
    for member_id in ["", &"x".repeat(37)] {
        let refused = f.share_beat(request(member_id, 0)).await;
        assert_eq!(refused.error_code, ErrorCode::InvalidRequest.code());
        assert!(refused.error_message.is_some());
    }
    assert_eq!(f.share_beat(request(&"x".repeat(36), 0)).await.error_code, 0);
}

#[tokio::test]
async fn partitions_are_given_to_members_once_they_have_a_state() {
    let f = Fixture::started().await;
    let joined = f.share_beat(request("yo", 0)).await;
    assert_eq!(joined.error_code, 0);
    assert!(!has_partitions(&joined), "nobody waits for the share coordinator");
    f.beat_until(joined.member_epoch, has_partitions).await;
    {
        let answers = f.partners.answers();
        assert_eq!(answers.initialized.len(), 1);
        assert_eq!(answers.initialized[0].topics[0].partitions.len(), 2);
    }
    let described = f.service.share_group_describe(describe_request(&[GROUP, "", "nadie"])).await;
    let codes: Vec<_> = described.groups.iter().map(|group| ErrorCode::from_code(group.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::InvalidGroupId, ErrorCode::GroupIdNotFound]);
    assert_eq!(&described.groups[0].group_state[..], "Stable");
}

#[tokio::test]
async fn the_share_coordinator_is_asked_again_when_it_could_not() {
    let break_it: [fn(&mut Answers); 2] = [
        |answers| answers.persister_error = Some(ErrorCode::NetworkException),
        |answers| answers.partition_error = Some(ErrorCode::NotCoordinator),
    ];
    for break_it in break_it {
        let f = Fixture::started().await;
        break_it(&mut f.partners.answers());
        let joined = f.share_beat(request("yo", 0)).await;
        f.beat_until(joined.member_epoch, |_| f.partners.answers().initialized.len() > 1).await;
        {
            let mut answers = f.partners.answers();
            (answers.persister_error, answers.partition_error) = (None, None);
        }
        // Whatever its epoch is by now: it joins again.
        let joined = f.share_beat(request("yo", 0)).await;
        f.beat_until(joined.member_epoch, has_partitions).await;
    }
}

#[tokio::test]
async fn topics_that_are_gone_are_had_by_nobody() {
    let f = Fixture::started().await;
    let joined = f.share_beat(request("yo", 0)).await;
    f.beat_until(joined.member_epoch, has_partitions).await;
    let all = || DescribeShareGroupOffsetsRequest {
        groups: vec![describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup {
            group_id: GROUP.into(),
            topics: None,
            ..Default::default()
        }],
        ..Default::default()
    };
    let described = f.service.describe_share_group_offsets(all()).await;
    assert_eq!(described.groups[0].topics.len(), 1);
    f.service.on_topics_deleted(&[("pagos".into(), topic_id(0))]).await;
    until("forgotten", async || {
        f.service.describe_share_group_offsets(all()).await.groups[0].topics.is_empty()
    })
    .await;
}

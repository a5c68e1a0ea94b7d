use ottla_common::ErrorCode;
use ottla_protocol::messages::*;

use super::testing::{Fixture, GROUP, context};

impl Fixture {
    pub(super) async fn delete(&self) -> ErrorCode {
        let request = DeleteGroupsRequest { groups_names: vec![GROUP.into()], ..Default::default() };
        let response = self.service.delete_groups(request).await;
        assert_eq!((response.results.len(), &response.results[0].group_id[..]), (1, GROUP));
        ErrorCode::from_code(response.results[0].error_code)
    }

    async fn listed(&self) -> Vec<String> {
        let response = self.service.list_groups(ListGroupsRequest::default()).await;
        response.groups.iter().map(|group| format!("{} {}", group.group_type, group.group_state)).collect()
    }
}

#[tokio::test]
async fn who_is_not_the_coordinator_says_so() {
    assert_eq!(Fixture::stopped().delete().await, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(Fixture::leading_nothing().delete().await, ErrorCode::NotCoordinator);
}

#[tokio::test]
async fn a_share_group_goes_when_its_state_is_forgotten() {
    let f = Fixture::started().await;
    f.share_group().await;
    assert_eq!(f.listed().await, ["share Empty"]);
    assert_eq!(f.delete().await, ErrorCode::None);
    assert!(f.listed().await.is_empty());
    let partitions = f.partners.answers().deleted[0].topics[0].partitions.len();
    assert_eq!(partitions, 2);
    assert_eq!(f.delete().await, ErrorCode::GroupIdNotFound);
    assert_eq!(f.partners.answers().deleted.len(), 1, "nobody is asked about no group");
}

#[tokio::test]
async fn a_share_group_stays_while_its_state_is_not_forgotten() {
    let f = Fixture::started().await;
    f.share_group().await;
    f.partners.answers().persister_error = Some(ErrorCode::NetworkException);
    assert_eq!(f.delete().await, ErrorCode::NetworkException);
    {
        let mut answers = f.partners.answers();
        (answers.persister_error, answers.partition_error) = (None, Some(ErrorCode::NotCoordinator));
    }
    assert_eq!(f.delete().await, ErrorCode::NotCoordinator);
    assert_eq!(f.listed().await, ["share Empty"]);
    f.partners.answers().partition_error = None;
    assert_eq!(f.delete().await, ErrorCode::None);
}

#[tokio::test]
async fn a_group_with_members_stays() {
    let f = Fixture::started().await;
    let request = ShareGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: "yo".into(),
        subscribed_topic_names: Some(vec!["pagos".into()]),
        ..Default::default()
    };
    assert_eq!(f.service.share_group_heartbeat(context(1), request).await.error_code, 0);
    assert_eq!(f.delete().await, ErrorCode::NonEmptyGroup);
    assert!(f.partners.answers().deleted.is_empty(), "its state stays, too");
}

#[tokio::test]
async fn what_cannot_be_written_did_not_happen() {
    let f = Fixture::started().await;
    f.share_group().await;
    f.log.set(|state| state.refuse_append = Some(ErrorCode::NotEnoughReplicas));
    assert_eq!(f.delete().await, ErrorCode::CoordinatorNotAvailable);
    assert!(f.partners.answers().deleted.is_empty());
    f.log.set(|state| state.refuse_append = None);
    assert_eq!(f.delete().await, ErrorCode::None);
}

#[tokio::test]
async fn a_consumer_group_goes_without_asking_anybody() {
    let f = Fixture::started().await;
    let mut request = ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: "yo".into(),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec!["pagos".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    assert_eq!(f.service.consumer_group_heartbeat(context(1), request.clone()).await.error_code, 0);
    assert_eq!(f.delete().await, ErrorCode::NonEmptyGroup);
    request.member_epoch = -1;
    assert_eq!(f.service.consumer_group_heartbeat(context(1), request).await.error_code, 0);
    assert_eq!(f.delete().await, ErrorCode::None);
    assert!(f.listed().await.is_empty() && f.partners.answers().deleted.is_empty());
}

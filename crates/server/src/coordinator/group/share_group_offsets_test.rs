use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use ottla_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use ottla_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use ottla_protocol::messages::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup;
use ottla_protocol::messages::*;

use super::testing::{END_OFFSET, Fixture, GROUP, START_OFFSET};

fn alter_request(group_id: &str, topics: &[(&'static str, &[i32])]) -> AlterShareGroupOffsetsRequest {
    let partition = |partition_index: &i32| AlterShareGroupOffsetsRequestPartition {
        partition_index: *partition_index,
        start_offset: 7,
        ..Default::default()
    };
    let topic = |(name, partitions): &(&'static str, &[i32])| AlterShareGroupOffsetsRequestTopic {
        topic_name: ByteString::from_static(name),
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    };
    let topics = topics.iter().map(topic).collect();
    AlterShareGroupOffsetsRequest { group_id: group_id.into(), topics, ..Default::default() }
}

fn delete_request(group_id: &str, topics: &[&'static str]) -> DeleteShareGroupOffsetsRequest {
    let topic = |name: &&'static str| DeleteShareGroupOffsetsRequestTopic {
        topic_name: ByteString::from_static(name),
        ..Default::default()
    };
    let topics = topics.iter().map(topic).collect();
    DeleteShareGroupOffsetsRequest { group_id: group_id.into(), topics, ..Default::default() }
}

impl Fixture {
    /// A share group that begins with both partitions of `pagos`.
    pub(super) async fn share_group(&self) {
        let altered =
            self.service.alter_share_group_offsets(alter_request(GROUP, &[("pagos", &[0, 1])])).await;
        assert_eq!((altered.error_code, altered.responses[0].partitions[0].error_code), (0, 0));
    }

    pub(super) async fn describe_offsets(
        &self,
        topics: Option<&[(&'static str, &[i32])]>,
    ) -> DescribeShareGroupOffsetsResponseGroup {
        let topic = |(name, partitions): &(&'static str, &[i32])| DescribeShareGroupOffsetsRequestTopic {
            topic_name: ByteString::from_static(name),
            partitions: partitions.to_vec(),
            ..Default::default()
        };
        let group = DescribeShareGroupOffsetsRequestGroup {
            group_id: GROUP.into(),
            topics: topics.map(|topics| topics.iter().map(topic).collect()),
            ..Default::default()
        };
        let request = DescribeShareGroupOffsetsRequest { groups: vec![group], ..Default::default() };
        let mut response = self.service.describe_share_group_offsets(request).await;
        assert_eq!(response.groups.len(), 1);
        response.groups.remove(0)
    }
}

#[tokio::test]
async fn who_is_not_the_coordinator_says_so() {
    for (f, error) in [
        (Fixture::stopped(), ErrorCode::CoordinatorNotAvailable),
        (Fixture::leading_nothing(), ErrorCode::NotCoordinator),
    ] {
        let altered = f.service.alter_share_group_offsets(alter_request(GROUP, &[])).await;
        assert_eq!((altered.error_code, altered.error_message.is_some()), (error.code(), true));
        let deleted = f.service.delete_share_group_offsets(delete_request(GROUP, &[])).await;
        assert_eq!((deleted.error_code, deleted.error_message.is_some()), (error.code(), true));
        assert_eq!(f.describe_offsets(None).await.error_code, error.code());
        assert_eq!(f.describe_offsets(Some(&[])).await.error_code, 0, "there is nothing to ask");
    }
}

#[tokio::test]
async fn groups_without_a_name_are_refused() {
    let f = Fixture::started().await;
    let invalid = ErrorCode::InvalidGroupId.code();
    assert_eq!(f.service.alter_share_group_offsets(alter_request("", &[])).await.error_code, invalid);
    assert_eq!(f.service.delete_share_group_offsets(delete_request("", &[])).await.error_code, invalid);
    let nobody = f.service.delete_share_group_offsets(delete_request(GROUP, &["pagos"])).await;
    assert_eq!(nobody.error_code, ErrorCode::GroupIdNotFound.code());
}

#[tokio::test]
async fn a_group_begins_is_described_and_forgets() {
    let f = Fixture::started().await;
    f.share_group().await;
    let group = f.describe_offsets(None).await;
    let told: Vec<_> = group.topics[0].partitions.iter().map(|p| (p.start_offset, p.lag)).collect();
    assert_eq!(told, vec![(START_OFFSET, END_OFFSET - START_OFFSET); 2]);
    let deleted = f.service.delete_share_group_offsets(delete_request(GROUP, &["pagos", "nada"])).await;
    let codes: Vec<_> =
        deleted.responses.iter().map(|topic| ErrorCode::from_code(topic.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    assert!(f.describe_offsets(None).await.topics.is_empty());
    // Nothing is left to ask the share coordinator for.
    let again = f.service.delete_share_group_offsets(delete_request(GROUP, &["pagos"])).await;
    assert_eq!(again.responses[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    assert_eq!(f.partners.answers().deleted.len(), 1);
}

#[tokio::test]
async fn what_partners_cannot_tell_is_an_error_of_its_own() {
    let f = Fixture::started().await;
    f.share_group().await;
    f.partners.answers().end_error = Some(ErrorCode::NotLeaderOrFollower);
    let group = f.describe_offsets(Some(&[("pagos", &[0])])).await;
    assert_eq!(group.error_code, 0);
    assert_eq!(group.topics[0].partitions[0].error_code, ErrorCode::NotLeaderOrFollower.code());
    f.partners.answers().partition_error = Some(ErrorCode::CoordinatorLoadInProgress);
    let group = f.describe_offsets(Some(&[("pagos", &[0])])).await;
    let partition = &group.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.start_offset), (0, -1), "there is no offset then");
    f.partners.answers().persister_error = Some(ErrorCode::RequestTimedOut);
    let group = f.describe_offsets(Some(&[("pagos", &[0])])).await;
    assert_eq!((group.error_code, group.topics.len()), (ErrorCode::RequestTimedOut.code(), 0));
    assert!(group.error_message.is_some());
}

#[tokio::test]
async fn a_share_coordinator_that_fails_alters_nothing() {
    let f = Fixture::started().await;
    let request = || alter_request(GROUP, &[("pagos", &[0, 9]), ("nada", &[0])]);
    f.partners.answers().partition_error = Some(ErrorCode::FencedStateEpoch);
    let altered = f.service.alter_share_group_offsets(request()).await;
    let codes: Vec<_> = altered
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|partition| ErrorCode::from_code(partition.error_code))
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!((altered.error_code, codes), (0, vec![ErrorCode::FencedStateEpoch, unknown, unknown]));
    f.partners.answers().persister_error = Some(ErrorCode::CoordinatorNotAvailable);
    let altered = f.service.alter_share_group_offsets(request()).await;
    let told = (altered.error_code, altered.responses.len(), altered.error_message.is_some());
    assert_eq!(told, (ErrorCode::CoordinatorNotAvailable.code(), 0, true));
    assert!(f.describe_offsets(None).await.topics.is_empty(), "nothing is initialized");
}

#[tokio::test]
async fn a_share_coordinator_that_fails_forgets_nothing() {
    let f = Fixture::started().await;
    f.share_group().await;
    f.partners.answers().persister_error = Some(ErrorCode::CoordinatorNotAvailable);
    let deleted = f.service.delete_share_group_offsets(delete_request(GROUP, &["pagos"])).await;
    let told = (deleted.error_code, deleted.responses.len(), deleted.error_message.is_some());
    assert_eq!(told, (ErrorCode::CoordinatorNotAvailable.code(), 0, true));
    {
        let mut answers = f.partners.answers();
        (answers.persister_error, answers.partition_error) = (None, Some(ErrorCode::NotCoordinator));
    }
    let deleted = f.service.delete_share_group_offsets(delete_request(GROUP, &["pagos"])).await;
    assert_eq!((deleted.error_code, deleted.responses[0].error_code), (0, ErrorCode::NotCoordinator.code()));
    f.partners.answers().partition_error = None;
    let deleted = f.service.delete_share_group_offsets(delete_request(GROUP, &["pagos"])).await;
    assert_eq!((deleted.error_code, deleted.responses[0].error_code), (0, 0), "the answer may have got lost");
}

#[tokio::test]
async fn a_group_with_members_is_left_alone() {
    let f = Fixture::started().await;
    f.share_group().await;
    let joined = f
        .service
        .share_group_heartbeat(
            super::testing::context(1),
            ShareGroupHeartbeatRequest {
                group_id: GROUP.into(),
                member_id: "yo".into(),
                subscribed_topic_names: Some(vec!["pagos".into()]),
                ..Default::default()
            },
        )
        .await;
    assert_eq!(joined.error_code, 0);
    let not_empty = ErrorCode::NonEmptyGroup.code();
    let altered = f.service.alter_share_group_offsets(alter_request(GROUP, &[("pagos", &[0])])).await;
    assert_eq!((altered.error_code, altered.error_message.is_some()), (not_empty, true));
    let deleted = f.service.delete_share_group_offsets(delete_request(GROUP, &["pagos"])).await;
    assert_eq!((deleted.error_code, deleted.error_message.is_some()), (not_empty, true));
}

//! Records of groups of the newer protocols, as plain as they come.

use bytestring::ByteString;
use ottla_protocol::records::group::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, StreamsGroupMetadataValue,
};

use super::consumer::ConsumerGroupRecord;
use super::share::ShareGroupRecord;
use super::streams::StreamsGroupRecord;
use super::testing::{Entry, MemoryLog, TestContext};
use super::{GroupCoordinatorConfig, GroupRecord};

/// The epoch of groups and members in here.
pub(crate) const EPOCH: i32 = 5;

impl TestContext {
    /// A coordinator that finds these records in its log.
    pub(crate) fn on_records(records: Vec<GroupRecord>) -> Self {
        let entries: Vec<_> = records.into_iter().map(|record| Entry::Record(-1, record)).collect();
        let log = MemoryLog { high_watermark: entries.len() as i64, entries, ..Default::default() };
        Self::on(GroupCoordinatorConfig::default(), log, 0)
    }
}

/// A consumer group with these members, whose epoch and assignment are all of [`EPOCH`].
pub(crate) fn consumer_group(group_id: &str, member_ids: &[&str]) -> Vec<GroupRecord> {
    let group_id = ByteString::from(group_id);
    let key = ConsumerGroupMetadataKey { group_id: group_id.clone() };
    let value = ConsumerGroupMetadataValue { epoch: EPOCH, ..Default::default() };
    let mut records = vec![ConsumerGroupRecord::Metadata { key, value: Some(value) }];
    for member_id in member_ids {
        let member_id = ByteString::from(*member_id);
        let key = ConsumerGroupMemberMetadataKey { group_id: group_id.clone(), member_id: member_id.clone() };
        // Kafka's defaults are those of a member of the classic protocol.
        let value = ConsumerGroupMemberMetadataValue {
            instance_id: None,
            rack_id: None,
            subscribed_topic_regex: None,
            server_assignor: None,
            classic_member_metadata: None,
            ..Default::default()
        };
        records.push(ConsumerGroupRecord::MemberMetadata { key, value: Some(value) });
        let key = ConsumerGroupCurrentMemberAssignmentKey { group_id: group_id.clone(), member_id };
        let value = ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: EPOCH,
            previous_member_epoch: EPOCH - 1,
            ..Default::default()
        };
        records.push(ConsumerGroupRecord::CurrentMemberAssignment { key, value: Some(value) });
    }
    if !member_ids.is_empty() {
        let key = ConsumerGroupTargetAssignmentMetadataKey { group_id };
        let value =
            ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch: EPOCH, ..Default::default() };
        records.push(ConsumerGroupRecord::TargetAssignmentMetadata { key, value: Some(value) });
    }
    records.into_iter().map(GroupRecord::Consumer).collect()
}

/// A share group without members.
pub(crate) fn share_group(group_id: &str) -> GroupRecord {
    GroupRecord::Share(ShareGroupRecord::group(&group_id.into(), EPOCH, 0))
}

/// A streams group without members.
pub(crate) fn streams_group(group_id: &str) -> GroupRecord {
    let value = StreamsGroupMetadataValue { epoch: EPOCH, ..Default::default() };
    GroupRecord::Streams(StreamsGroupRecord::GroupMetadata { group_id: group_id.into(), value: Some(value) })
}

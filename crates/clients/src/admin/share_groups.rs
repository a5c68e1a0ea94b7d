//! Share groups (KIP-932): their members, and the offsets at which their partitions start.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::TopicPartition;
use ottla_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use ottla_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use ottla_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use ottla_protocol::messages::share_group_describe_response::{DescribedGroup, Member};
use ottla_protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequest,
    ShareGroupDescribeRequest,
};

use super::groups::missing;
use super::{Admin, Outcomes};
use crate::partitions::{by_topic, tp};
use crate::{ClientError, CoordinatorType};

/// A share group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupDescription {
    /// Its name.
    pub group_id: ByteString,
    /// `Stable`, `Empty` or `Dead`.
    pub state: ByteString,
    /// Epoch of the group.
    pub group_epoch: i32,
    /// Epoch of the target assignment.
    pub target_assignment_epoch: i32,
    /// The assignor that the coordinator uses.
    pub assignor: ByteString,
    /// Its members.
    pub members: Vec<ShareMemberDescription>,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// A member of a share group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareMemberDescription {
    /// Its id.
    pub member_id: ByteString,
    /// `client.rack`.
    pub rack_id: Option<ByteString>,
    /// Its epoch.
    pub member_epoch: i32,
    /// `client.id`.
    pub client_id: ByteString,
    /// Its address.
    pub client_host: ByteString,
    /// What it may take records of.
    pub assignment: Vec<TopicPartition>,
}

/// Where a share group stands in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharePartitionOffset {
    /// The first record that may still be delivered.
    pub start_offset: i64,
    /// The epoch of the leader that wrote the one before.
    pub leader_epoch: Option<i32>,
    /// How many records are not done with (KIP-1226); `None` where the broker does not say.
    pub lag: Option<i64>,
}

impl Admin {
    /// Share groups with their members.
    pub async fn describe_share_groups(
        &self,
        groups: &[&str],
    ) -> Result<Outcomes<ByteString, ShareGroupDescription>, ClientError> {
        let mut outcomes = Vec::new();
        for group in groups {
            outcomes.push(((*group).into(), self.describe_share_group(group).await));
        }
        Ok(outcomes)
    }

    /// One share group with its members.
    pub async fn describe_share_group(&self, group: &str) -> Result<ShareGroupDescription, ClientError> {
        let request = ShareGroupDescribeRequest {
            group_ids: vec![group.into()],
            ..ShareGroupDescribeRequest::default()
        };
        self.at_coordinator_of(CoordinatorType::Group, group, &request, |coordinator, response| {
            let described = response.groups.into_iter().next().ok_or_else(|| missing(group))?;
            let message = described.error_message.as_deref();
            ClientError::check(format!("share group {group}"), described.error_code, message)?;
            Ok(ShareGroupDescription::read(described, coordinator))
        })
        .await
    }

    /// Where a share group stands: in these partitions, or in all that it has a state of. `None` for a
    /// partition that it has not begun. Partitions that the broker refuses are left out.
    pub async fn list_share_group_offsets(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<BTreeMap<TopicPartition, Option<SharePartitionOffset>>, ClientError> {
        let topics = partitions.map(|partitions| {
            let topics = by_topic(partitions.iter().map(|tp| (tp, ())), |partition, ()| partition);
            let topic = |(topic_name, partitions)| DescribeShareGroupOffsetsRequestTopic {
                topic_name,
                partitions,
                ..Default::default()
            };
            topics.into_iter().map(topic).collect()
        });
        let wanted =
            DescribeShareGroupOffsetsRequestGroup { group_id: group.into(), topics, ..Default::default() };
        let request = DescribeShareGroupOffsetsRequest {
            groups: vec![wanted],
            ..DescribeShareGroupOffsetsRequest::default()
        };
        self.at_coordinator_of(CoordinatorType::Group, group, &request, |_, response| {
            let answer = response.groups.into_iter().next().ok_or_else(|| missing(group))?;
            let message = answer.error_message.as_deref();
            ClientError::check(format!("share group {group}"), answer.error_code, message)?;
            let mut offsets = BTreeMap::new();
            for topic in answer.topics {
                for p in topic.partitions.into_iter().filter(|p| p.error_code == 0) {
                    let offset = (p.start_offset >= 0).then_some(SharePartitionOffset {
                        start_offset: p.start_offset,
                        leader_epoch: (p.leader_epoch >= 0).then_some(p.leader_epoch),
                        lag: (p.lag >= 0).then_some(p.lag),
                    });
                    offsets.insert(tp(&topic.topic_name, p.partition_index), offset);
                }
            }
            Ok(offsets)
        })
        .await
    }

    /// Moves a share group that has no member to other offsets. A refusal of the group refuses all its
    /// partitions.
    pub async fn alter_share_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<Outcomes<TopicPartition, ()>, ClientError> {
        let topics = by_topic(offsets.iter().map(|(tp, offset)| (tp, *offset)), |partition_index, start| {
            AlterShareGroupOffsetsRequestPartition {
                partition_index,
                start_offset: start,
                ..Default::default()
            }
        });
        let topics = topics.into_iter().map(|(topic_name, partitions)| AlterShareGroupOffsetsRequestTopic {
            topic_name,
            partitions,
            ..Default::default()
        });
        let request = AlterShareGroupOffsetsRequest {
            group_id: group.into(),
            topics: topics.collect(),
            ..AlterShareGroupOffsetsRequest::default()
        };
        self.at_coordinator_of(CoordinatorType::Group, group, &request, |_, response| {
            let message = response.error_message.as_deref();
            let whole = ClientError::check(format!("share group {group}"), response.error_code, message);
            if let Err(error) = whole {
                if error.is_retriable() {
                    return Err(error);
                }
                return Ok(offsets.keys().map(|tp| (tp.clone(), Err(error.clone()))).collect());
            }
            let topics = response.responses.into_iter();
            Ok(topics
                .flat_map(|topic| {
                    let name = topic.topic_name;
                    topic.partitions.into_iter().map(move |p| {
                        let tp = tp(&name, p.partition_index);
                        let message = p.error_message.as_deref();
                        let outcome = ClientError::check(tp.to_string(), p.error_code, message);
                        (tp, outcome)
                    })
                })
                .collect())
        })
        .await
    }

    /// Forgets where a share group without members stands in whole topics.
    pub async fn delete_share_group_offsets(
        &self,
        group: &str,
        topics: &[&str],
    ) -> Result<Outcomes<ByteString, ()>, ClientError> {
        let named = topics.iter().map(|topic| DeleteShareGroupOffsetsRequestTopic {
            topic_name: (*topic).into(),
            ..Default::default()
        });
        let request = DeleteShareGroupOffsetsRequest {
            group_id: group.into(),
            topics: named.collect(),
            ..DeleteShareGroupOffsetsRequest::default()
        };
        self.at_coordinator_of(CoordinatorType::Group, group, &request, |_, response| {
            let message = response.error_message.as_deref();
            ClientError::check(format!("share group {group}"), response.error_code, message)?;
            let outcome = response.responses.into_iter().map(|topic| {
                let what = format!("topic {}", topic.topic_name);
                let outcome = ClientError::check(what, topic.error_code, topic.error_message.as_deref());
                (topic.topic_name, outcome)
            });
            Ok(outcome.collect())
        })
        .await
    }
}

impl ShareGroupDescription {
    fn read(group: DescribedGroup, coordinator: i32) -> Self {
        Self {
            group_id: group.group_id,
            state: group.group_state,
            group_epoch: group.group_epoch,
            target_assignment_epoch: group.assignment_epoch,
            assignor: group.assignor_name,
            members: group.members.into_iter().map(ShareMemberDescription::read).collect(),
            coordinator,
        }
    }
}

impl ShareMemberDescription {
    fn read(member: Member) -> Self {
        let topics = member.assignment.topic_partitions.iter();
        Self {
            assignment: topics.flat_map(|t| t.partitions.iter().map(|p| tp(&t.topic_name, *p))).collect(),
            member_id: member.member_id,
            rack_id: member.rack_id,
            member_epoch: member.member_epoch,
            client_id: member.client_id,
            client_host: member.client_host,
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::share_group_describe_response::{Assignment, TopicPartitions};

    use super::*;

    #[test]
    fn members_bring_their_partitions_by_name() {
        let topic = |name: &str, partitions: &[i32]| TopicPartitions {
            topic_name: name.into(),
            partitions: partitions.to_vec(),
            ..Default::default()
        };
        let assignment = Assignment {
            topic_partitions: vec![topic("a", &[0, 1]), topic("b", &[2])],
            ..Default::default()
        };
        let member = Member { member_id: "m".into(), member_epoch: 3, assignment, ..Member::default() };
        let group = DescribedGroup {
            group_id: "g".into(),
            group_state: "Stable".into(),
            group_epoch: 4,
            assignment_epoch: 3,
            members: vec![member],
            ..DescribedGroup::default()
        };
        let read = ShareGroupDescription::read(group, 7);
        assert_eq!((read.group_epoch, read.target_assignment_epoch, read.coordinator), (4, 3, 7));
        assert_eq!(read.members[0].assignment, [tp("a", 0), tp("a", 1), tp("b", 2)]);
    }
}

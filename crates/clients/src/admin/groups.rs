use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::consumer_group_describe_response::{Assignment, Member};
use ottla_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use ottla_protocol::messages::list_groups_response::ListedGroup;
use ottla_protocol::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest,
};
use ottla_protocol::{ApiKey, Request};

use super::{Admin, Outcomes};
use crate::partitions::tp;
use crate::{ClientError, CoordinatorType, group_protocol};

/// Which groups are wanted. An empty list does not choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupFilter {
    /// In these states: `Stable`, `Empty`…
    pub states: Vec<String>,
    /// Of these types: `Classic`, `Consumer`, `Share`, `Streams`.
    pub types: Vec<String>,
    /// Used by these: `consumer`, `connect`…; the empty word means groups of nothing but offsets.
    pub protocol_types: Vec<String>,
}

/// A group as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group_id: ByteString,
    /// Who uses it: `consumer` for consumers, empty for groups of nothing but offsets.
    pub protocol_type: ByteString,
    /// `Stable`, `Empty`…; empty when the broker does not say.
    pub state: ByteString,
    /// `Classic`, `Consumer`…; empty when the broker does not say.
    pub group_type: ByteString,
}

/// A group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub group_id: ByteString,
    /// `Classic` or `Consumer`.
    pub group_type: &'static str,
    /// `Stable`, `Empty`…
    pub state: ByteString,
    /// Who uses it.
    pub protocol_type: ByteString,
    /// The assignor the members agreed on.
    pub assignor: ByteString,
    /// Epoch of the group, in the new protocol (KIP-848).
    pub group_epoch: Option<i32>,
    /// Epoch of the target assignment, in the new protocol.
    pub target_assignment_epoch: Option<i32>,
    /// Its members.
    pub members: Vec<MemberDescription>,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: ByteString,
    /// `group.instance.id`.
    pub group_instance_id: Option<ByteString>,
    /// `client.id`.
    pub client_id: ByteString,
    /// Its address.
    pub client_host: ByteString,
    /// What it consumes.
    pub assignment: Vec<TopicPartition>,
    /// What it shall consume, in the new protocol.
    pub target_assignment: Option<Vec<TopicPartition>>,
    /// Its epoch, in the new protocol.
    pub member_epoch: Option<i32>,
    /// Whether it speaks the new protocol itself, in a group that may have members that do not.
    pub upgraded: Option<bool>,
}

impl Admin {
    /// Every group of the cluster, of these states and types (all of them for none).
    pub async fn list_groups(
        &self,
        states: &[&str],
        types: &[&str],
    ) -> Result<Vec<GroupListing>, ClientError> {
        let wanted = GroupFilter {
            states: states.iter().map(|state| (*state).to_owned()).collect(),
            types: types.iter().map(|kind| (*kind).to_owned()).collect(),
            protocol_types: Vec::new(),
        };
        self.list_groups_of(&wanted).await
    }

    /// The groups of the cluster that pass a filter, by name.
    pub async fn list_groups_of(&self, wanted: &GroupFilter) -> Result<Vec<GroupListing>, ClientError> {
        let metadata = self.client.retrying("Metadata", || self.client.refresh_brokers()).await?;
        let mut groups = BTreeMap::new();
        for node in metadata.brokers.keys() {
            let listed = self.client.retrying("ListGroups", || self.groups_at(*node, wanted)).await?;
            for group in listed.into_iter().filter(|group| wanted.allows_protocol(&group.protocol_type)) {
                let listing = GroupListing {
                    group_id: group.group_id.clone(),
                    protocol_type: group.protocol_type,
                    state: group.group_state,
                    group_type: group.group_type,
                };
                groups.insert(group.group_id, listing);
            }
        }
        Ok(groups.into_values().collect())
    }

    async fn groups_at(&self, node: i32, wanted: &GroupFilter) -> Result<Vec<ListedGroup>, ClientError> {
        let connection = self.client.node(node).await?;
        let version = connection.version::<ListGroupsRequest>()?;
        let needed = wanted.min_version();
        if version < needed {
            return Err(ClientError::UnsupportedVersion {
                address: connection.address().to_owned(),
                api: ApiKey::ListGroups,
                offered: format!("up to {version}, {needed} is needed"),
            });
        }
        let types: &[String] = if version < WITH_TYPES { &[] } else { wanted.types.as_slice() };
        let request = ListGroupsRequest {
            states_filter: wanted.states.iter().map(|state| state.as_str().into()).collect(),
            types_filter: types.iter().map(|kind| kind.as_str().into()).collect(),
            ..ListGroupsRequest::default()
        };
        let patience = self.client.settings().request_timeout;
        let response = connection.send_version(&request, version, patience).await?;
        ClientError::check(format!("list of groups at broker {node}"), response.error_code, None)?;
        Ok(response.groups)
    }

    /// Groups with their members, whichever protocol they use.
    pub async fn describe_groups(
        &self,
        groups: &[&str],
    ) -> Result<Outcomes<ByteString, GroupDescription>, ClientError> {
        let mut outcomes = Vec::new();
        for group in groups {
            outcomes.push(((*group).into(), self.describe_group(group).await));
        }
        Ok(outcomes)
    }

    /// One group with its members. A group of the new protocol answers the new request only, so
    /// that one is asked first where the broker has it.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, ClientError> {
        let modern =
            self.client.retrying("ConsumerGroupDescribe", || self.describe_consumer_group(group)).await;
        match modern {
            Err(ClientError::UnsupportedVersion { .. }) => {}
            Err(error)
                if matches!(
                    error.code(),
                    Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion)
                ) => {}
            answered => return answered,
        }
        self.client.retrying("DescribeGroups", || self.describe_classic_group(group)).await
    }

    async fn describe_consumer_group(&self, group: &str) -> Result<GroupDescription, ClientError> {
        let coordinator = self.client.find_coordinator(CoordinatorType::Group, group).await?;
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![group.into()],
            ..ConsumerGroupDescribeRequest::default()
        };
        let response = self.client.send_to(coordinator, &request).await?;
        let g = response.groups.into_iter().next().ok_or_else(|| missing(group))?;
        ClientError::check(format!("group {group}"), g.error_code, g.error_message.as_deref())?;
        Ok(GroupDescription {
            group_id: g.group_id,
            group_type: "Consumer",
            state: g.group_state,
            protocol_type: "consumer".into(),
            assignor: g.assignor_name,
            group_epoch: Some(g.group_epoch),
            target_assignment_epoch: Some(g.assignment_epoch),
            members: g.members.into_iter().map(MemberDescription::of_consumer).collect(),
            coordinator,
        })
    }

    async fn describe_classic_group(&self, group: &str) -> Result<GroupDescription, ClientError> {
        let coordinator = self.client.find_coordinator(CoordinatorType::Group, group).await?;
        let request =
            DescribeGroupsRequest { groups: vec![group.into()], ..DescribeGroupsRequest::default() };
        let response = self.client.send_to(coordinator, &request).await?;
        let g: DescribedGroup = response.groups.into_iter().next().ok_or_else(|| missing(group))?;
        ClientError::check(format!("group {group}"), g.error_code, g.error_message.as_deref())?;
        if g.group_state == "Dead" {
            // How older brokers say that there is no such group.
            return Err(missing(group));
        }
        Ok(GroupDescription {
            group_id: g.group_id,
            group_type: "Classic",
            state: g.group_state,
            protocol_type: g.protocol_type,
            assignor: g.protocol_data,
            group_epoch: None,
            target_assignment_epoch: None,
            members: g.members.into_iter().map(MemberDescription::of_classic).collect(),
            coordinator,
        })
    }

    /// Deletes groups of any type that have no member.
    pub async fn delete_groups(&self, groups: &[&str]) -> Result<Outcomes<ByteString, ()>, ClientError> {
        let mut outcomes = Vec::new();
        for group in groups {
            outcomes.push(((*group).into(), self.delete_group(group).await));
        }
        Ok(outcomes)
    }

    /// Deletes a group of any type that has no member.
    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let request =
            DeleteGroupsRequest { groups_names: vec![group.into()], ..DeleteGroupsRequest::default() };
        self.at_coordinator(group, &request, |response| {
            let r = response.results.into_iter().next().ok_or_else(|| missing(group))?;
            ClientError::check(format!("group {group}"), r.error_code, r.error_message.as_deref())
        })
        .await
    }

    pub(super) async fn at_coordinator<R: Request, T>(
        &self,
        group: &str,
        request: &R,
        read: impl Fn(R::Response) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let read = |_: i32, response: R::Response| read(response);
        self.at_coordinator_of(CoordinatorType::Group, group, request, read).await
    }
}

const WITH_STATES: i16 = 4;
const WITH_TYPES: i16 = 5;

impl GroupFilter {
    /// Brokers before 3.8 know classic groups only, so a filter that wants those can go without saying.
    fn min_version(&self) -> i16 {
        let wants = |kind: &str| self.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind));
        let needs_types = !self.types.is_empty() && (!wants("Classic") || wants("Share") || wants("Streams"));
        if needs_types {
            WITH_TYPES
        } else if self.states.is_empty() {
            0
        } else {
            WITH_STATES
        }
    }

    fn allows_protocol(&self, protocol_type: &str) -> bool {
        self.protocol_types.is_empty() || self.protocol_types.iter().any(|wanted| wanted == protocol_type)
    }
}

pub(super) fn missing(group: &str) -> ClientError {
    let message = format!("Group {group} not found.");
    ClientError::api(format!("group {group}"), ErrorCode::GroupIdNotFound, Some(&message))
}

impl MemberDescription {
    fn of_classic(m: DescribedGroupMember) -> Self {
        Self {
            member_id: m.member_id,
            group_instance_id: m.group_instance_id,
            client_id: m.client_id,
            client_host: m.client_host,
            assignment: classic_assignment(&m.member_assignment),
            target_assignment: None,
            member_epoch: None,
            upgraded: None,
        }
    }

    fn of_consumer(m: Member) -> Self {
        Self {
            member_id: m.member_id,
            group_instance_id: m.instance_id,
            client_id: m.client_id,
            client_host: m.client_host,
            assignment: consumer_assignment(&m.assignment),
            target_assignment: Some(consumer_assignment(&m.target_assignment)),
            member_epoch: Some(m.member_epoch),
            upgraded: (m.member_type >= 0).then_some(m.member_type == 1),
        }
    }
}

/// Members that are no consumers keep something else there; it is not shown.
fn classic_assignment(bytes: &Bytes) -> Vec<TopicPartition> {
    group_protocol::decode_assignment(bytes).unwrap_or_default()
}

fn consumer_assignment(assignment: &Assignment) -> Vec<TopicPartition> {
    let topics = assignment.topic_partitions.iter();
    topics.flat_map(|t| t.partitions.iter().map(|p| tp(&t.topic_name, *p))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(types: &[&str]) -> GroupFilter {
        GroupFilter { types: types.iter().map(|kind| (*kind).to_owned()).collect(), ..GroupFilter::default() }
    }

    #[test]
    fn old_brokers_are_asked_for_what_they_know() {
        assert_eq!(GroupFilter::default().min_version(), 0);
        assert_eq!(types(&["Classic", "Consumer"]).min_version(), 0);
        assert_eq!(types(&["Consumer"]).min_version(), WITH_TYPES);
        assert_eq!(types(&["Classic", "Share"]).min_version(), WITH_TYPES);
        let states = GroupFilter { states: vec!["Empty".into()], ..types(&["Classic"]) };
        assert_eq!(states.min_version(), WITH_STATES);
    }

    #[test]
    fn protocol_types_are_chosen_here() {
        assert!(GroupFilter::default().allows_protocol("connect"));
        let consumers =
            GroupFilter { protocol_types: vec![String::new(), "consumer".into()], ..GroupFilter::default() };
        assert!(consumers.allows_protocol("") && consumers.allows_protocol("consumer"));
        assert!(!consumers.allows_protocol("connect"));
    }

    #[test]
    fn members_that_never_said_are_neither_old_nor_new() {
        let member =
            |member_type| MemberDescription::of_consumer(Member { member_type, ..Member::default() });
        assert_eq!(member(-1).upgraded, None);
        assert_eq!(member(0).upgraded, Some(false));
        assert_eq!(member(1).upgraded, Some(true));
    }
}

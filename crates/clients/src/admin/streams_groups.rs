//! Streams groups (KIP-1071): their members, tasks and topology.
//!
//! Their offsets are kept as those of consumer groups are: [`Admin::list_group_offsets`],
//! [`Admin::alter_group_offsets`] and [`Admin::delete_group_offsets`] serve them too.

use bytestring::ByteString;
use ottla_protocol::messages::StreamsGroupDescribeRequest;
use ottla_protocol::messages::streams_group_describe_response::{
    DescribedGroup, Member, Subtopology, TopologyDescription,
};

use super::groups::missing;
use super::{Admin, Outcomes};
use crate::{ClientError, CoordinatorType};

/// A streams group with its members.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamsGroupDescription {
    /// Its name.
    pub group_id: ByteString,
    /// `Stable`, `NotReady`, `Empty`…
    pub state: ByteString,
    /// Epoch of the group.
    pub group_epoch: i32,
    /// Epoch of the target assignment.
    pub target_assignment_epoch: i32,
    /// Epoch of the topology.
    pub topology_epoch: i32,
    /// The parts of the topology, with their topics.
    pub subtopologies: Vec<Subtopology>,
    /// Its members, with their tasks.
    pub members: Vec<Member>,
    /// The assignor that the coordinator uses; `None` where the broker does not say.
    pub assignor: Option<ByteString>,
    /// The topology as a person draws it (KIP-1331).
    pub topology_description: TopologyDescriptionStatus,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// Whether the broker could show a group's topology.
#[derive(Debug, Clone, PartialEq)]
pub enum TopologyDescriptionStatus {
    /// Nobody asked.
    NotRequested,
    /// No member has sent it.
    NotStored,
    /// The broker could not read it.
    Error,
    /// Here it is.
    Available(TopologyDescription),
}

impl Admin {
    /// Streams groups with their members.
    pub async fn describe_streams_groups(
        &self,
        groups: &[&str],
        include_topology_description: bool,
    ) -> Result<Outcomes<ByteString, StreamsGroupDescription>, ClientError> {
        let mut outcomes = Vec::new();
        for group in groups {
            let described = self.describe_streams_group(group, include_topology_description).await;
            outcomes.push(((*group).into(), described));
        }
        Ok(outcomes)
    }

    /// One streams group with its members.
    pub async fn describe_streams_group(
        &self,
        group: &str,
        include_topology_description: bool,
    ) -> Result<StreamsGroupDescription, ClientError> {
        let request = StreamsGroupDescribeRequest {
            group_ids: vec![group.into()],
            include_topology_description,
            ..StreamsGroupDescribeRequest::default()
        };
        self.at_coordinator_of(CoordinatorType::Group, group, &request, |coordinator, response| {
            let described = response.groups.into_iter().next().ok_or_else(|| missing(group))?;
            let message = described.error_message.as_deref();
            ClientError::check(format!("streams group {group}"), described.error_code, message)?;
            StreamsGroupDescription::read(described, coordinator)
        })
        .await
    }
}

impl StreamsGroupDescription {
    fn read(group: DescribedGroup, coordinator: i32) -> Result<Self, ClientError> {
        let topology_description =
            read_status(group.topology_description_status, group.topology_description)?;
        let Some(topology) = group.topology else {
            return Err(ClientError::IllegalState("Topology information is missing".into()));
        };
        Ok(Self {
            group_id: group.group_id,
            state: group.group_state,
            group_epoch: group.group_epoch,
            target_assignment_epoch: group.assignment_epoch,
            topology_epoch: topology.epoch,
            subtopologies: topology.subtopologies.unwrap_or_default(),
            members: group.members,
            assignor: group.assignor_name,
            topology_description,
            coordinator,
        })
    }
}

fn read_status(
    status: i8,
    description: Option<TopologyDescription>,
) -> Result<TopologyDescriptionStatus, ClientError> {
    Ok(match (status, description) {
        (0, _) => TopologyDescriptionStatus::NotRequested,
        (1, _) => TopologyDescriptionStatus::NotStored,
        (2, _) => TopologyDescriptionStatus::Error,
        (3, Some(description)) => TopologyDescriptionStatus::Available(description),
        (3, None) => {
            let message = "Topology description is missing despite status AVAILABLE";
            return Err(ClientError::IllegalState(message.into()));
        }
        (other, _) => {
            return Err(ClientError::IllegalState(format!("Unknown topology description status {other}")));
        }
    })
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::streams_group_describe_response::Topology;

    use super::*;

    #[test]
    fn groups_need_a_topology_and_a_known_status() {
        let group = || DescribedGroup { group_id: "g".into(), topology: None, ..DescribedGroup::default() };
        assert!(StreamsGroupDescription::read(group(), 1).is_err());
        let with_topology = |epoch| Some(Topology { epoch, subtopologies: None, ..Topology::default() });
        let described = DescribedGroup { topology: with_topology(3), ..group() };
        let read = StreamsGroupDescription::read(described, 1).unwrap();
        assert_eq!((read.topology_epoch, read.subtopologies.len()), (3, 0));
        assert_eq!(read.topology_description, TopologyDescriptionStatus::NotRequested);
        let drawn = DescribedGroup {
            topology: with_topology(3),
            topology_description_status: 3,
            topology_description: Some(TopologyDescription::default()),
            ..group()
        };
        let read = StreamsGroupDescription::read(drawn, 1).unwrap();
        assert!(matches!(read.topology_description, TopologyDescriptionStatus::Available(_)));
        let odd = DescribedGroup { topology: with_topology(3), topology_description_status: 9, ..group() };
        assert!(StreamsGroupDescription::read(odd, 1).is_err());
    }
}

//! ListGroups, versions 0 to 5, with filters by state (KIP-518) and type (KIP-848).

use bytestring::ByteString;
use ottla_protocol::messages::ListGroupsRequest;
use ottla_protocol::messages::list_groups_response::ListedGroup;

use crate::group::{Group, GroupCoordinatorShard, GroupType};

impl GroupCoordinatorShard {
    /// The groups that pass the request's filters. `committed` is the same shard as of the committed
    /// records: a group is shown from the moment it is committed, and then as it stands.
    pub fn list_groups(&self, committed: &Self, request: &ListGroupsRequest) -> Vec<ListedGroup> {
        let states: Vec<String> = request.states_filter.iter().map(|s| s.to_lowercase()).collect();
        // A type that nobody knows matches nothing; it is no error.
        let types: Vec<_> = request.types_filter.iter().map(|name| GroupType::parse(name)).collect();
        let passes = |group: &Group| {
            let state = group.state_name().to_ascii_lowercase();
            (states.is_empty() || states.iter().any(|filter| filter.trim() == state))
                && (types.is_empty() || types.contains(&Some(group.group_type())))
        };
        let newest = |(group_id, group)| (group_id, self.groups.get(group_id).unwrap_or(group));
        let groups = committed.groups.iter().map(newest).filter(|(_, group)| passes(group));
        groups.map(|(group_id, group)| listed(group_id, group)).collect()
    }
}

fn listed(group_id: &ByteString, group: &Group) -> ListedGroup {
    let protocol_type = match group {
        Group::Classic(group) => group.protocol_type.clone().unwrap_or_default(),
        // The newer protocols' types of protocol have the names of their types of group.
        Group::Consumer(_) | Group::Share(_) | Group::Streams(_) => {
            ByteString::from_static(group.group_type().name())
        }
    };
    ListedGroup {
        group_id: group_id.clone(),
        protocol_type,
        group_state: ByteString::from_static(group.state_name()),
        group_type: ByteString::from_static(group.group_type().name()),
        ..Default::default()
    }
}

#[cfg(test)]
#[path = "list_groups_test.rs"]
mod tests;

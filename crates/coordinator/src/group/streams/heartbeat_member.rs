use std::collections::BTreeMap;

use bytestring::ByteString;

use super::error::StreamsGroupError;
use super::heartbeat::Heartbeat;
use super::heartbeat_validation::validate_member_epoch;
use super::member::{StreamsGroupMember, UserEndpoint};
use super::record::StreamsGroupRecord;
use super::tasks::TasksTuple;
use crate::group::modern::LEAVE_GROUP_STATIC_MEMBER_EPOCH;

const NO_TIMEOUT: i32 = -1;

/// Who a heartbeat is from.
impl Heartbeat<'_> {
    /// The member as the group knows it, or a new one; and whose place it took, if it did.
    pub(super) fn member(&mut self) -> Result<(StreamsGroupMember, Option<ByteString>), StreamsGroupError> {
        match &self.request.instance_id {
            None => Ok((self.dynamic_member()?, None)),
            Some(instance_id) => self.static_member(instance_id),
        }
    }

    fn dynamic_member(&self) -> Result<StreamsGroupMember, StreamsGroupError> {
        let member = self.known_or_new()?;
        validate_member_epoch(&member, self.request.member_epoch, self.owned.as_ref())?;
        Ok(member)
    }

    fn known_or_new(&self) -> Result<StreamsGroupMember, StreamsGroupError> {
        let member_id = &self.request.member_id;
        match self.group.member(member_id) {
            Ok(member) => Ok(StreamsGroupMember::clone(member)),
            Err(_) if self.is_joining() => Ok(StreamsGroupMember::new(member_id.clone())),
            Err(error) => Err(error),
        }
    }

    fn static_member(
        &mut self,
        instance_id: &ByteString,
    ) -> Result<(StreamsGroupMember, Option<ByteString>), StreamsGroupError> {
        let member_id = &self.request.member_id;
        let owner = |member: &StreamsGroupMember| (instance_id.clone(), member.member_id.clone());
        match self.group.static_member(instance_id) {
            None if self.is_joining() => Ok((self.known_or_new()?, None)),
            None => Err(StreamsGroupError::UnknownInstanceId(instance_id.clone())),
            Some(old) if self.is_joining() => {
                if old.member_epoch != LEAVE_GROUP_STATIC_MEMBER_EPOCH {
                    let (instance_id, owner) = owner(old);
                    return Err(StreamsGroupError::UnreleasedInstanceId { instance_id, owner });
                }
                let mut new = StreamsGroupMember::clone(old);
                new.member_id = member_id.clone();
                (new.member_epoch, new.previous_member_epoch) = (0, 0);
                let replaced = old.member_id.clone();
                self.replace(&replaced, &new);
                Ok((new, Some(replaced)))
            }
            Some(old) if old.member_id != *member_id => {
                let (instance_id, owner) = owner(old);
                Err(StreamsGroupError::FencedInstanceId { instance_id, owner })
            }
            Some(member) => {
                validate_member_epoch(member, self.request.member_epoch, self.owned.as_ref())?;
                Ok((StreamsGroupMember::clone(member), None))
            }
        }
    }

    /// A static member is back under another id: everything that was the old one's is its own. The old
    /// one's timers are left running; they find nobody.
    fn replace(&mut self, old: &ByteString, new: &StreamsGroupMember) {
        let group_id = self.group.group_id();
        let target = self.group.target_assignment(old).map(|tasks| TasksTuple::clone(tasks));
        let records = &mut self.decision.records;
        records.extend(StreamsGroupRecord::member_tombstones(group_id, old));
        records.push(StreamsGroupRecord::member(group_id, new));
        let target = target.unwrap_or_default();
        records.push(StreamsGroupRecord::target_assignment(group_id, &new.member_id, &target));
        records.push(StreamsGroupRecord::current_assignment(group_id, new));
    }

    /// The member as the heartbeat says it is. What it does not speak of stays.
    pub(super) fn updated_member(
        &self,
        before: &StreamsGroupMember,
    ) -> Result<StreamsGroupMember, StreamsGroupError> {
        let request = self.request;
        let mut member = before.clone();
        member.client_id = self.context.client_id.clone();
        member.client_host = self.context.client_host.clone();
        member.instance_id = request.instance_id.clone().or(member.instance_id);
        member.rack_id = request.rack_id.clone().or(member.rack_id);
        if request.rebalance_timeout_ms != NO_TIMEOUT {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(topology) = &request.topology {
            member.topology_epoch = topology.epoch;
        }
        if let Some(process_id) = &request.process_id {
            member.process_id = process_id.clone();
        }
        let endpoint = request.user_endpoint.as_ref();
        let endpoint = endpoint.map(|said| UserEndpoint { host: said.host.clone(), port: said.port });
        if endpoint.is_some() || self.is_joining() {
            member.user_endpoint = endpoint;
        }
        if let Some(tags) = &request.client_tags {
            member.client_tags = BTreeMap::new();
            for tag in tags {
                if member.client_tags.insert(tag.key.clone(), tag.value.clone()).is_some() {
                    let reason = format!("client tag {} is there twice", tag.key);
                    return Err(StreamsGroupError::InvalidRequest(reason));
                }
            }
        }
        Ok(member)
    }
}

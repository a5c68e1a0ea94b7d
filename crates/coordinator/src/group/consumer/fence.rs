//! Members go, or others take their places.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;

use super::partition_epochs::is_subset;
use super::work::Work;
use super::{ConsumerGroupMember, record_of};

impl ConsumerGroupMember {
    /// Whether the member says that it has nothing but what it was given.
    pub(crate) fn has_only(&self, owned: Option<&[TopicPartitions]>) -> bool {
        is_subset(owned, &self.assigned_partitions)
    }
}

impl Work<'_> {
    /// Removes members. When that leaves only members of the classic protocol, the group may become a
    /// classic one.
    pub(crate) fn fence(&mut self, member_ids: BTreeSet<ByteString>) {
        let members: Vec<Arc<ConsumerGroupMember>> =
            member_ids.iter().filter_map(|id| self.group.member(id).cloned()).collect();
        if members.is_empty() {
            return;
        }
        let generation_id = self.group.epoch;
        if self.may_downgrade_without(&member_ids)
            && self.convert_to_classic(&member_ids, generation_id, true)
        {
            return;
        }
        for member in &members {
            self.write_member_tombstones(&member.member_id);
        }
        let regexes: BTreeSet<&ByteString> = members.iter().filter_map(|member| member.regex()).collect();
        for regex in regexes {
            if self.group.num_regex_members(regex) == 0 {
                self.write_regex_tombstone(regex);
            }
        }
        let hash = self.metadata_hash();
        self.bump_epoch(hash);
        if self.group.is_empty() {
            // Nobody is left to compute an assignment for; the next member is not to wait for its.
            self.write(record_of::target_metadata(&self.group.group_id, self.group.epoch, 0));
        }
        for member in &members {
            self.cancel_timers(&member.member_id);
        }
    }

    /// Writes that a static member goes by another member id now, and gives it. The timers of the old
    /// id run on: they will find nobody.
    pub(crate) fn replace_static_member(
        &mut self,
        old: &ConsumerGroupMember,
        member_id: ByteString,
    ) -> ConsumerGroupMember {
        let member = old.returning_as(member_id);
        let target = Arc::clone(self.group.target.member(&old.member_id));
        let group_id = self.group.group_id.clone();
        self.write_member_tombstones(&old.member_id);
        self.write_member(&member);
        self.write(record_of::target(&group_id, &member.member_id, &target));
        self.write_current(&member);
        member
    }
}

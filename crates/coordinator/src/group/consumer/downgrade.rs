//! A consumer group whose last member of the new protocol is gone becomes a classic group, while its
//! classic members live on (KIP-848).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use super::consumer_protocol::{decode_subscription, encode_assignment, subscription_version};
use super::work::Work;
use super::{ConsumerGroup, ConsumerGroupMember, Conversion, record_of};
use crate::group::classic::rebalance::Rebalance;
use crate::group::classic::{ClassicGroup, ClassicGroupMember, ClassicGroupState, Protocol};

const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

impl Work<'_> {
    /// Whether the group is to become a classic one once these members are gone.
    pub(crate) fn may_downgrade_without(&self, leaving: &BTreeSet<ByteString>) -> bool {
        let leaving: Vec<_> = leaving.iter().filter_map(|id| self.group.member(id)).collect();
        let classic = leaving.iter().filter(|member| member.uses_classic_protocol()).count();
        let stay = self.group.num_members() - leaving.len();
        self.group.all_use_classic_protocol_except(leaving.len(), classic)
            && stay > 0
            && self.may_be_classic(stay)
    }

    /// Whether the group is to become a classic one once a classic member takes this one's place.
    pub(crate) fn may_downgrade_replacing(&self, replaced: &ConsumerGroupMember) -> bool {
        !replaced.uses_classic_protocol()
            && self.group.all_use_classic_protocol_except(1, 0)
            && self.may_be_classic(self.group.num_members())
    }

    /// Makes the group a classic one without the members that leave; `generation_id` is its newest, and
    /// `rebalance` says whether its members are to make another one. `false` when that cannot be done:
    /// some member's subscription cannot be read.
    pub(crate) fn convert_to_classic(
        &mut self,
        leaving: &BTreeSet<ByteString>,
        generation_id: i32,
        rebalance: bool,
    ) -> bool {
        let Some(group) = self.classic_group(leaving, generation_id) else { return false };
        let mut work = Rebalance::of(self.context.classic_config, self.context.now_ms, group);
        work.records.push(work.group.to_record(|member| member.assignment.clone()));
        for member_id in work.member_ids() {
            work.reschedule_heartbeat(&member_id);
        }
        if rebalance {
            work.prepare_rebalance();
        }
        for member_id in self.group.members.keys().cloned().collect::<Vec<_>>() {
            self.cancel_timers(&member_id);
        }
        for record in tombstones(&self.group) {
            self.push(record);
        }
        self.conversion = Some(Conversion::ToClassic(Box::new(work.decided(()))));
        true
    }

    fn may_be_classic(&self, num_members: usize) -> bool {
        let max_size = usize::try_from(self.context.classic_config.classic_group_max_size).unwrap_or(0);
        self.context.config.migration_policy.is_downgrade_enabled() && num_members <= max_size
    }

    fn classic_group(&self, leaving: &BTreeSet<ByteString>, generation_id: i32) -> Option<ClassicGroup> {
        let mut classic = ClassicGroup::new(self.group.group_id.clone(), Some(self.context.now_ms));
        let stays = |member: &&Arc<ConsumerGroupMember>| !leaving.contains(&member.member_id);
        let mut topics = BTreeSet::new();
        for member in self.group.members().filter(stays) {
            classic.put_member(classic_member(member)?);
        }
        classic.state = ClassicGroupState::Stable;
        classic.generation_id = generation_id;
        classic.protocol_name = classic.select_protocol();
        let protocol = classic.protocol_name.clone()?;
        for member_id in classic.members().map(|m| m.member_id.clone()).collect::<Vec<_>>() {
            let subscription = classic.member(&member_id)?.metadata(&protocol)?;
            topics.extend(decode_subscription(subscription).ok()?.topics.iter().map(crate::group::owned));
            let version = subscription_version(subscription).ok()?;
            let target = self.group.target.member(&member_id);
            let assignment = encode_assignment(target.iter(), version, self.context.metadata).ok()?;
            classic.update_member(&member_id, |member| member.assignment = assignment);
        }
        classic.subscribed_topics = Some(Arc::new(topics));
        Some(classic)
    }
}

/// The records that delete the group: of each kind its members', then the group's own.
pub(super) fn tombstones(group: &ConsumerGroup) -> Vec<super::ConsumerGroupRecord> {
    let group_id = &group.group_id;
    let mut records = Vec::new();
    records.extend(group.members.keys().map(|id| record_of::current_tombstone(group_id, id)));
    records.extend(group.members.keys().map(|id| record_of::target_tombstone(group_id, id)));
    records.push(record_of::target_metadata_tombstone(group_id));
    records.extend(group.members.keys().map(|id| record_of::member_tombstone(group_id, id)));
    let regexes = group.resolved_regexes.keys();
    records.extend(regexes.map(|regex| record_of::regular_expression_tombstone(group_id, regex)));
    records.push(record_of::subscription_metadata_tombstone(group_id));
    records.push(record_of::epoch_tombstone(group_id));
    records
}

fn classic_member(member: &ConsumerGroupMember) -> Option<ClassicGroupMember> {
    let session_timeout_ms = member.classic_session_timeout_ms()?;
    let protocols = member.classic_protocols().iter();
    let protocols: Vec<Protocol> = protocols
        .map(|protocol| Protocol { name: protocol.name.clone(), metadata: protocol.metadata.clone() })
        .collect();
    Some(ClassicGroupMember {
        member_id: member.member_id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms,
        protocol_type: ByteString::from_static(CONSUMER_PROTOCOL_TYPE),
        protocols: Arc::from(protocols),
        assignment: Bytes::new(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    })
}

impl ConsumerGroup {
    /// The records that delete the group.
    pub fn tombstones(&self) -> Vec<super::ConsumerGroupRecord> {
        tombstones(self)
    }
}

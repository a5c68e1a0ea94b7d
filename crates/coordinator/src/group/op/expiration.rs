//! Offsets that nobody needs any more, and groups that nothing is left of (KIP-186, KIP-211).

use bytestring::ByteString;

use crate::group::classic::ClassicGroupState as State;
use crate::group::{
    Group, GroupCoordinatorShard, GroupRecord, GroupResult, GroupTimerEvent, GroupTimerKey, OffsetAndMetadata,
};
use crate::runtime::TimerChange;

/// From when on the retention time of an offset counts.
#[derive(Debug, Clone, Copy)]
enum ExpiresSince {
    /// From its commit.
    Commit,
    /// From the moment that the group lost its last member.
    Empty(i64),
}

impl GroupCoordinatorShard {
    /// Expires offsets, deletes groups, and asks to be called again.
    pub(in crate::group) fn cleanup_group_metadata(&self, now_ms: i64) -> GroupResult<()> {
        let mut records = Vec::new();
        for (group_id, group) in self.groups.iter() {
            let nothing_left = self.cleanup_expired_offsets(now_ms, group_id, group, &mut records);
            if nothing_left && self.may_expire(group) {
                records.extend(group.tombstones());
            }
        }
        let mut result = GroupResult { atomic: false, ..GroupResult::with_records(records, ()) };
        result.timers.push(self.schedule_expiration(now_ms));
        result
    }

    /// Whether nothing keeps a group that has no offsets left. Share groups have none to begin with.
    fn may_expire(&self, group: &Group) -> bool {
        match group {
            Group::Classic(_) | Group::Consumer(_) => group.is_empty(),
            Group::Share(_) => false,
            Group::Streams(group) => {
                group.should_expire(self.config.streams.topology_description_plugin_configured)
            }
        }
    }

    pub(in crate::group) fn schedule_expiration(
        &self,
        now_ms: i64,
    ) -> TimerChange<GroupTimerKey, GroupTimerEvent> {
        TimerChange::Schedule {
            key: GroupTimerKey::Expiration,
            deadline_ms: now_ms.saturating_add(self.config.offsets_retention_check_interval_ms.max(1)),
            event: GroupTimerEvent::ExpireOffsets,
        }
    }

    /// Adds the tombstones of what expired; tells whether nothing of the group's offsets is left.
    fn cleanup_expired_offsets(
        &self,
        now_ms: i64,
        group_id: &ByteString,
        group: &Group,
        records: &mut Vec<GroupRecord>,
    ) -> bool {
        let open_transaction = self.offsets.group_has_pending(group_id);
        let Some(topics) = self.offsets.committed.group(group_id) else { return !open_transaction };
        let Some(since) = expires_since(group) else { return false };
        let mut nothing_left = true;
        for (topic, partitions) in topics.iter() {
            let subscribed = group.is_subscribed_to(topic);
            for (partition, offset) in partitions.iter() {
                let expired = !subscribed
                    && is_expired(now_ms, since, self.config.offsets_retention_ms, offset)
                    && !self.offsets.has_pending(group_id, topic, *partition);
                if expired {
                    records.push(GroupRecord::offset_tombstone(group_id, topic, *partition));
                }
                nothing_left &= expired;
            }
        }
        nothing_left && !open_transaction
    }
}

/// `None`: nothing of this group expires for now.
fn expires_since(group: &Group) -> Option<ExpiresSince> {
    let group = match group {
        Group::Classic(group) => group,
        Group::Consumer(_) | Group::Streams(_) => return Some(ExpiresSince::Commit),
        Group::Share(_) => return None,
    };
    if group.protocol_type.is_none() {
        // A group that only keeps offsets.
        return Some(ExpiresSince::Commit);
    }
    match group.state() {
        // Records before version 2 do not say since when the group has been empty.
        State::Empty => {
            Some(group.current_state_timestamp_ms.map_or(ExpiresSince::Commit, ExpiresSince::Empty))
        }
        State::Stable if group.uses_consumer_protocol() && group.subscribed_topics.is_some() => {
            Some(ExpiresSince::Commit)
        }
        State::Stable | State::PreparingRebalance | State::CompletingRebalance | State::Dead => None,
    }
}

fn is_expired(now_ms: i64, since: ExpiresSince, retention_ms: i64, offset: &OffsetAndMetadata) -> bool {
    if let Some(expire_timestamp_ms) = offset.expire_timestamp_ms {
        return now_ms >= expire_timestamp_ms;
    }
    let since_ms = match since {
        ExpiresSince::Commit => offset.commit_timestamp_ms,
        ExpiresSince::Empty(since_ms) => since_ms,
    };
    now_ms.saturating_sub(since_ms) >= retention_ms
}

#[cfg(test)]
#[path = "expiration_test.rs"]
mod tests;

use bytestring::ByteString;

use super::consumer::{ConsumerGroupTimer, ConsumerGroupTimerEvent};
use super::share::ShareTimer;
use super::streams::StreamsGroupTimer;
use crate::runtime::TimerChange;

/// Names a timer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupTimerKey {
    /// A classic member's session: group, member.
    Heartbeat(ByteString, ByteString),
    /// The end of joining.
    Join(ByteString),
    /// The end of waiting for SyncGroup requests.
    Sync(ByteString),
    /// The next look for offsets that expired.
    Expiration,
    /// Of a consumer group's member.
    Consumer(ConsumerGroupTimer),
    /// Of a share group.
    Share(ShareTimer),
    /// Of a streams group.
    Streams(StreamsGroupTimer),
}

/// What a timer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupTimerEvent {
    /// A classic member was silent for too long.
    ExpireMember {
        /// The group.
        group_id: ByteString,
        /// The member.
        member_id: ByteString,
    },
    /// The rebalance timeout is over.
    CompleteJoin {
        /// The group.
        group_id: ByteString,
    },
    /// The delay of a group's first rebalance is over.
    InitialRebalance {
        /// The group.
        group_id: ByteString,
        /// How long the delay was.
        delay_ms: i32,
        /// How much longer it may be made.
        remaining_ms: i32,
    },
    /// The time for SyncGroup requests is over.
    ExpirePendingSync {
        /// The group.
        group_id: ByteString,
        /// The generation that it was for.
        generation_id: i32,
    },
    /// Look for offsets that expired, and for groups that nothing is left of.
    ExpireOffsets,
    /// Of a consumer group's member.
    Consumer(ConsumerGroupTimerEvent),
    /// Of a share group.
    Share(ShareTimer),
    /// Of a streams group.
    Streams(StreamsGroupTimer),
}

impl GroupTimerEvent {
    /// The timer that says this, if it belongs to a group of a newer protocol.
    pub(crate) fn modern_key(&self) -> Option<GroupTimerKey> {
        match self {
            Self::Consumer(event) => Some(GroupTimerKey::Consumer(event.timer.clone())),
            Self::Share(timer) => Some(GroupTimerKey::Share(timer.clone())),
            Self::Streams(timer) => Some(GroupTimerKey::Streams(timer.clone())),
            Self::ExpireMember { .. }
            | Self::CompleteJoin { .. }
            | Self::InitialRebalance { .. }
            | Self::ExpirePendingSync { .. }
            | Self::ExpireOffsets => None,
        }
    }
}

/// A timer change in the words of the shard.
pub(crate) fn wrapped<K, E>(
    change: TimerChange<K, E>,
    key: impl FnOnce(K) -> GroupTimerKey,
    event: impl FnOnce(E) -> GroupTimerEvent,
) -> TimerChange<GroupTimerKey, GroupTimerEvent> {
    match change {
        TimerChange::Schedule { key: name, deadline_ms, event: says } => {
            TimerChange::Schedule { key: key(name), deadline_ms, event: event(says) }
        }
        TimerChange::Cancel { key: name } => TimerChange::Cancel { key: key(name) },
    }
}

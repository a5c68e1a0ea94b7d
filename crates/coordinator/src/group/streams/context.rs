use bytestring::ByteString;

use super::config::StreamsGroupConfig;
use super::error::StreamsGroupError;
use super::group::StreamsGroup;
use super::record::StreamsGroupRecord;
use super::soft_state::{SoftChange, StreamsGroupChange, StreamsGroupSoftState};
use crate::metadata::CoordinatorMetadata;
use crate::runtime::TimerChange;

/// What a decision about one streams group may look at.
#[derive(Debug, Clone, Copy)]
pub struct StreamsGroupContext<'a> {
    /// The time.
    pub now_ms: i64,
    /// What holds for this group.
    pub config: &'a StreamsGroupConfig,
    /// The topics of the cluster.
    pub metadata: &'a dyn CoordinatorMetadata,
    /// The group. `None` when there is none, or a classic one without members whose deletion is written
    /// in front of whatever is decided here.
    pub group: Option<&'a StreamsGroup>,
    /// What is known of the group without being in the log.
    pub soft: &'a StreamsGroupSoftState,
}

/// What a streams group decided: nothing in here has happened yet.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamsDecision<T> {
    /// To be appended as one batch, in this order, and replayed.
    pub records: Vec<StreamsGroupRecord>,
    /// The answer, to be held back until the records are committed.
    pub response: T,
    /// Timers to start and to stop, in this order.
    pub timers: Vec<TimerChange<StreamsGroupTimer, StreamsGroupTimer>>,
    /// Changes outside the log; they happen before the append, whatever becomes of it.
    pub changes: Vec<StreamsGroupChange>,
}

/// Names a timer of a streams group, and is what it says when it fires.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamsGroupTimer {
    /// A member was silent for too long.
    Session {
        /// The group.
        group_id: ByteString,
        /// The member.
        member_id: ByteString,
    },
    /// A member took too long to give tasks up.
    Rebalance {
        /// The group.
        group_id: ByteString,
        /// The member.
        member_id: ByteString,
    },
    /// The first assignment of a group waited long enough for more members.
    InitialRebalance {
        /// The group.
        group_id: ByteString,
    },
}

impl StreamsGroupTimer {
    /// The group that the timer is of.
    pub fn group_id(&self) -> &ByteString {
        match self {
            Self::Session { group_id, .. }
            | Self::Rebalance { group_id, .. }
            | Self::InitialRebalance { group_id } => group_id,
        }
    }

    /// Starts the timer, to go off after so long.
    pub(crate) fn after(self, now_ms: i64, timeout_ms: i32) -> TimerChange<Self, Self> {
        let deadline_ms = now_ms.saturating_add(i64::from(timeout_ms));
        TimerChange::Schedule { key: self.clone(), deadline_ms, event: self }
    }
}

impl<T> StreamsDecision<T> {
    /// An answer that changes nothing.
    pub fn of(response: T) -> Self {
        Self { records: Vec::new(), response, timers: Vec::new(), changes: Vec::new() }
    }

    /// An answer behind records.
    pub fn with_records(records: Vec<StreamsGroupRecord>, response: T) -> Self {
        Self { records, ..Self::of(response) }
    }

    /// The same decision with another answer.
    pub fn map<U>(self, response: impl FnOnce(T) -> U) -> StreamsDecision<U> {
        let Self { records, response: old, timers, changes } = self;
        StreamsDecision { records, response: response(old), timers, changes }
    }
}

impl<'a> StreamsGroupContext<'a> {
    /// The group, which must be there.
    pub(crate) fn existing(&self, group_id: &ByteString) -> Result<&'a StreamsGroup, StreamsGroupError> {
        self.group.ok_or_else(|| StreamsGroupError::GroupIdNotFound(group_id.clone()))
    }

    /// A change of the soft state of this group.
    pub(crate) fn change(&self, group_id: &ByteString, change: SoftChange) -> StreamsGroupChange {
        StreamsGroupChange { group_id: crate::group::owned(group_id), change }
    }
}

use bytestring::ByteString;

use super::{ShareGroup, ShareGroupConfig, ShareGroupOverrides};
use crate::group::owned;
use crate::runtime::TimerChange;

/// The timers of share groups, and what they say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShareTimer {
    /// A member was silent for too long.
    SessionTimeout {
        /// The group.
        group_id: ByteString,
        /// The member.
        member_id: ByteString,
    },
    /// The share coordinator had time enough to initialize partitions: ask it again.
    InitializeRetry {
        /// The group.
        group_id: ByteString,
    },
}

impl ShareTimer {
    pub(in crate::group) fn session(group_id: &ByteString, member_id: &ByteString) -> Self {
        Self::SessionTimeout { group_id: owned(group_id), member_id: owned(member_id) }
    }

    /// The group that the timer is about.
    pub fn group_id(&self) -> &ByteString {
        match self {
            Self::SessionTimeout { group_id, .. } | Self::InitializeRetry { group_id } => group_id,
        }
    }
}

/// The timers that a group needs when its log was replayed just now.
pub fn schedule_on_load(
    now_ms: i64,
    config: &ShareGroupConfig,
    overrides: &ShareGroupOverrides,
    group: &ShareGroup,
) -> Vec<TimerChange<ShareTimer, ShareTimer>> {
    let schedule = |timer: ShareTimer, timeout_ms: i32| {
        let deadline_ms = now_ms.saturating_add(i64::from(timeout_ms));
        TimerChange::Schedule { key: timer.clone(), deadline_ms, event: timer }
    };
    let session_timeout_ms = config.session_timeout_ms(overrides);
    let members = group.members();
    let mut timers: Vec<_> = members
        .map(|member| schedule(ShareTimer::session(group.group_id(), &member.member_id), session_timeout_ms))
        .collect();
    if group.state_partitions().is_some_and(|partitions| !partitions.initializing.is_empty()) {
        let retry = ShareTimer::InitializeRetry { group_id: group.group_id().clone() };
        timers.push(schedule(retry, config.initialize_retry_interval_ms));
    }
    timers
}

use bytestring::ByteString;

use super::{ShareGroupConfig, ShareGroupOverrides, ShareGroupRecord, ShareTimer, StatePartitions};
use crate::group::modern::Decision;
use crate::metadata::CoordinatorMetadata;

/// What is decided about a share group.
pub type ShareDecision<T> = Decision<T, ShareGroupRecord, ShareTimer>;

/// Decides about share groups: the moment, the rules, and the cluster that a decision is made in.
#[derive(Debug, Clone, Copy)]
pub struct ShareGroupManager<'a> {
    /// Now.
    pub now_ms: i64,
    /// The broker's rules.
    pub config: &'a ShareGroupConfig,
    /// The group's own rules.
    pub overrides: ShareGroupOverrides,
    /// The topics of the cluster.
    pub metadata: &'a dyn CoordinatorMetadata,
}

impl ShareGroupManager<'_> {
    /// Writes down which partitions have a state. As long as some are being initialized, a timer stands
    /// by in case that no answer comes.
    pub(in crate::group) fn write_state_partitions<T>(
        &self,
        decision: &mut ShareDecision<T>,
        group_id: &ByteString,
        partitions: &StatePartitions,
    ) {
        decision.records.push(ShareGroupRecord::state_partition_metadata(group_id, partitions));
        let timer = ShareTimer::InitializeRetry { group_id: group_id.clone() };
        if partitions.initializing.is_empty() {
            decision.cancel(timer);
        } else {
            let interval_ms = self.config.initialize_retry_interval_ms;
            decision.schedule(self.now_ms, interval_ms, timer.clone(), timer);
        }
    }

    pub(in crate::group) fn schedule_session_timeout<T>(
        &self,
        decision: &mut ShareDecision<T>,
        group_id: &ByteString,
        member_id: &ByteString,
    ) {
        let timer = ShareTimer::session(group_id, member_id);
        let timeout_ms = self.config.session_timeout_ms(&self.overrides);
        decision.schedule(self.now_ms, timeout_ms, timer.clone(), timer);
    }
}

//! What the control records say, up to the end of the log: the voters and `kraft.version` (KIP-853).
//!
//! A control record counts from the moment it is in the log, not only once it is committed, so the histories
//! remember earlier values for a truncation.

use std::collections::BTreeMap;

use ottla_record::RecordBatch;

use crate::control::{BatchError, ControlRecord, control_records};
use crate::{OffsetAndEpoch, VoterSet};

/// The offset at which records of the bootstrap snapshot count: before the log.
const BOOTSTRAP_OFFSET: i64 = -1;

/// Voters and `kraft.version` by offset.
#[derive(Debug, Clone, Default)]
pub struct PartitionState {
    static_voters: VoterSet,
    voters: BTreeMap<i64, VoterSet>,
    kraft_version: BTreeMap<i64, i16>,
}

impl PartitionState {
    /// Nothing read yet; the configured voters hold until the log names others.
    pub fn new(static_voters: VoterSet) -> Self {
        Self { static_voters, ..Self::default() }
    }

    /// Forgets all, before a snapshot is read.
    pub fn clear(&mut self) {
        self.voters.clear();
        self.kraft_version.clear();
    }

    /// Takes in a batch of the log.
    pub fn replay_batch(&mut self, batch: &RecordBatch) -> Result<(), BatchError> {
        for (offset, record) in control_records(batch)? {
            self.replay(offset, &record);
        }
        Ok(())
    }

    /// Takes in a batch of a snapshot; its records count at the last offset the snapshot stands for.
    pub fn replay_snapshot_batch(
        &mut self,
        id: OffsetAndEpoch,
        batch: &RecordBatch,
    ) -> Result<(), BatchError> {
        for (_, record) in control_records(batch)? {
            self.replay(id.offset - 1, &record);
        }
        Ok(())
    }

    /// Takes in one control record.
    pub fn replay(&mut self, offset: i64, record: &ControlRecord) {
        match record {
            ControlRecord::Voters(voters) => {
                self.voters.insert(offset, VoterSet::from_voters_record(voters));
            }
            ControlRecord::KRaftVersion(version) => {
                self.kraft_version.insert(offset, version.k_raft_version);
            }
            ControlRecord::LeaderChange(_)
            | ControlRecord::SnapshotHeader(_)
            | ControlRecord::SnapshotFooter(_)
            | ControlRecord::Other => {}
        }
    }

    /// Forgets what the log beyond this end said.
    pub fn truncate_new_entries(&mut self, end_offset: i64) {
        self.voters.split_off(&end_offset);
        self.kraft_version.split_off(&end_offset);
    }

    /// Forgets what is older than needed to know the value at this offset.
    pub fn truncate_old_entries(&mut self, start_offset: i64) {
        keep_from(&mut self.voters, start_offset);
        keep_from(&mut self.kraft_version, start_offset);
    }

    /// The voters at the end of the log.
    pub fn last_voter_set(&self) -> &VoterSet {
        self.voters.last_key_value().map_or(&self.static_voters, |(_, voters)| voters)
    }

    /// Where the log or a snapshot names the last voters; `None` if only the configuration does.
    pub fn last_voter_set_offset(&self) -> Option<i64> {
        self.voters.last_key_value().map(|(offset, _)| *offset)
    }

    /// `kraft.version` at the end of the log.
    pub fn last_kraft_version(&self) -> i16 {
        self.kraft_version.last_key_value().map_or(0, |(_, version)| *version)
    }

    /// Whether the last voters come from the snapshot that formatting wrote.
    pub fn has_bootstrap_voters(&self) -> bool {
        self.last_voter_set_offset() == Some(BOOTSTRAP_OFFSET)
    }

    /// The voters that a record at or before this offset names.
    pub fn voter_set_at(&self, offset: i64) -> Option<&VoterSet> {
        self.voters.range(..=offset).next_back().map(|(_, voters)| voters)
    }

    /// `kraft.version` at this offset.
    pub fn kraft_version_at(&self, offset: i64) -> i16 {
        self.kraft_version.range(..=offset).next_back().map_or(0, |(_, version)| *version)
    }
}

fn keep_from<V>(history: &mut BTreeMap<i64, V>, start_offset: i64) {
    if let Some(first) = history.range(..=start_offset).next_back().map(|(offset, _)| *offset) {
        *history = history.split_off(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_truncation() {
        let mut state = PartitionState::new(VoterSet::from_static("C", [(1, "h".into(), 1)]));
        assert_eq!((state.last_kraft_version(), state.last_voter_set().len()), (0, 1));
        state.replay(5, &ControlRecord::kraft_version(1));
        state.replay(9, &ControlRecord::kraft_version(2));
        assert_eq!((state.kraft_version_at(4), state.kraft_version_at(5)), (0, 1));
        state.truncate_new_entries(9);
        assert_eq!(state.last_kraft_version(), 1);
        state.replay(12, &ControlRecord::kraft_version(2));
        state.truncate_old_entries(12);
        assert_eq!((state.kraft_version_at(11), state.kraft_version_at(12)), (0, 2));
    }
}

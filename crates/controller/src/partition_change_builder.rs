//! From what a partition should become to the record that makes it so, with the election it needs.

use std::collections::BTreeMap;

use ottla_common::Uuid;
use ottla_metadata::{
    ApiMessageAndVersion, LeaderRecoveryState, MetadataVersion, NO_LEADER, NO_LEADER_CHANGE,
    PartitionRegistration,
};
use ottla_protocol::records::metadata::PartitionChangeRecord;

/// How far an election may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Election {
    /// Elect the preferred replica when it is in sync, keep the leader otherwise.
    Preferred,
    /// Keep the leader while it can lead; else elect somebody in sync.
    Online,
    /// As online, but rather lose records than be without a leader. Only on an operator's word: the
    /// topic's `unclean.leader.election.enable`, or an ElectLeaders request.
    Unclean,
}

/// What surrounds the partition, as far as the change depends on it.
pub struct PartitionChangeContext<'a> {
    /// The partition as it is.
    pub partition: &'a PartitionRegistration,
    /// Its topic.
    pub topic_id: Uuid,
    /// Its index.
    pub partition_id: i32,
    /// Whether a broker could lead it.
    pub is_acceptable_leader: &'a dyn Fn(i32) -> bool,
    /// Directory that a new replica on a broker goes to.
    pub default_dir: &'a dyn Fn(i32) -> Uuid,
    /// The level records are written at.
    pub metadata_version: MetadataVersion,
    /// The topic's `min.insync.replicas`, at most its replication factor.
    pub min_isr: usize,
    /// Whether eligible leader replicas are kept (KIP-966).
    pub elr_enabled: bool,
}

impl std::fmt::Debug for PartitionChangeContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartitionChangeContext({}:{})", self.topic_id, self.partition_id)
    }
}

/// Collects the targets of one change. What is not set stays as it is.
#[derive(Debug)]
pub struct PartitionChangeBuilder<'a> {
    context: PartitionChangeContext<'a>,
    target_isr: Vec<i32>,
    target_replicas: Vec<i32>,
    target_removing: Vec<i32>,
    target_adding: Vec<i32>,
    target_elr: Vec<i32>,
    target_last_known_elr: Vec<i32>,
    target_directories: BTreeMap<i32, Uuid>,
    target_leader_recovery_state: LeaderRecoveryState,
    unclean_shutdown_replica: Option<i32>,
    election: Election,
}

struct Elected {
    node: i32,
    unclean: bool,
}

impl<'a> PartitionChangeBuilder<'a> {
    /// A change that keeps everything, save for elections that are due.
    pub fn new(context: PartitionChangeContext<'a>) -> Self {
        let partition = context.partition;
        Self {
            target_isr: partition.isr.to_vec(),
            target_replicas: partition.replicas.to_vec(),
            target_removing: partition.removing_replicas.to_vec(),
            target_adding: partition.adding_replicas.to_vec(),
            target_elr: partition.elr.to_vec(),
            target_last_known_elr: partition.last_known_elr.to_vec(),
            target_directories: std::iter::zip(&partition.replicas, &partition.directories)
                .map(|(replica, dir)| (*replica, *dir))
                .collect(),
            target_leader_recovery_state: partition.leader_recovery_state,
            unclean_shutdown_replica: None,
            election: Election::Online,
            context,
        }
    }

    /// How far an election may go.
    pub fn election(mut self, election: Election) -> Self {
        self.election = election;
        self
    }

    /// Who shall be in sync.
    pub fn target_isr(mut self, isr: Vec<i32>) -> Self {
        self.target_isr = isr;
        self
    }

    /// Whether the leader is still recovering.
    pub fn target_leader_recovery_state(mut self, state: LeaderRecoveryState) -> Self {
        self.target_leader_recovery_state = state;
        self
    }

    /// A replica that went down without flushing: it can no longer be trusted to have every record.
    pub fn unclean_shutdown_replica(mut self, broker_id: i32) -> Self {
        self.unclean_shutdown_replica = Some(broker_id);
        self
    }

    /// Where a broker keeps its replica.
    pub fn directory(mut self, broker_id: i32, directory: Uuid) -> Self {
        self.target_directories.insert(broker_id, directory);
        self
    }

    /// The record, or none when nothing changes.
    pub fn build(mut self) -> Option<ApiMessageAndVersion> {
        let mut record = PartitionChangeRecord {
            topic_id: self.context.topic_id,
            partition_id: self.context.partition_id,
            ..Default::default()
        };
        self.complete_reassignment_if_needed();
        self.populate_target_elr();
        self.elect(&mut record);
        self.bump_leader_epoch_on_replica_removal(&mut record);
        self.set_elr(&mut record);
        let partition = self.context.partition;
        if record.isr.is_none()
            && (!self.target_isr.is_empty() || self.context.elr_enabled)
            && self.target_isr != partition.isr
        {
            // Without ELR the last member of the ISR stays in it, so that somebody can lead again.
            record.isr = Some(self.target_isr.clone());
        }
        self.bump_leader_epoch_on_isr_shrink(&mut record);
        self.set_last_known_leader(&mut record);
        self.set_assignment(&mut record);
        if self.target_leader_recovery_state != partition.leader_recovery_state {
            record.leader_recovery_state = self.target_leader_recovery_state.value();
        }
        if is_no_op(&record) {
            return None;
        }
        let version = self.context.metadata_version.partition_change_record_version();
        Some(ApiMessageAndVersion::new(record, version))
    }

    fn complete_reassignment_if_needed(&mut self) {
        if self.target_removing.is_empty() && self.target_adding.is_empty() {
            return;
        }
        let staying = |ids: &[i32]| -> Vec<i32> {
            ids.iter().copied().filter(|id| !self.target_removing.contains(id)).collect()
        };
        let isr = staying(&self.target_isr);
        let replicas = staying(&self.target_replicas);
        let in_sync = |ids: &[i32]| ids.iter().all(|id| isr.contains(id));
        if isr.is_empty() || replicas.is_empty() || !in_sync(&self.target_adding) {
            return;
        }
        // When the replication factor shrinks, an ISR smaller than need be must not result.
        if self.target_adding.len() < self.target_removing.len() && !in_sync(&replicas) {
            return;
        }
        self.target_isr = isr;
        self.target_replicas = replicas;
        self.target_removing.clear();
        self.target_adding.clear();
    }

    fn populate_target_elr(&mut self) {
        if !self.context.elr_enabled {
            return;
        }
        if self.target_isr.len() >= self.context.min_isr {
            self.target_elr.clear();
            self.target_last_known_elr.clear();
            return;
        }
        // Who leaves an ISR below min.insync.replicas still has every committed record: nothing more can
        // be committed until the ISR is large enough again.
        let mut candidates = self.target_elr.clone();
        candidates.extend(self.context.partition.isr.iter());
        candidates.sort_unstable();
        candidates.dedup();
        let outside = |id: &i32| !self.target_isr.contains(id);
        let elr: Vec<i32> = candidates
            .iter()
            .copied()
            .filter(outside)
            .filter(|id| Some(*id) != self.unclean_shutdown_replica)
            .collect();
        candidates.extend(&self.target_last_known_elr);
        candidates.sort_unstable();
        candidates.dedup();
        let last_known = candidates.into_iter().filter(outside).filter(|id| !elr.contains(id)).collect();
        self.target_last_known_elr = last_known;
        self.target_elr = elr;
    }

    fn elect(&mut self, record: &mut PartitionChangeRecord) {
        let partition = self.context.partition;
        let elected = self.choose_leader();
        if elected.node == partition.leader {
            return;
        }
        if self.target_elr.contains(&elected.node) {
            self.target_isr = vec![elected.node];
            self.target_elr.retain(|id| *id != elected.node);
        }
        record.leader = elected.node;
        if elected.unclean {
            record.isr = Some(vec![elected.node]);
            if partition.leader_recovery_state != LeaderRecoveryState::Recovering {
                record.leader_recovery_state = LeaderRecoveryState::Recovering.value();
            }
        }
    }

    fn choose_leader(&self) -> Elected {
        let clean = |node| Elected { node, unclean: false };
        let leader = self.context.partition.leader;
        let preferred = self.target_replicas.first().copied().unwrap_or(NO_LEADER);
        if self.election == Election::Preferred && self.is_valid_new_leader(preferred) {
            return clean(preferred);
        }
        if self.is_valid_new_leader(leader) {
            return clean(leader);
        }
        if let Some(node) = self.target_replicas.iter().find(|id| self.is_valid_new_leader(**id)) {
            return clean(*node);
        }
        if let Some(node) = self.electable_last_known_leader() {
            return Elected { node, unclean: true };
        }
        if self.election == Election::Unclean {
            let acceptable = |id: &&i32| (self.context.is_acceptable_leader)(**id);
            if let Some(node) = self.target_replicas.iter().find(acceptable) {
                return Elected { node: *node, unclean: true };
            }
        }
        clean(NO_LEADER)
    }

    fn is_valid_new_leader(&self, replica: i32) -> bool {
        let in_sync = self.target_isr.contains(&replica)
            || (self.target_isr.is_empty() && self.target_elr.contains(&replica));
        in_sync && (self.context.is_acceptable_leader)(replica)
    }

    /// When ISR and ELR are both empty, the last leader is the one that has most (KIP-966's balanced
    /// recovery). It went down uncleanly, so it comes back as recovering.
    fn electable_last_known_leader(&self) -> Option<i32> {
        let [last] = self.context.partition.last_known_elr[..] else {
            return None;
        };
        let nobody_else = self.target_elr.is_empty() && self.target_isr.is_empty();
        (self.context.elr_enabled && nobody_else && (self.context.is_acceptable_leader)(last)).then_some(last)
    }

    /// Removed replicas must learn that they are out, which they do from a higher leader epoch.
    fn bump_leader_epoch_on_replica_removal(&self, record: &mut PartitionChangeRecord) {
        let partition = self.context.partition;
        let removed = partition.replicas.iter().any(|id| !self.target_replicas.contains(id));
        if record.leader == NO_LEADER_CHANGE && removed {
            record.leader = partition.leader;
        }
    }

    fn bump_leader_epoch_on_isr_shrink(&self, record: &mut PartitionChangeRecord) {
        if !self.context.metadata_version.is_leader_epoch_bump_required_on_isr_shrink() {
            return;
        }
        let partition = self.context.partition;
        let shrinks = record.isr.as_ref().is_some_and(|isr| partition.isr.iter().any(|id| !isr.contains(id)));
        if record.leader == NO_LEADER_CHANGE && shrinks {
            record.leader = partition.leader;
        }
    }

    fn set_elr(&mut self, record: &mut PartitionChangeRecord) {
        let is_clean = record.isr.is_none();
        if !is_clean || !self.context.elr_enabled {
            self.target_elr.clear();
            self.target_last_known_elr.clear();
        }
        if self.target_elr != self.context.partition.elr {
            record.eligible_leader_replicas = Some(self.target_elr.clone());
        }
        // The last known ELR holds only the last leader: see set_last_known_leader.
    }

    fn set_last_known_leader(&self, record: &mut PartitionChangeRecord) {
        if !self.context.elr_enabled {
            return;
        }
        let partition = self.context.partition;
        if record.leader == NO_LEADER && partition.last_known_elr.is_empty() {
            record.last_known_elr = Some(vec![partition.leader]);
        } else if record.leader >= 0 && !partition.last_known_elr.is_empty() {
            record.last_known_elr = Some(Vec::new());
        }
    }

    fn set_assignment(&self, record: &mut PartitionChangeRecord) {
        let partition = self.context.partition;
        if !self.target_replicas.is_empty() {
            if self.context.metadata_version.is_directory_assignment_supported() {
                let directory = |id: &i32| {
                    let known = self.target_directories.get(id).copied();
                    known.unwrap_or_else(|| (self.context.default_dir)(*id))
                };
                let directories: Vec<Uuid> = self.target_replicas.iter().map(directory).collect();
                if *directories != *partition.directories {
                    record.directories = Some(directories);
                }
            }
            if self.target_replicas != partition.replicas {
                record.replicas = Some(self.target_replicas.clone());
            }
        }
        if self.target_removing != partition.removing_replicas {
            record.removing_replicas = Some(self.target_removing.clone());
        }
        if self.target_adding != partition.adding_replicas {
            record.adding_replicas = Some(self.target_adding.clone());
        }
    }
}

fn is_no_op(record: &PartitionChangeRecord) -> bool {
    let nothing = PartitionChangeRecord {
        topic_id: record.topic_id,
        partition_id: record.partition_id,
        ..Default::default()
    };
    *record == nothing
}

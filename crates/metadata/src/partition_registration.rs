//! What the metadata log says of one partition.

use ottla_common::Uuid;
use ottla_protocol::records::metadata::{PartitionChangeRecord, PartitionRecord};

use crate::image::ImageWriterOptions;
use crate::record::ApiMessageAndVersion;
use crate::replica_list::{RareReplicaList, ReplicaList};

/// Leader id that means "nobody".
pub const NO_LEADER: i32 = -1;
/// In a PartitionChangeRecord: the leader and its epoch stay.
pub const NO_LEADER_CHANGE: i32 = -2;
/// In a PartitionChangeRecord: the recovery state stays.
const NO_RECOVERY_CHANGE: i8 = -1;

/// Whether the leader was elected uncleanly and still has to say that it made its log consistent (KIP-704).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaderRecoveryState {
    /// The leader came from the ISR, or has recovered.
    #[default]
    Recovered,
    /// Elected from outside the ISR; the ISR stays at one until the leader has recovered.
    Recovering,
}

impl LeaderRecoveryState {
    /// The state's number.
    pub const fn value(self) -> i8 {
        match self {
            Self::Recovered => 0,
            Self::Recovering => 1,
        }
    }

    /// The state with this number.
    pub fn from_value(value: i8) -> Option<Self> {
        match value {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            _ => None,
        }
    }
}

/// One partition: who keeps it, who leads it, who is in sync.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionRegistration {
    /// Brokers that keep the partition, the preferred leader first.
    pub replicas: ReplicaList,
    /// Directory of each replica, in the order of `replicas`.
    pub directories: Box<[Uuid]>,
    /// In-sync replicas.
    pub isr: ReplicaList,
    /// Replicas that a reassignment is removing.
    pub removing_replicas: RareReplicaList,
    /// Replicas that a reassignment is adding.
    pub adding_replicas: RareReplicaList,
    /// Eligible leader replicas: out of the ISR, yet known to have every committed record (KIP-966).
    pub elr: RareReplicaList,
    /// The last leaders known before the ELR went empty (KIP-966).
    pub last_known_elr: RareReplicaList,
    /// Broker that leads, or [`NO_LEADER`].
    pub leader: i32,
    /// Whether the leader is recovering from an unclean election.
    pub leader_recovery_state: LeaderRecoveryState,
    /// Counts leaderships.
    pub leader_epoch: i32,
    /// Counts changes of any kind.
    pub partition_epoch: i32,
}

/// A partition record that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPartitionRecord {
    /// The two lists must have one length.
    #[error("{replicas} replicas have {directories} directories")]
    Directories {
        /// How many replicas the record names.
        replicas: usize,
        /// How many directories it names.
        directories: usize,
    },
    /// No such state.
    #[error("{0} is no leader recovery state")]
    RecoveryState(i8),
}

fn check_directories(replicas: usize, directories: &[Uuid]) -> Result<Box<[Uuid]>, InvalidPartitionRecord> {
    // Records from before KIP-858 have no directories: every replica then reads "migrating".
    if directories.iter().all(|dir| *dir == Uuid::MIGRATING_DIR) {
        return Ok(vec![Uuid::MIGRATING_DIR; replicas].into());
    }
    if directories.len() != replicas {
        return Err(InvalidPartitionRecord::Directories { replicas, directories: directories.len() });
    }
    Ok(directories.into())
}

fn recovery_state(value: i8) -> Result<LeaderRecoveryState, InvalidPartitionRecord> {
    LeaderRecoveryState::from_value(value).ok_or(InvalidPartitionRecord::RecoveryState(value))
}

impl PartitionRegistration {
    /// The partition as a PartitionRecord says it is.
    pub fn from_record(record: &PartitionRecord) -> Result<Self, InvalidPartitionRecord> {
        Ok(Self {
            directories: check_directories(record.replicas.len(), &record.directories)?,
            replicas: record.replicas.as_slice().into(),
            isr: record.isr.as_slice().into(),
            removing_replicas: record.removing_replicas.as_slice().into(),
            adding_replicas: record.adding_replicas.as_slice().into(),
            elr: record.eligible_leader_replicas.as_deref().unwrap_or_default().into(),
            last_known_elr: record.last_known_elr.as_deref().unwrap_or_default().into(),
            leader: record.leader,
            leader_recovery_state: recovery_state(record.leader_recovery_state)?,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        })
    }

    /// The partition after a change. Fields the record leaves out stay; the partition epoch always grows,
    /// the leader epoch grows whenever the record names a leader, even the same one.
    pub fn merge(&self, change: &PartitionChangeRecord) -> Result<Self, InvalidPartitionRecord> {
        fn pick<T: Clone + for<'a> From<&'a [i32]>>(new: &Option<Vec<i32>>, old: &T) -> T {
            new.as_deref().map_or_else(|| old.clone(), T::from)
        }
        let replicas = pick(&change.replicas, &self.replicas);
        let directories = change.directories.as_deref().unwrap_or(&self.directories);
        let leader_changes = change.leader != NO_LEADER_CHANGE;
        Ok(Self {
            directories: check_directories(replicas.len(), directories)?,
            replicas,
            isr: pick(&change.isr, &self.isr),
            removing_replicas: pick(&change.removing_replicas, &self.removing_replicas),
            adding_replicas: pick(&change.adding_replicas, &self.adding_replicas),
            elr: pick(&change.eligible_leader_replicas, &self.elr),
            last_known_elr: pick(&change.last_known_elr, &self.last_known_elr),
            leader: if leader_changes { change.leader } else { self.leader },
            leader_recovery_state: match change.leader_recovery_state {
                NO_RECOVERY_CHANGE => self.leader_recovery_state,
                value => recovery_state(value)?,
            },
            leader_epoch: self.leader_epoch.wrapping_add(i32::from(leader_changes)),
            partition_epoch: self.partition_epoch.wrapping_add(1),
        })
    }

    /// The record that brings this partition about at the options' `metadata.version`.
    pub fn to_record(
        &self,
        topic_id: Uuid,
        partition_id: i32,
        options: &ImageWriterOptions,
    ) -> ApiMessageAndVersion {
        let optional = |list: &[i32]| (options.elr_enabled && !list.is_empty()).then(|| list.to_vec());
        let directories = if options.metadata_version.is_directory_assignment_supported() {
            self.directories.to_vec()
        } else {
            Vec::new()
        };
        let record = PartitionRecord {
            partition_id,
            topic_id,
            replicas: self.replicas.to_vec(),
            isr: self.isr.to_vec(),
            removing_replicas: self.removing_replicas.to_vec(),
            adding_replicas: self.adding_replicas.to_vec(),
            leader: self.leader,
            leader_recovery_state: self.leader_recovery_state.value(),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories,
            eligible_leader_replicas: optional(&self.elr),
            last_known_elr: optional(&self.last_known_elr),
            ..Default::default()
        };
        ApiMessageAndVersion::new(record, options.metadata_version.partition_record_version())
    }

    /// Whether somebody leads.
    pub fn has_leader(&self) -> bool {
        self.leader != NO_LEADER
    }

    /// The first replica, which should lead when it can.
    pub fn preferred_replica(&self) -> i32 {
        self.replicas.first().copied().unwrap_or(NO_LEADER)
    }

    /// Whether the preferred replica leads.
    pub fn has_preferred_leader(&self) -> bool {
        self.leader == self.preferred_replica()
    }

    /// Whether the broker keeps this partition.
    pub fn is_replica(&self, broker_id: i32) -> bool {
        self.replicas.contains(&broker_id)
    }

    /// The directory in which the broker keeps this partition.
    pub fn directory(&self, broker_id: i32) -> Option<Uuid> {
        let index = self.replicas.iter().position(|replica| *replica == broker_id)?;
        self.directories.get(index).copied()
    }

    /// Whether replicas are being added or removed.
    pub fn is_reassigning(&self) -> bool {
        !self.removing_replicas.is_empty() || !self.adding_replicas.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> PartitionRegistration {
        PartitionRegistration {
            replicas: vec![1, 2, 3].into(),
            directories: [101, 102, 103].map(Uuid::from_u128).into(),
            isr: vec![1, 2].into(),
            leader: 1,
            leader_epoch: 4,
            partition_epoch: 9,
            elr: vec![3].into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_change_touches_only_what_it_names() {
        let change = PartitionChangeRecord { isr: Some(vec![1]), ..Default::default() };
        let merged = partition().merge(&change).unwrap();
        assert_eq!(merged, PartitionRegistration { isr: vec![1].into(), partition_epoch: 10, ..partition() });
        let change = PartitionChangeRecord { leader: 1, ..Default::default() };
        assert_eq!(partition().merge(&change).unwrap().leader_epoch, 5);
    }

    #[test]
    fn directories_must_match_replicas() {
        let change = PartitionChangeRecord { replicas: Some(vec![1, 2]), ..Default::default() };
        assert!(partition().merge(&change).is_err());
        let record = PartitionRecord { replicas: vec![1, 2], ..Default::default() };
        let read = PartitionRegistration::from_record(&record).unwrap();
        assert_eq!(*read.directories, [Uuid::MIGRATING_DIR; 2]);
        assert_eq!(read.directory(2), Some(Uuid::MIGRATING_DIR));
        assert_eq!(read.directory(7), None);
    }

    #[test]
    fn a_partition_is_small() {
        // A cluster has hundreds of thousands; with the counts of its `Arc` it fits 112 bytes.
        assert_eq!(size_of::<PartitionRegistration>(), 96);
    }
}

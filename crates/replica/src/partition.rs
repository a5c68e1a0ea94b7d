//! One partition with a replica here.

mod append;
mod read;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_metadata::PartitionRegistration;
use ottla_metadata::replica_list::ReplicaList;
use ottla_storage::{LogStartOffsetIncrementReason, StorageError, UnifiedLog};

use crate::parked::Parked;
use crate::waiters::{Place, Waiters, Wish};

/// What this broker is for a partition, as the metadata log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionRole {
    /// It leads: it takes records, and alone decides what is committed.
    Leader {
        /// The epoch it leads in.
        epoch: i32,
        /// Replicas that have everything that is committed.
        isr: ReplicaList,
        /// How many replicas there are.
        replicas: usize,
    },
    /// Another broker leads, or none.
    Follower {
        /// The newest epoch known.
        epoch: i32,
    },
}

impl PartitionRole {
    /// Whether this broker leads, and the epoch.
    fn leadership(&self) -> (bool, i32) {
        match self {
            Self::Leader { epoch, .. } => (true, *epoch),
            Self::Follower { epoch } => (false, *epoch),
        }
    }
}

/// One partition with a replica here.
///
/// The role is behind a read-write lock: appends and reads share it, a change of the role excludes
/// them, so no record is appended in an epoch that is over. The lock is never held across an await.
#[derive(Debug)]
pub struct Partition {
    topic_id: Uuid,
    node_id: i32,
    log: Arc<UnifiedLog>,
    role: RwLock<PartitionRole>,
    waiters: Waiters,
}

impl Partition {
    /// A replica whose role is not known yet.
    pub fn new(topic_id: Uuid, node_id: i32, log: Arc<UnifiedLog>) -> Self {
        let role = RwLock::new(PartitionRole::Follower { epoch: -1 });
        Self { topic_id, node_id, log, role, waiters: Waiters::default() }
    }

    /// Its name.
    pub fn topic_partition(&self) -> &TopicPartition {
        self.log.topic_partition()
    }

    /// Its topic's id.
    pub fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// Its log.
    pub fn log(&self) -> &Arc<UnifiedLog> {
        &self.log
    }

    /// The epoch in which this broker leads, if it does.
    pub fn leader_epoch(&self) -> Option<i32> {
        match &*self.role() {
            PartitionRole::Leader { epoch, .. } => Some(*epoch),
            PartitionRole::Follower { .. } => None,
        }
    }

    /// Takes over what the metadata log says. Answers whether this broker begins to lead.
    pub fn apply(&self, registration: &PartitionRegistration) -> Result<bool, StorageError> {
        let epoch = registration.leader_epoch;
        let leads = registration.leader == self.node_id;
        let (began, is_same) = {
            let mut role = self.role_mut();
            let before = role.leadership();
            *role = if leads {
                let (isr, replicas) = (registration.isr.clone(), registration.replicas.len());
                PartitionRole::Leader { epoch, isr, replicas }
            } else {
                PartitionRole::Follower { epoch }
            };
            let is_same = role.leadership() == before;
            if leads && !is_same {
                self.log.assign_epoch_start_offset(epoch, self.log.log_end_offset());
            }
            if let PartitionRole::Leader { isr, .. } = &*role {
                self.advance_high_watermark(isr);
            }
            (leads && !is_same, is_same)
        };
        if is_same {
            self.tell_of_the_log()
        } else {
            self.waiters.give_up()
        }
        Ok(began)
    }

    /// Whoever waits counts what the log has now.
    fn tell_of_the_log(&self) {
        self.waiters.moved(|| self.log.known_offsets());
    }

    /// With fewer replicas in sync than this, nothing is promised. More than there are cannot be asked for.
    fn min_isr(&self, replicas: usize) -> usize {
        usize::try_from(self.log.config().min_insync_replicas).unwrap_or(0).min(replicas)
    }

    /// Stops leading because the partition leaves this broker; whoever waits looks again.
    pub(crate) fn close(&self) {
        let (_, epoch) = self.role().leadership();
        *self.role_mut() = PartitionRole::Follower { epoch };
        self.waiters.give_up();
    }

    /// What is replicated to the whole ISR is committed. Alone in it, the leader commits by writing.
    fn advance_high_watermark(&self, isr: &[i32]) {
        if isr.iter().all(|replica| *replica == self.node_id) {
            self.log.maybe_increment_high_watermark(self.log.log_end_offset_metadata());
        }
    }

    /// Moves the log's start; -1 stands for the high watermark. Answers the new start.
    pub fn delete_records(&self, offset: i64) -> Result<i64, ErrorCode> {
        self.check_leader(None)?;
        if !self.log.config().delete {
            return Err(ErrorCode::PolicyViolation);
        }
        let offset = if offset == -1 { self.log.high_watermark() } else { offset };
        if offset < 0 || offset > self.log.high_watermark() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let reason = LogStartOffsetIncrementReason::ClientRecordDeletion;
        self.log.maybe_increment_log_start_offset(offset, reason).map_err(|e| e.code())?;
        self.tell_of_the_log();
        Ok(self.log.log_start_offset())
    }

    /// Whether everything up to and including the offset is committed.
    pub(crate) fn is_committed(&self, last_offset: i64) -> Result<bool, ErrorCode> {
        let role = self.role();
        let PartitionRole::Leader { isr, replicas, .. } = &*role else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        if self.log.high_watermark() <= last_offset {
            return Ok(false);
        }
        // The set of replicas in sync may have shrunk since the append.
        let enough = isr.len() >= self.min_isr(*replicas);
        if enough { Ok(true) } else { Err(ErrorCode::NotEnoughReplicasAfterAppend) }
    }

    /// Parks a request until it leaves. What the partition grants counts as long as this broker leads, in the
    /// epoch that the request names if it does.
    pub(crate) fn park(&self, parked: &Arc<Parked>, wish: Wish, current_leader_epoch: Option<i32>) -> Place {
        let look = || self.check_leader(current_leader_epoch).ok().map(|_| self.log.known_offsets());
        self.waiters.park(parked, wish, look)
    }

    pub(crate) fn leave(&self, parked: &Arc<Parked>, place: Place) {
        self.waiters.leave(parked, place);
    }

    #[cfg(test)]
    pub(crate) fn parked(&self) -> usize {
        self.waiters.len()
    }

    /// The leader epoch, if this broker leads and the client believes in the same epoch (KIP-320).
    fn check_leader(&self, current_leader_epoch: Option<i32>) -> Result<i32, ErrorCode> {
        let (leads, epoch) = self.role().leadership();
        match current_leader_epoch {
            Some(known) if known < epoch => Err(ErrorCode::FencedLeaderEpoch),
            Some(known) if known > epoch => Err(ErrorCode::UnknownLeaderEpoch),
            _ if !leads => Err(ErrorCode::NotLeaderOrFollower),
            _ => Ok(epoch),
        }
    }

    /// A poisoned lock means a request panicked; the role is replaced whole, so it is never half done.
    fn role(&self) -> RwLockReadGuard<'_, PartitionRole> {
        self.role.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn role_mut(&self) -> RwLockWriteGuard<'_, PartitionRole> {
        self.role.write().unwrap_or_else(PoisonError::into_inner)
    }
}

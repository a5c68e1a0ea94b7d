use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_metadata::PartitionRegistration;
use ottla_storage::{
    AppendOrigin, FetchIsolation, FileRecords, LogStartOffsetIncrementReason, ReadError, StorageError,
    TransactionVersion, UnifiedLog, VerificationGuard,
};
use tokio::sync::Notify;

use crate::append::{AppendFailure, Appended};
use crate::fetch::{FetchInfo, FetchPartitionData};
use crate::offsets::FoundOffset;
use crate::waiters::Waiters;

const LATEST: i64 = -1;
const ACKS_ALL: i16 = -1;

/// What this broker is for a partition, as the metadata log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionRole {
    /// It leads: it takes records, and alone decides what is committed.
    Leader {
        /// The epoch it leads in.
        epoch: i32,
        /// Replicas that have everything that is committed.
        isr: Vec<i32>,
    },
    /// Another broker leads, or none.
    Follower {
        /// The newest epoch known.
        epoch: i32,
    },
}

/// One partition with a replica here.
///
/// The role is behind a read-write lock: appends and reads share it, a change of the role excludes
/// them, so no record is appended in an epoch that is over. The lock is never held across an await.
#[derive(Debug)]
pub struct Partition {
    tp: TopicPartition,
    topic_id: Uuid,
    node_id: i32,
    log: Arc<UnifiedLog>,
    role: RwLock<PartitionRole>,
    waiters: Waiters,
}

impl Partition {
    /// A replica whose role is not known yet.
    pub fn new(tp: TopicPartition, topic_id: Uuid, node_id: i32, log: Arc<UnifiedLog>) -> Self {
        let role = RwLock::new(PartitionRole::Follower { epoch: -1 });
        Self { tp, topic_id, node_id, log, role, waiters: Waiters::default() }
    }

    /// Its name.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.tp
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
        let began = {
            let mut role = self.role_mut();
            let led_before = matches!(&*role, PartitionRole::Leader { epoch: e, .. } if *e == epoch);
            *role = if leads {
                PartitionRole::Leader { epoch, isr: registration.isr.to_vec() }
            } else {
                PartitionRole::Follower { epoch }
            };
            if leads && !led_before {
                self.log.assign_epoch_start_offset(epoch, self.log.log_end_offset());
            }
            if let PartitionRole::Leader { isr, .. } = &*role {
                self.advance_high_watermark(isr);
            }
            leads && !led_before
        };
        self.waiters.wake_all();
        Ok(began)
    }

    /// Appends what a client sent, as leader.
    pub fn append(&self, records: Bytes, acks: i16) -> Result<Appended, AppendFailure> {
        self.append_from(records, AppendOrigin::Client, |_, isr| {
            let too_few = acks == ACKS_ALL && (isr.len() as i32) < self.log.config().min_insync_replicas;
            if too_few { Err(ErrorCode::NotEnoughReplicas) } else { Ok(()) }
        })
    }

    /// Appends records of a coordinator, in the epoch it was elected in.
    pub fn append_as_coordinator(
        &self,
        records: Bytes,
        leader_epoch: i32,
    ) -> Result<Appended, AppendFailure> {
        self.append_from(records, AppendOrigin::Coordinator, |epoch, _| {
            if epoch == leader_epoch { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
        })
    }

    fn append_from(
        &self,
        records: Bytes,
        origin: AppendOrigin,
        allowed: impl FnOnce(i32, &[i32]) -> Result<(), ErrorCode>,
    ) -> Result<Appended, AppendFailure> {
        let appended = {
            let role = self.role();
            let PartitionRole::Leader { epoch, isr } = &*role else {
                return Err(ErrorCode::NotLeaderOrFollower.into());
            };
            allowed(*epoch, isr)?;
            let info = self
                .log
                .append_as_leader(
                    records,
                    *epoch,
                    origin,
                    VerificationGuard::SENTINEL,
                    TransactionVersion::UNKNOWN,
                )
                .map_err(|error| AppendFailure::from_log(error, self.log.log_start_offset()))?;
            self.advance_high_watermark(isr);
            Appended {
                base_offset: info.first_offset,
                last_offset: info.last_offset,
                log_append_time_ms: info.log_append_time,
                log_start_offset: info.log_start_offset,
            }
        };
        self.waiters.wake_all();
        Ok(appended)
    }

    /// Stops leading because the partition leaves this broker; whoever waits looks again.
    pub(crate) fn close(&self) {
        let epoch = match &*self.role() {
            PartitionRole::Leader { epoch, .. } | PartitionRole::Follower { epoch } => *epoch,
        };
        *self.role_mut() = PartitionRole::Follower { epoch };
        self.waiters.wake_all();
    }

    /// What is replicated to the whole ISR is committed. Alone in it, the leader commits by writing.
    fn advance_high_watermark(&self, isr: &[i32]) {
        if isr.iter().all(|replica| *replica == self.node_id) {
            self.log.maybe_increment_high_watermark(self.log.log_end_offset_metadata());
        }
    }

    /// Reads at most `max_bytes`; one batch always fits when `min_one_message` is set.
    pub fn read(
        &self,
        info: &FetchInfo,
        isolation: FetchIsolation,
        max_bytes: usize,
        min_one_message: bool,
    ) -> FetchPartitionData {
        if !info.topic_id.is_zero() && info.topic_id != self.topic_id {
            return FetchPartitionData::failed(ErrorCode::InconsistentTopicId);
        }
        if let Err(error) = self.check_leader(info.current_leader_epoch) {
            return FetchPartitionData::failed(error);
        }
        if let Some(diverging) =
            info.last_fetched_epoch.and_then(|epoch| self.divergence(epoch, info.fetch_offset))
        {
            let mut data = self.positions();
            data.diverging_epoch = Some(diverging);
            return data;
        }
        match self.read_log(info.fetch_offset, isolation, max_bytes, min_one_message) {
            Ok(data) => data,
            Err(error) => FetchPartitionData::failed(error),
        }
    }

    fn read_log(
        &self,
        offset: i64,
        isolation: FetchIsolation,
        max_bytes: usize,
        min_one_message: bool,
    ) -> Result<FetchPartitionData, ErrorCode> {
        // Taken before the read: a watermark that moves meanwhile must not promise unread records.
        let mut data = self.positions();
        let read = self.log.read(offset, max_bytes, isolation, min_one_message).map_err(|e| read_code(&e))?;
        if !read.first_entry_incomplete {
            data.records = read.records;
        }
        data.aborted_transactions = read
            .aborted_transactions
            .map(|list| list.into_iter().map(|txn| (txn.producer_id, txn.first_offset)).collect());
        Ok(data)
    }

    fn positions(&self) -> FetchPartitionData {
        FetchPartitionData {
            error: ErrorCode::None,
            high_watermark: self.log.high_watermark(),
            last_stable_offset: self.log.last_stable_offset(),
            log_start_offset: self.log.log_start_offset(),
            aborted_transactions: None,
            diverging_epoch: None,
            records: FileRecords::EMPTY,
        }
    }

    /// The fetcher's last epoch ended earlier here than it thinks: it must cut its log (KIP-595).
    fn divergence(&self, last_fetched_epoch: i32, fetch_offset: i64) -> Option<(i32, i64)> {
        let end = self.log.end_offset_for_epoch(last_fetched_epoch)?;
        (end.epoch < last_fetched_epoch || end.offset < fetch_offset).then_some((end.epoch, end.offset))
    }

    /// The offset for a timestamp or a named place.
    pub fn fetch_offset(
        &self,
        timestamp: i64,
        current_leader_epoch: Option<i32>,
        isolation: FetchIsolation,
    ) -> Result<Option<FoundOffset>, ErrorCode> {
        let epoch = self.check_leader(current_leader_epoch)?;
        let last_fetchable = match isolation {
            FetchIsolation::LogEnd => self.log.log_end_offset(),
            FetchIsolation::HighWatermark => self.log.high_watermark(),
            FetchIsolation::TxnCommitted => self.log.last_stable_offset(),
        };
        if timestamp == LATEST {
            return Ok(Some(FoundOffset {
                timestamp: -1,
                offset: last_fetchable,
                leader_epoch: Some(epoch),
            }));
        }
        let found = self.log.fetch_offset_by_timestamp(timestamp).map_err(|e| read_code(&e))?;
        let visible = found.filter(|f| f.offset < last_fetchable || timestamp < LATEST);
        Ok(visible.map(|f| FoundOffset {
            timestamp: f.timestamp,
            offset: f.offset,
            leader_epoch: f.leader_epoch,
        }))
    }

    /// The end of the newest epoch that is not after the one asked for; -1 twice for none.
    pub fn end_offset_for_epoch(&self, current: Option<i32>, epoch: i32) -> Result<(i32, i64), ErrorCode> {
        self.check_leader(current)?;
        Ok(self.log.end_offset_for_epoch(epoch).map_or((-1, -1), |end| (end.epoch, end.offset)))
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
        Ok(self.log.log_start_offset())
    }

    /// Whether everything up to and including the offset is committed.
    pub(crate) fn is_committed(&self, last_offset: i64) -> Result<bool, ErrorCode> {
        self.check_leader(None)?;
        Ok(self.log.high_watermark() > last_offset)
    }

    pub(crate) fn park(&self, waiter: &Arc<Notify>) {
        self.waiters.park(waiter);
    }

    /// The leader epoch, if this broker leads and the client believes in the same epoch (KIP-320).
    fn check_leader(&self, current_leader_epoch: Option<i32>) -> Result<i32, ErrorCode> {
        let role = self.role();
        let (leads, epoch) = match &*role {
            PartitionRole::Leader { epoch, .. } => (true, *epoch),
            PartitionRole::Follower { epoch } => (false, *epoch),
        };
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

fn read_code(error: &ReadError) -> ErrorCode {
    error.code()
}

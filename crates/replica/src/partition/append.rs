//! What a leader appends: records of clients and coordinators, and the markers that end transactions.

use bytes::Bytes;
use ottla_common::ErrorCode;
use ottla_storage::{AppendOrigin, TransactionVersion, VerificationGuard};

use super::{Partition, PartitionRole};
use crate::append::{AppendFailure, Appended};
use crate::end_transaction::EndTransaction;

const ACKS_ALL: i16 = -1;

/// Records, and what the log must know of them.
struct Append {
    records: Bytes,
    origin: AppendOrigin,
    guard: VerificationGuard,
    version: TransactionVersion,
}

impl Partition {
    /// Appends what a client sent, as leader.
    pub fn append(&self, records: Bytes, acks: i16) -> Result<Appended, AppendFailure> {
        self.append_verified(records, acks, VerificationGuard::SENTINEL)
    }

    /// As [`Self::append`], with the proof that the transaction's coordinator knows of this partition: the
    /// first records of a transaction need one (KIP-890).
    pub fn append_verified(
        &self,
        records: Bytes,
        acks: i16,
        guard: VerificationGuard,
    ) -> Result<Appended, AppendFailure> {
        let (origin, version) = (AppendOrigin::Client, TransactionVersion::UNKNOWN);
        let append = Append { records, origin, guard, version };
        self.append_from(append, |_, isr, replicas| self.check_in_sync(acks, isr, replicas))
    }

    /// Appends records of a coordinator, in the epoch it was elected in. Offsets of a transaction come with a
    /// guard as a client's records do, and markers with the version of the transaction that they end.
    pub fn append_as_coordinator(
        &self,
        records: Bytes,
        leader_epoch: i32,
        guard: VerificationGuard,
        version: TransactionVersion,
    ) -> Result<Appended, AppendFailure> {
        let append = Append { records, origin: AppendOrigin::Coordinator, guard, version };
        self.append_from(append, |epoch, isr, replicas| match epoch == leader_epoch {
            true => self.check_in_sync(ACKS_ALL, isr, replicas),
            false => Err(ErrorCode::NotLeaderOrFollower),
        })
    }

    /// Ends a producer's transaction here. Whoever reads only what is committed sees it as soon as the marker
    /// is replicated, so the coordinator is to be answered then.
    pub fn append_end_transaction_marker(
        &self,
        end: &EndTransaction,
        now_ms: i64,
    ) -> Result<Appended, AppendFailure> {
        let (records, version) = (marker_of(end, now_ms)?, end.transaction_version);
        let (origin, guard) = (AppendOrigin::Coordinator, VerificationGuard::SENTINEL);
        let append = Append { records, origin, guard, version };
        self.append_from(append, |_, isr, replicas| self.check_in_sync(ACKS_ALL, isr, replicas))
    }

    /// The same by the coordinator whose partition this is, in the epoch it was elected in: offsets of the
    /// transaction wait in its memory for the marker.
    pub fn append_end_transaction_as_coordinator(
        &self,
        now_ms: i64,
        leader_epoch: i32,
        end: &EndTransaction,
    ) -> Result<Appended, AppendFailure> {
        let guard = VerificationGuard::SENTINEL;
        self.append_as_coordinator(marker_of(end, now_ms)?, leader_epoch, guard, end.transaction_version)
    }

    /// Begins to verify that a producer's transaction knows of this partition. The sentinel says that nobody
    /// needs to be asked: the transaction is open here, or nothing is to be verified.
    pub fn maybe_start_transaction_verification(
        &self,
        producer_id: i64,
        sequence: i32,
        epoch: i16,
        supports_epoch_bump: bool,
    ) -> Result<VerificationGuard, ErrorCode> {
        // Kept while the log notes it, so that a leader of old begins nothing.
        let role = self.role();
        let PartitionRole::Leader { .. } = &*role else { return Err(ErrorCode::NotLeaderOrFollower) };
        self.log
            .maybe_start_transaction_verification(producer_id, sequence, epoch, supports_epoch_bump)
            .map_err(|error| error.code())
    }

    fn append_from(
        &self,
        append: Append,
        allowed: impl FnOnce(i32, &[i32], usize) -> Result<(), ErrorCode>,
    ) -> Result<Appended, AppendFailure> {
        let Append { records, origin, guard, version } = append;
        let appended = {
            let role = self.role();
            let PartitionRole::Leader { epoch, isr, replicas } = &*role else {
                return Err(ErrorCode::NotLeaderOrFollower.into());
            };
            allowed(*epoch, isr, *replicas)?;
            let info = self
                .log
                .append_as_leader(records, *epoch, origin, guard, version)
                .map_err(|error| AppendFailure::from_log(error, self.log.log_start_offset()))?;
            self.advance_high_watermark(isr);
            Appended {
                base_offset: info.first_offset,
                last_offset: info.last_offset,
                log_append_time_ms: info.log_append_time,
                log_start_offset: info.log_start_offset,
                is_committed: self.log.high_watermark() > info.last_offset,
            }
        };
        self.tell_of_the_log();
        Ok(appended)
    }

    /// Refuses what too few replicas would get, if all in sync are to have it.
    fn check_in_sync(&self, acks: i16, isr: &[i32], replicas: usize) -> Result<(), ErrorCode> {
        let too_few = acks == ACKS_ALL && isr.len() < self.min_isr(replicas);
        if too_few { Err(ErrorCode::NotEnoughReplicas) } else { Ok(()) }
    }
}

fn marker_of(end: &EndTransaction, now_ms: i64) -> Result<Bytes, AppendFailure> {
    end.to_records(now_ms).map_err(|error| {
        let message = Some(error.to_string());
        AppendFailure { message, ..ErrorCode::UnknownServerError.into() }
    })
}

#[cfg(test)]
#[path = "append_test.rs"]
mod tests;

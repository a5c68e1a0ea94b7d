use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ottla_record::{CompressionType, MemoryRecords, NO_TIMESTAMP, RecordBatch, TimestampType};

use super::{LogState, UnifiedLog};
use crate::error::AppendError;
use crate::index::AbortedTxn;
use crate::log_config::LogConfig;
use crate::log_offset::LogOffsetMetadata;
use crate::log_segment::{LogSegment, RollParams};
use crate::log_validator::{LogValidator, ValidationResult};
use crate::producer_state::{
    AppendOrigin, BatchMetadata, CompletedTxn, ProducerAppendInfo, ProducerBatch, ProducerStateManager,
    TransactionVersion, VerificationGuard,
};
use crate::stamped_records::StampedRecords;

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogAppendInfo {
    /// Offset of the first record; -1 if nothing was appended.
    pub first_offset: i64,
    /// Offset of the last record; -1 if nothing was appended.
    pub last_offset: i64,
    /// Leader epoch of the last batch, if it has one.
    pub last_leader_epoch: Option<i32>,
    /// Largest timestamp, or -1.
    pub max_timestamp: i64,
    /// The broker's time if the topic says LogAppendTime, else -1.
    pub log_append_time: i64,
    /// First offset of the log.
    pub log_start_offset: i64,
    /// Codec of the batches as they came.
    pub source_compression: CompressionType,
    /// Bytes of whole batches as they came.
    pub valid_bytes: usize,
    /// The same batch is in the log already; its offsets are told and nothing was written.
    pub is_duplicate: bool,
}

impl LogAppendInfo {
    /// How many offsets were taken.
    pub fn num_messages(&self) -> i64 {
        if self.first_offset >= 0 && self.last_offset >= 0 {
            self.last_offset - self.first_offset + 1
        } else {
            0
        }
    }
}

/// Batches, looked at before the lock is taken.
struct Analyzed {
    info: LogAppendInfo,
    records: Bytes,
}

/// How an append is to be done.
#[derive(Debug, Clone, Copy)]
struct AppendOptions {
    origin: AppendOrigin,
    leader_epoch: i32,
    assign_offsets: bool,
    ignore_record_size: bool,
    guard: VerificationGuard,
    version: TransactionVersion,
}

impl UnifiedLog {
    /// Appends as the leader: validates, assigns offsets, checks the producer's sequence. The records are
    /// one batch, except those of the KRaft leader, which come with offsets.
    pub fn append_as_leader(
        &self,
        records: Bytes,
        leader_epoch: i32,
        origin: AppendOrigin,
        guard: VerificationGuard,
        version: TransactionVersion,
    ) -> Result<LogAppendInfo, AppendError> {
        let assign_offsets = origin != AppendOrigin::RaftLeader;
        let options =
            AppendOptions { origin, leader_epoch, assign_offsets, ignore_record_size: false, guard, version };
        self.append(records, options)
    }

    /// Appends what a leader sent, with its offsets. Batches of an epoch after `leader_epoch` are left
    /// out: this replica does not know of that leader yet.
    pub fn append_as_follower(
        &self,
        records: Bytes,
        leader_epoch: i32,
    ) -> Result<LogAppendInfo, AppendError> {
        let options = AppendOptions {
            origin: AppendOrigin::Replication,
            leader_epoch,
            assign_offsets: false,
            ignore_record_size: true,
            guard: VerificationGuard::SENTINEL,
            version: TransactionVersion::UNKNOWN,
        };
        self.append(records, options)
    }

    fn append(&self, records: Bytes, options: AppendOptions) -> Result<LogAppendInfo, AppendError> {
        let config = self.local.config();
        let analyzed = self.analyze(records, &config, &options)?;
        if analyzed.info.valid_bytes == 0 {
            return Ok(analyzed.info);
        }
        self.ensure_not_overstated()?;
        let info = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(AppendError::Closed);
            }
            self.failures.check(&self.parent_dir)?;
            self.settle_locked(&mut state)?;
            self.append_locked(&mut state, analyzed, &config, &options)?
        };
        if self.local.end_offset().saturating_sub(self.local.recovery_point()) >= config.flush_messages {
            self.flush(false)?;
        }
        Ok(info)
    }

    /// Checks of single batches that need no state.
    fn analyze(
        &self,
        records: Bytes,
        config: &LogConfig,
        options: &AppendOptions,
    ) -> Result<Analyzed, AppendError> {
        let mut info = LogAppendInfo {
            first_offset: -1,
            last_offset: -1,
            last_leader_epoch: None,
            max_timestamp: NO_TIMESTAMP,
            log_append_time: NO_TIMESTAMP,
            log_start_offset: self.log_start_offset(),
            source_compression: CompressionType::None,
            valid_bytes: 0,
            is_duplicate: false,
        };
        for batch in MemoryRecords::new(records.clone()).batches() {
            let batch = batch?;
            if options.origin == AppendOrigin::Replication
                && batch.partition_leader_epoch() > options.leader_epoch
            {
                let epoch = batch.partition_leader_epoch();
                tracing::info!(partition = %self.topic_partition(), epoch, "batches of a later epoch are left out");
                break;
            }
            self.analyze_batch(&batch, &info, config, options)?;
            if info.valid_bytes == 0 {
                info.first_offset = batch.base_offset();
            }
            info.last_offset = batch.last_offset();
            info.last_leader_epoch = Some(batch.partition_leader_epoch()).filter(|epoch| *epoch >= 0);
            info.max_timestamp = info.max_timestamp.max(batch.max_timestamp());
            info.valid_bytes += batch.size_in_bytes();
            let codec = batch.compression_type()?;
            if codec != CompressionType::None {
                info.source_compression = codec;
            }
        }
        let records = records.slice(..info.valid_bytes);
        Ok(Analyzed { info, records })
    }

    fn analyze_batch(
        &self,
        batch: &RecordBatch,
        before: &LogAppendInfo,
        config: &LogConfig,
        options: &AppendOptions,
    ) -> Result<(), AppendError> {
        let epoch = batch.partition_leader_epoch();
        if options.origin == AppendOrigin::RaftLeader && epoch != options.leader_epoch {
            let text = format!("the batch has epoch {epoch}, the KRaft leader {}", options.leader_epoch);
            return Err(AppendError::InvalidBatch(text));
        }
        if options.origin == AppendOrigin::Client && batch.base_offset() != 0 {
            let text =
                format!("the base offset of a produced batch must be 0, but it is {}", batch.base_offset());
            return Err(AppendError::InvalidBatch(text));
        }
        let in_order = batch.base_offset() >= 0 && batch.last_offset() >= batch.base_offset();
        if !options.assign_offsets && !in_order {
            let (base, last) = (batch.base_offset(), batch.last_offset());
            return Err(AppendError::InvalidBatch(format!("the batch has the offset range {base}..={last}")));
        }
        if !options.assign_offsets && batch.last_offset() <= before.last_offset {
            let (last, before) = (batch.last_offset(), before.last_offset);
            return Err(AppendError::OffsetsOutOfOrder(format!(
                "last offset {last} follows offset {before}"
            )));
        }
        let size = batch.size_in_bytes();
        if !options.ignore_record_size && size > config.max_message_bytes {
            return Err(AppendError::RecordTooLarge { size, max: config.max_message_bytes });
        }
        Ok(batch.ensure_valid()?)
    }

    fn append_locked(
        &self,
        state: &mut LogState,
        analyzed: Analyzed,
        config: &LogConfig,
        options: &AppendOptions,
    ) -> Result<LogAppendInfo, AppendError> {
        let Analyzed { mut info, records } = analyzed;
        let end = self.local.end_offset();
        let records = if options.assign_offsets {
            self.assign_offsets(records, end, config, options, &mut info)?
        } else {
            StampedRecords::whole(records)
        };
        if info.first_offset < end {
            return Err(AppendError::UnexpectedOffset {
                first_offset: info.first_offset,
                last_offset: info.last_offset,
                log_end_offset: end,
            });
        }
        let size = records.len();
        if size > config.segment_bytes {
            return Err(AppendError::RecordBatchTooLarge { size, max: config.segment_bytes });
        }
        let segment = self.maybe_roll(state, size, &info, config)?;
        let place = LogOffsetMetadata::at(info.first_offset, segment.base_offset(), segment.size());
        let changes = match analyze_producer_state(&mut state.producers, &records, place, options)? {
            ProducerAnalysis::Changes(changes) => changes,
            ProducerAnalysis::Duplicate(batch) => return Ok(self.duplicate(info, &batch)),
        };
        self.assign_epochs(&records)?;
        let write = || self.local.append(info.last_offset, &records);
        self.guard("cannot append records", write)?;
        assert_eq!(self.local.end_offset(), info.last_offset + 1, "LEO-MOVES-BY-BATCH");
        self.update_high_watermark_with_log_end_offset(state);
        self.apply_producer_changes(state, &segment, changes)?;
        state.producers.update_map_end_offset(info.last_offset + 1);
        self.note_appended(state, size);
        self.update_first_unstable_offset(state);
        assert!(self.high_watermark() <= self.local.end_offset(), "HW-LE-LEO");
        info.log_start_offset = self.log_start_offset();
        Ok(info)
    }

    fn assign_offsets(
        &self,
        records: Bytes,
        end: i64,
        config: &LogConfig,
        options: &AppendOptions,
        info: &mut LogAppendInfo,
    ) -> Result<StampedRecords, AppendError> {
        let now_ms = self.local.time().now_ms();
        let validator =
            LogValidator { config, now_ms, leader_epoch: options.leader_epoch, origin: options.origin };
        let ValidationResult { records, max_timestamp, last_offset, size_changed } =
            validator.validate(records, end)?;
        info.first_offset = end;
        info.last_offset = last_offset;
        info.max_timestamp = max_timestamp;
        info.last_leader_epoch = Some(options.leader_epoch).filter(|epoch| *epoch >= 0);
        if config.message_timestamp_type == TimestampType::LogAppendTime {
            info.log_append_time = now_ms;
        }
        if size_changed && !options.ignore_record_size && records.len() > config.max_message_bytes {
            return Err(AppendError::RecordTooLarge { size: records.len(), max: config.max_message_bytes });
        }
        Ok(records)
    }

    fn assign_epochs(&self, records: &StampedRecords) -> Result<(), AppendError> {
        if let Some(epoch) = records.leader_epoch() {
            return Ok(self.assign_epoch_of_records(epoch, records.offset_shift())?);
        }
        for batch in MemoryRecords::new(records.unstamped().clone()).batches() {
            let batch = batch?;
            self.assign_epoch_of_records(batch.partition_leader_epoch(), batch.base_offset())?;
        }
        Ok(())
    }

    fn maybe_roll(
        &self,
        state: &mut LogState,
        messages_size: usize,
        info: &LogAppendInfo,
        config: &LogConfig,
    ) -> Result<Arc<LogSegment>, AppendError> {
        let active = self.local.active_segment();
        let params = RollParams {
            max_segment_ms: config.max_segment_ms(),
            max_segment_bytes: config.segment_bytes,
            max_timestamp_in_messages: info.max_timestamp,
            max_offset_in_messages: info.last_offset,
            messages_size,
            now_ms: self.local.time().now_ms(),
        };
        if self.guard("cannot look at the active segment", || active.should_roll(&params))? {
            return Ok(self.roll_locked(state, Some(info.first_offset))?);
        }
        Ok(active)
    }

    /// Begins a new segment; the old one is flushed in the background.
    pub(super) fn roll_locked(
        &self,
        state: &mut LogState,
        expected_next_offset: Option<i64>,
    ) -> Result<Arc<LogSegment>, crate::error::StorageError> {
        let segment = self.guard("cannot roll a segment", || {
            let segment = self.local.roll(expected_next_offset)?;
            // With a snapshot at its begin, a segment can be recovered by itself. It is synced together
            // with the old segment, not here, where others wait.
            state.producers.update_map_end_offset(segment.base_offset());
            state.unsynced_snapshots.extend(state.producers.take_snapshot(false)?);
            Ok(segment)
        })?;
        self.update_high_watermark_with_log_end_offset(state);
        self.flush_up_to.fetch_max(segment.base_offset(), Ordering::AcqRel);
        Ok(segment)
    }

    fn duplicate(&self, mut info: LogAppendInfo, batch: &BatchMetadata) -> LogAppendInfo {
        info.first_offset = batch.first_offset();
        info.last_offset = batch.last_offset;
        info.log_append_time = batch.timestamp;
        info.log_start_offset = self.log_start_offset();
        info.is_duplicate = true;
        info
    }

    fn apply_producer_changes(
        &self,
        state: &mut LogState,
        segment: &LogSegment,
        changes: ProducerChanges,
    ) -> Result<(), AppendError> {
        for (_, info) in changes.updated {
            state.producers.update(info);
        }
        for completed in &changes.completed {
            if completed.is_aborted {
                let txn = AbortedTxn {
                    producer_id: completed.producer_id,
                    first_offset: completed.first_offset,
                    last_offset: completed.last_offset,
                    last_stable_offset: state.producers.last_stable_offset(completed),
                };
                self.guard("cannot append to the transaction index", || segment.append_aborted_txn(txn))?;
            }
            state.producers.complete_txn(completed);
            let open = state.producers.current_txn_first_offset(completed.producer_id);
            assert!(open.is_none_or(|first| first > completed.last_offset), "TXN-ENDS-AT-ITS-MARKER");
        }
        Ok(())
    }
}

#[derive(Default)]
struct ProducerChanges {
    /// By producer; an append rarely has more than one.
    updated: Vec<(i64, ProducerAppendInfo)>,
    completed: Vec<CompletedTxn>,
}

enum ProducerAnalysis {
    Changes(ProducerChanges),
    Duplicate(BatchMetadata),
}

/// Checks the batches against their producers. Changes nothing but finished verifications.
fn analyze_producer_state(
    producers: &mut ProducerStateManager,
    records: &StampedRecords,
    place: LogOffsetMetadata,
    options: &AppendOptions,
) -> Result<ProducerAnalysis, AppendError> {
    let mut changes = ProducerChanges::default();
    let mut position = place.location.map_or(0, |location| location.relative_position);
    let segment_base = place.location.map_or(place.message_offset, |location| location.segment_base_offset);
    for batch in MemoryRecords::new(records.unstamped().clone()).batches() {
        let batch = batch?;
        let at = position;
        position += batch.size_in_bytes() as u64;
        let Some(mut of) = ProducerBatch::of(&batch)? else { continue };
        of.base_offset += records.offset_shift();
        of.last_offset += records.offset_shift();
        if options.origin == AppendOrigin::Client
            && let Some(entry) = producers.last_entry(of.producer_id)
            && let Some(duplicate) = entry.find_duplicate_batch(of.epoch, of.first_seq, of.last_seq)
        {
            return Ok(ProducerAnalysis::Duplicate(duplicate));
        }
        if matches!(options.origin, AppendOrigin::Client | AppendOrigin::Coordinator) {
            check_verified(producers, &of, options.guard)?;
        }
        let first = of.is_transactional.then(|| LogOffsetMetadata::at(of.base_offset, segment_base, at));
        let completed = update_producers(producers, &mut changes.updated, &of, first, options)?;
        changes.completed.extend(completed);
    }
    Ok(ProducerAnalysis::Changes(changes))
}

/// The first transactional write to a partition needs proof that the coordinator knows of it (KIP-890).
fn check_verified(
    producers: &ProducerStateManager,
    batch: &ProducerBatch,
    guard: VerificationGuard,
) -> Result<(), AppendError> {
    let (producer_id, epoch) = (batch.producer_id, batch.epoch);
    if !batch.is_transactional || producers.has_ongoing_transaction(producer_id, epoch) {
        return Ok(());
    }
    let current = producers.last_entry(producer_id).map(|entry| entry.producer_epoch);
    if let Some(current) = current.filter(|current| epoch < *current) {
        let text = format!("epoch {epoch} of producer {producer_id} is behind the last seen epoch {current}");
        return Err(AppendError::InvalidProducerEpoch(text));
    }
    if batch.is_control || !producers.config().transaction_verification_enabled {
        return Ok(());
    }
    let verified = producers.verification_state_entry(producer_id).is_some_and(|v| v.guard.verify(guard));
    if verified {
        return Ok(());
    }
    let text = format!("the record of producer {producer_id} is not part of an ongoing transaction");
    Err(AppendError::InvalidTxnState(text))
}

fn update_producers(
    producers: &mut ProducerStateManager,
    updated: &mut Vec<(i64, ProducerAppendInfo)>,
    batch: &ProducerBatch,
    first_offset: Option<LogOffsetMetadata>,
    options: &AppendOptions,
) -> Result<Option<CompletedTxn>, AppendError> {
    let known = updated.iter().position(|(producer_id, _)| *producer_id == batch.producer_id);
    let index = known.unwrap_or_else(|| {
        updated.push((batch.producer_id, producers.prepare_update(batch.producer_id, options.origin)));
        updated.len() - 1
    });
    let completed = updated[index].1.append(batch, first_offset, options.version)?;
    if batch.is_transactional {
        // The transaction is open or over, so the verification has served. Only with a bump of the epoch
        // at every end the next transaction may already be verified while this one's marker arrives.
        let entry = producers.verification_state_entry(batch.producer_id);
        let is_for_next =
            entry.is_some_and(|v| v.supports_epoch_bump && batch.is_control && v.epoch == batch.epoch);
        if !is_for_next {
            producers.clear_verification_state_entry(batch.producer_id);
        }
    }
    Ok(completed)
}

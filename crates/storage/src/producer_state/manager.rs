use std::collections::BTreeMap;
use std::collections::hash_map::{self, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::append_info::ProducerBatch;
use super::append_info::{AppendOrigin, CompletedTxn, ProducerAppendInfo, TransactionVersion};
use super::verification::VerificationStateEntry;
use super::{ProducerStateEntry, VerificationGuard, decode_snapshot, encode_snapshot};
use crate::fs::{FileSystem, OpenMode};
use crate::log_file_names::{
    DELETED_FILE_SUFFIX, PRODUCER_SNAPSHOT_FILE_SUFFIX, offset_of_file, producer_snapshot_file,
};
use crate::log_offset::LogOffsetMetadata;

/// 46 bytes a producer; this is more of them than memory holds.
const MAX_SNAPSHOT_BYTES: u64 = 1 << 31;
/// How long a transaction may outlive the longest timeout before it counts as hanging.
const LATE_TRANSACTION_BUFFER_MS: i64 = 5 * 60 * 1000;

/// Broker settings of producer state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerStateManagerConfig {
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// `transaction.partition.verification.enable`.
    pub transaction_verification_enabled: bool,
    /// `transaction.max.timeout.ms`.
    pub max_transaction_timeout_ms: i64,
}

impl Default for ProducerStateManagerConfig {
    fn default() -> Self {
        Self {
            producer_id_expiration_ms: 86_400_000,
            transaction_verification_enabled: true,
            max_transaction_timeout_ms: 900_000,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct TxnMetadata {
    producer_id: i64,
    first_offset: LogOffsetMetadata,
    last_offset: Option<i64>,
}

/// All producers of a partition: sequences, epochs, open transactions. Owned by the log, under its lock.
#[derive(Debug)]
pub struct ProducerStateManager {
    fs: Arc<dyn FileSystem>,
    dir: Arc<Path>,
    config: ProducerStateManagerConfig,
    /// `None` until there is something: most partitions never have a producer with an id.
    known: Option<Box<Known>>,
    /// Offsets of snapshot files, in order.
    snapshots: Vec<i64>,
    last_map_offset: i64,
    last_snap_offset: i64,
}

/// What is known of producers.
#[derive(Debug, Default)]
struct Known {
    producers: HashMap<i64, ProducerStateEntry>,
    verification_states: HashMap<i64, VerificationStateEntry>,
    /// Open transactions by first offset.
    ongoing_txns: BTreeMap<i64, TxnMetadata>,
    /// Ended transactions whose markers lie above the high watermark, by first offset.
    unreplicated_txns: BTreeMap<i64, TxnMetadata>,
}

impl Known {
    fn is_empty(&self) -> bool {
        self.producers.is_empty()
            && self.verification_states.is_empty()
            && self.ongoing_txns.is_empty()
            && self.unreplicated_txns.is_empty()
    }

    fn forget_all_but_verifications(&mut self) {
        self.producers.clear();
        self.ongoing_txns.clear();
        self.unreplicated_txns.clear();
    }

    fn first_undecided(&self) -> Option<&TxnMetadata> {
        self.ongoing_txns.first_key_value().map(|(_, txn)| txn)
    }
}

impl ProducerStateManager {
    /// No producers yet; finds the snapshot files of the folder.
    pub fn new(fs: Arc<dyn FileSystem>, dir: &Path, config: ProducerStateManagerConfig) -> io::Result<Self> {
        let mut manager = Self::empty(fs, &dir.into(), config);
        let entries = match manager.fs.list_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e),
        };
        manager.find_snapshots(entries.iter().filter(|entry| !entry.is_dir).map(|entry| &entry.name));
        Ok(manager)
    }

    /// No producers and no snapshots.
    pub(crate) fn empty(
        fs: Arc<dyn FileSystem>,
        dir: &Arc<Path>,
        config: ProducerStateManagerConfig,
    ) -> Self {
        Self {
            fs,
            dir: Arc::clone(dir),
            config,
            known: None,
            snapshots: Vec::new(),
            last_map_offset: 0,
            last_snap_offset: 0,
        }
    }

    /// A fresh manager of the same folder.
    pub(crate) fn fresh(&self) -> io::Result<Self> {
        Self::new(Arc::clone(&self.fs), &self.dir, self.config)
    }

    /// The settings.
    pub fn config(&self) -> &ProducerStateManagerConfig {
        &self.config
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.known().is_none_or(|known| known.producers.is_empty() && known.unreplicated_txns.is_empty())
    }

    /// Puts other settings in force.
    pub fn update_config(&mut self, config: ProducerStateManagerConfig) {
        self.config = config;
    }

    fn known(&self) -> Option<&Known> {
        self.known.as_deref()
    }

    fn known_mut(&mut self) -> &mut Known {
        self.known.get_or_insert_default()
    }

    /// The offset up to which batches are reflected.
    pub fn map_end_offset(&self) -> i64 {
        self.last_map_offset
    }

    /// Moves that offset.
    pub fn update_map_end_offset(&mut self, offset: i64) {
        self.last_map_offset = offset;
    }

    /// All producers.
    pub fn active_producers(&self) -> hash_map::Values<'_, i64, ProducerStateEntry> {
        self.known().map(|known| known.producers.values()).unwrap_or_default()
    }

    /// State of a producer.
    pub fn last_entry(&self, producer_id: i64) -> Option<&ProducerStateEntry> {
        self.known()?.producers.get(&producer_id)
    }

    /// Whether a producer has a transaction open in this epoch.
    pub fn has_ongoing_transaction(&self, producer_id: i64, epoch: i16) -> bool {
        let entry = self.last_entry(producer_id);
        entry.is_some_and(|e| e.current_txn_first_offset.is_some() && e.producer_epoch == epoch)
    }

    /// First offset of a producer's open transaction, in whatever epoch.
    pub(crate) fn current_txn_first_offset(&self, producer_id: i64) -> Option<i64> {
        self.last_entry(producer_id)?.current_txn_first_offset
    }

    /// Whether the oldest open transaction is much older than any may be: its marker was lost.
    pub fn has_late_transaction(&self, now_ms: i64) -> bool {
        let oldest = self.known().and_then(Known::first_undecided);
        let entry = oldest.and_then(|txn| self.last_entry(txn.producer_id));
        let limit = self.config.max_transaction_timeout_ms.saturating_add(LATE_TRANSACTION_BUFFER_MS);
        entry.is_some_and(|e| e.last_timestamp > 0 && now_ms.saturating_sub(e.last_timestamp) > limit)
    }

    /// Where `read_committed` consumers must stop: the first offset of the earliest transaction that is
    /// open, or whose end is not replicated yet.
    pub fn first_unstable_offset(&self) -> Option<LogOffsetMetadata> {
        let first = |txns: &BTreeMap<i64, TxnMetadata>| txns.first_key_value().map(|(_, t)| t.first_offset);
        let known = self.known()?;
        let candidates = [first(&known.unreplicated_txns), first(&known.ongoing_txns)];
        candidates.into_iter().flatten().min_by_key(|o| o.message_offset)
    }

    /// First offset of the earliest open transaction.
    pub fn first_undecided_offset(&self) -> Option<i64> {
        self.known()?.first_undecided().map(|txn| txn.first_offset.message_offset)
    }

    /// Begins an append of a producer.
    pub(crate) fn prepare_update(&self, producer_id: i64, origin: AppendOrigin) -> ProducerAppendInfo {
        let current = self.last_entry(producer_id).cloned();
        let current = current.unwrap_or_else(|| ProducerStateEntry::empty(producer_id));
        ProducerAppendInfo::new(current, origin, self.verification_state_entry(producer_id).copied())
    }

    /// Makes the changes of an append.
    pub(crate) fn update(&mut self, info: ProducerAppendInfo) {
        let (updated, started) = info.into_parts();
        let producer_id = updated.producer_id;
        assert!(producer_id >= 0, "only producers have state");
        let known = self.known_mut();
        match known.producers.get_mut(&producer_id) {
            Some(entry) => entry.update(updated),
            None => drop(known.producers.insert(producer_id, updated)),
        }
        for first_offset in started {
            let txn = TxnMetadata { producer_id, first_offset, last_offset: None };
            known.ongoing_txns.insert(first_offset.message_offset, txn);
        }
    }

    /// Reflects a batch that is in the log already. Nothing is refused: it is too late for that.
    pub(crate) fn replay(&mut self, batch: &ProducerBatch) -> Option<CompletedTxn> {
        let mut info = self.prepare_update(batch.producer_id, AppendOrigin::Replication);
        let completed = match info.append(batch, None, TransactionVersion::UNKNOWN) {
            Ok(completed) => completed,
            Err(error) => {
                tracing::warn!(dir = %self.dir.display(), %error, "batch in the log does not fit its producer");
                None
            }
        };
        self.update(info);
        completed
    }

    /// Last stable offset once this transaction is complete.
    pub(crate) fn last_stable_offset(&self, completed: &CompletedTxn) -> i64 {
        let mut ongoing = self.known().into_iter().flat_map(|known| known.ongoing_txns.values());
        let next = ongoing.find(|txn| txn.producer_id != completed.producer_id);
        next.map_or(completed.last_offset + 1, |txn| txn.first_offset.message_offset)
    }

    /// Notes the end of a transaction. It holds the last stable offset until it is replicated.
    pub(crate) fn complete_txn(&mut self, completed: &CompletedTxn) {
        let known = self.known_mut();
        let txn = known.ongoing_txns.remove(&completed.first_offset);
        debug_assert!(txn.is_some(), "TXN-STARTED-BEFORE-COMPLETED: {completed:?}");
        if let Some(mut txn) = txn {
            txn.last_offset = Some(completed.last_offset);
            known.unreplicated_txns.insert(completed.first_offset, txn);
        }
    }

    /// Markers below the high watermark are replicated.
    pub fn on_high_watermark_updated(&mut self, high_watermark: i64) {
        if let Some(known) = &mut self.known {
            known
                .unreplicated_txns
                .retain(|_, txn| txn.last_offset.is_none_or(|last| last >= high_watermark));
        }
    }

    /// Forgets producers that wrote nothing for long and have no transaction open.
    pub fn remove_expired_producers(&mut self, now_ms: i64) {
        let ttl = self.config.producer_id_expiration_ms;
        let Some(known) = &mut self.known else { return };
        known.producers.retain(|_, entry| !is_expired(entry, now_ms, ttl));
        known.verification_states.retain(|_, v| now_ms.saturating_sub(v.created_ms) < ttl);
        if known.is_empty() {
            self.known = None;
        }
    }

    /// Begins or joins the verification of a producer's transaction (KIP-890).
    pub fn maybe_create_verification_state_entry(
        &mut self,
        now_ms: i64,
        producer_id: i64,
        sequence: i32,
        epoch: i16,
        supports_epoch_bump: bool,
    ) -> VerificationGuard {
        let new = || VerificationStateEntry::new(now_ms, sequence, epoch, supports_epoch_bump);
        let entry = self.known_mut().verification_states.entry(producer_id).or_insert_with(new);
        entry.update_lowest_sequence_and_epoch(sequence, epoch);
        entry.guard
    }

    pub(crate) fn verification_state_entry(&self, producer_id: i64) -> Option<&VerificationStateEntry> {
        self.known()?.verification_states.get(&producer_id)
    }

    pub(crate) fn clear_verification_state_entry(&mut self, producer_id: i64) {
        if let Some(known) = &mut self.known {
            known.verification_states.remove(&producer_id);
        }
    }

    /// Goes back to the state at `log_end_offset`, as far as snapshots tell. What lies between the
    /// snapshot and that offset must be replayed by the caller.
    pub fn truncate_and_reload(
        &mut self,
        log_start_offset: i64,
        log_end_offset: i64,
        now_ms: i64,
    ) -> io::Result<()> {
        let outside = |offset: &i64| *offset > log_end_offset || *offset <= log_start_offset;
        let stale: Vec<i64> = self.snapshots.iter().copied().filter(outside).collect();
        for offset in stale {
            self.remove_and_delete_snapshot(offset)?;
        }
        if log_end_offset != self.last_map_offset {
            // The caller's offset is not above the high watermark, or the log is being loaded.
            self.forget_producers();
            self.load_from_snapshot(log_start_offset, now_ms)
        } else {
            self.on_log_start_offset_incremented(log_start_offset);
            Ok(())
        }
    }

    /// Forgets all; the log begins anew at an offset.
    pub fn truncate_fully_and_start_at(&mut self, offset: i64) -> io::Result<()> {
        self.forget_producers();
        for offset in self.snapshots.clone() {
            self.remove_and_delete_snapshot(offset)?;
        }
        self.last_snap_offset = 0;
        self.last_map_offset = offset;
        Ok(())
    }

    fn forget_producers(&mut self) {
        if let Some(known) = &mut self.known {
            known.forget_all_but_verifications();
        }
    }

    /// Records below the offset are gone.
    pub fn on_log_start_offset_incremented(&mut self, log_start_offset: i64) {
        self.on_high_watermark_updated(log_start_offset);
        self.last_map_offset = self.last_map_offset.max(log_start_offset);
        self.last_snap_offset = self.latest_snapshot_offset().unwrap_or(log_start_offset);
    }

    /// Whether anything was appended since the last snapshot.
    pub(crate) fn is_ahead_of_snapshot(&self) -> bool {
        self.last_map_offset > self.last_snap_offset
    }

    /// Writes `<offset>.snapshot` if anything was appended since the last one. Returns its path.
    pub fn take_snapshot(&mut self, sync: bool) -> io::Result<Option<PathBuf>> {
        if !self.is_ahead_of_snapshot() {
            return Ok(None);
        }
        let path = producer_snapshot_file(&self.dir, self.last_map_offset);
        let file = self.fs.open(&path, OpenMode::Truncate)?;
        file.write_all_at(&encode_snapshot(self.active_producers()), 0)?;
        if sync {
            file.sync()?;
        }
        self.note_snapshot(self.last_map_offset);
        self.last_snap_offset = self.last_map_offset;
        Ok(Some(path))
    }

    /// The same for a caller that writes the file: where, and what.
    pub(crate) fn begin_snapshot(&mut self) -> Option<(PathBuf, Vec<u8>)> {
        if !self.is_ahead_of_snapshot() {
            return None;
        }
        let path = producer_snapshot_file(&self.dir, self.last_map_offset);
        self.note_snapshot(self.last_map_offset);
        self.last_snap_offset = self.last_map_offset;
        Some((path, encode_snapshot(self.active_producers())))
    }

    /// Lets go of a snapshot, whose file is to be removed.
    pub(crate) fn forget_snapshot(&mut self, offset: i64) -> Option<PathBuf> {
        let place = self.snapshots.binary_search(&offset).ok()?;
        self.snapshots.remove(place);
        Some(producer_snapshot_file(&self.dir, offset))
    }

    fn note_snapshot(&mut self, offset: i64) {
        if let Err(place) = self.snapshots.binary_search(&offset) {
            self.snapshots.insert(place, offset);
        }
    }

    /// Deletes snapshots that belong to no segment, except the last one if it lies behind all segments:
    /// that one was written at the log's end by a clean shutdown.
    pub fn remove_stray_snapshots(&mut self, segment_base_offsets: &[i64]) -> io::Result<()> {
        let strays: Vec<i64> =
            self.snapshots.iter().copied().filter(|o| !segment_base_offsets.contains(o)).collect();
        let last_base = segment_base_offsets.iter().max();
        for (i, stray) in strays.iter().enumerate() {
            let is_last = i + 1 == strays.len();
            if !is_last || last_base.is_some_and(|base| stray < base) {
                self.remove_and_delete_snapshot(*stray)?;
            }
        }
        Ok(())
    }

    /// Renames a segment's snapshot, to be deleted later; returns its new path.
    pub(crate) fn mark_snapshot_for_deletion(&mut self, offset: i64) -> io::Result<Option<PathBuf>> {
        let Some(path) = self.forget_snapshot(offset) else { return Ok(None) };
        let mut renamed = path.clone().into_os_string();
        renamed.push(DELETED_FILE_SUFFIX);
        let renamed = PathBuf::from(renamed);
        let was_there = self.fs.rename_if_exists(&path, &renamed)?;
        Ok(was_there.then_some(renamed))
    }

    /// Offset of the latest snapshot.
    pub fn latest_snapshot_offset(&self) -> Option<i64> {
        self.snapshots.last().copied()
    }

    /// The folder was renamed.
    pub fn update_dir(&mut self, dir: &Arc<Path>) {
        self.dir = Arc::clone(dir);
    }

    fn load_from_snapshot(&mut self, log_start_offset: i64, now_ms: i64) -> io::Result<()> {
        while let Some(offset) = self.latest_snapshot_offset() {
            let path = producer_snapshot_file(&self.dir, offset);
            let bytes = self.fs.read_file(&path, MAX_SNAPSHOT_BYTES)?.unwrap_or_default();
            match decode_snapshot(&bytes) {
                Ok(entries) => {
                    let ttl = self.config.producer_id_expiration_ms;
                    entries
                        .into_iter()
                        .filter(|e| !is_expired(e, now_ms, ttl))
                        .for_each(|e| self.load_entry(e));
                    self.last_snap_offset = offset;
                    self.last_map_offset = offset;
                    return Ok(());
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "producer snapshot is skipped");
                    self.remove_and_delete_snapshot(offset)?;
                }
            }
        }
        self.last_snap_offset = log_start_offset;
        self.last_map_offset = log_start_offset;
        Ok(())
    }

    fn load_entry(&mut self, entry: ProducerStateEntry) {
        let producer_id = entry.producer_id;
        if let Some(offset) = entry.current_txn_first_offset {
            let first_offset = LogOffsetMetadata::offset_only(offset);
            self.known_mut()
                .ongoing_txns
                .insert(offset, TxnMetadata { producer_id, first_offset, last_offset: None });
        }
        self.known_mut().producers.insert(producer_id, entry);
    }

    /// Takes note of the snapshots among the files of the folder.
    pub(crate) fn find_snapshots<'n>(&mut self, names: impl Iterator<Item = &'n String>) {
        let snapshots = names.filter(|name| name.ends_with(PRODUCER_SNAPSHOT_FILE_SUFFIX));
        self.snapshots = snapshots.filter_map(|name| offset_of_file(name)).collect();
        self.snapshots.sort_unstable();
    }

    fn remove_and_delete_snapshot(&mut self, offset: i64) -> io::Result<()> {
        if let Some(path) = self.forget_snapshot(offset) {
            self.fs.remove_file_if_exists(&path)?;
        }
        Ok(())
    }
}

fn is_expired(entry: &ProducerStateEntry, now_ms: i64, ttl: i64) -> bool {
    entry.current_txn_first_offset.is_none() && now_ms.saturating_sub(entry.last_timestamp) >= ttl
}

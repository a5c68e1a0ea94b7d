//! From files to a log: finishes what a crash interrupted, recovers what was not flushed, rebuilds what
//! can be rebuilt.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_record::RecordBatch;

use crate::file_records::ScanError;
use crate::fs::FileSystem;
use crate::index::{AbortedTxn, CorruptIndexError};
use crate::leader_epoch_cache::LeaderEpochFileCache;
use crate::log_config::LogConfig;
use crate::log_entry::{EntryHeader, LogEntry};
use crate::log_file_names::{
    CLEANED_FILE_SUFFIX, DELETED_FILE_SUFFIX, INDEX_FILE_SUFFIX, LOG_FILE_SUFFIX, SNAPSHOT_DELETE_SUFFIX,
    SWAP_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX, TXN_INDEX_FILE_SUFFIX, is_index_file, offset_of_file,
    segment_file_name,
};
use crate::log_segment::LogSegment;
use crate::log_segments::LogSegments;
use crate::producer_state::{ProducerBatch, ProducerStateManager};

/// What is known of a log before its files are looked at.
#[derive(Debug)]
pub(crate) struct LogLoader<'a> {
    pub(crate) fs: &'a Arc<dyn FileSystem>,
    pub(crate) dir: &'a Arc<Path>,
    pub(crate) config: &'a LogConfig,
    pub(crate) now_ms: i64,
    pub(crate) had_clean_shutdown: bool,
    pub(crate) log_start_offset_checkpoint: i64,
    pub(crate) recovery_point_checkpoint: i64,
    pub(crate) leader_epochs: &'a LeaderEpochFileCache,
    /// Names of the folder's files.
    pub(crate) names: BTreeSet<String>,
    /// Whether segments were replaced by compacted ones.
    pub(crate) swapped: bool,
}

/// A log as found.
#[derive(Debug)]
pub(crate) struct LoadedLog {
    pub(crate) segments: LogSegments,
    pub(crate) log_start_offset: i64,
    pub(crate) recovery_point: i64,
    pub(crate) next_offset: i64,
    /// Renamed files, to be removed.
    pub(crate) doomed_files: Vec<PathBuf>,
    /// Whether nothing has to be forced to disk.
    pub(crate) is_synced: bool,
}

impl LogLoader<'_> {
    /// Loads segments and producer state.
    pub(crate) fn load(mut self, producers: &mut ProducerStateManager) -> io::Result<LoadedLog> {
        assert!(producers.is_empty(), "producer state is built by loading");
        let swapped = self.remove_temp_files_and_collect_swap_files()?;
        if !swapped.is_empty() {
            self.complete_swap(&swapped)?;
            self.swapped = true;
            self.names = self.file_names()?;
        }
        producers.find_snapshots(self.names.iter());
        let mut loading = Loading {
            segments: LogSegments::default(),
            doomed_files: Vec::new(),
            recovered: Cell::new(false),
        };
        self.load_segment_files(&mut loading, producers)?;
        let (recovery_point, next_offset) = self.recover_log(&mut loading, producers)?;
        self.leader_epochs.truncate_from_end(next_offset);
        let first = loading.segments.first().map_or(0, |segment| segment.base_offset());
        let log_start_offset = self.log_start_offset_checkpoint.max(first);
        self.leader_epochs.truncate_from_start(self.log_start_offset_checkpoint);
        if loading.recovered.get() {
            producers.find_snapshots(self.file_names()?.iter());
        }
        let bases: Vec<i64> = loading.segments.as_slice().iter().map(|s| s.base_offset()).collect();
        producers.remove_stray_snapshots(&bases)?;
        let rebuild = Rebuild {
            log_start_offset,
            last_offset: next_offset,
            now_ms: self.now_ms,
            reload_from_clean_shutdown: self.had_clean_shutdown,
        };
        rebuild_producer_state(producers, &loading.segments, &rebuild)?;
        let Loading { segments, doomed_files, .. } = loading;
        let is_synced = self.had_clean_shutdown;
        if is_synced {
            segments.as_slice().iter().for_each(|segment| segment.note_synced());
        }
        Ok(LoadedLog { segments, log_start_offset, recovery_point, next_offset, doomed_files, is_synced })
    }

    /// The log of a folder that is to be made.
    pub(crate) fn begin(&self) -> io::Result<LoadedLog> {
        let base = self.log_start_offset_checkpoint;
        let first = LogSegment::plan(self.fs, self.dir, base, self.config, self.now_ms);
        let segments = LogSegments::one(first);
        Ok(LoadedLog {
            segments,
            log_start_offset: base,
            recovery_point: self.recovery_point_checkpoint.min(base),
            next_offset: base,
            doomed_files: Vec::new(),
            is_synced: true,
        })
    }

    fn first_segment(&self, base: i64) -> io::Result<Arc<LogSegment>> {
        LogSegment::create(self.fs, self.dir, base, self.config, self.now_ms).map(Arc::new)
    }

    /// Removes what was doomed or half made. Returns names of files that must replace others: they were
    /// complete when the broker stopped.
    fn remove_temp_files_and_collect_swap_files(&self) -> io::Result<Vec<String>> {
        let (mut swap, mut cleaned) = (Vec::new(), Vec::new());
        for name in &self.names {
            if name.ends_with(DELETED_FILE_SUFFIX) && !name.ends_with(SNAPSHOT_DELETE_SUFFIX) {
                self.remove(name)?;
            } else if name.ends_with(CLEANED_FILE_SUFFIX) {
                cleaned.push(name.clone());
            } else if name.ends_with(SWAP_FILE_SUFFIX) {
                swap.push(name.clone());
            }
        }
        // A segment that is split becomes several `.cleaned`, which turn into `.swap` from the last to the
        // first: with a `.cleaned` left, the `.swap` behind it are not all there.
        let min_cleaned = cleaned.iter().filter_map(|name| offset_of_file(name)).min().unwrap_or(i64::MAX);
        let (invalid, valid): (Vec<String>, Vec<String>) = swap
            .into_iter()
            .partition(|name| offset_of_file(name).is_none_or(|offset| offset >= min_cleaned));
        for name in invalid.iter().chain(&cleaned) {
            self.remove(name)?;
        }
        Ok(valid)
    }

    /// Puts compacted segments in the place of those they were made from.
    fn complete_swap(&self, swap: &[String]) -> io::Result<()> {
        let log_suffix = format!("{LOG_FILE_SUFFIX}{SWAP_FILE_SUFFIX}");
        let mut replaced: Option<(i64, i64)> = None;
        for base in swap.iter().filter(|n| n.ends_with(&log_suffix)).filter_map(|n| offset_of_file(n)) {
            let segment =
                LogSegment::open(self.fs, self.dir, base, self.config, self.now_ms, SWAP_FILE_SUFFIX)?;
            let next = segment.read_next_offset().or_else(|error| self.end_of_damaged(error, base))?;
            let (min, max) = replaced.unwrap_or((base, next));
            // One that lost all its records still takes the place of what began where it begins.
            replaced = Some((min.min(base), max.max(next).max(base.saturating_add(1))));
        }
        for name in self.file_names()? {
            let offset = offset_of_file(&name).filter(|_| !name.ends_with(SWAP_FILE_SUFFIX));
            if offset.zip(replaced).is_some_and(|(offset, (min, max))| (min..max).contains(&offset)) {
                self.remove(&name)?;
            }
        }
        for name in swap {
            let to = name.strip_suffix(SWAP_FILE_SUFFIX).unwrap_or(name);
            self.fs.rename(&self.dir.join(name), &self.dir.join(to))?;
        }
        Ok(())
    }

    fn load_segment_files(&self, loading: &mut Loading, producers: &ProducerStateManager) -> io::Result<()> {
        let names = &self.names;
        let is_log = |name: &&String| name.ends_with(LOG_FILE_SUFFIX);
        let bases: BTreeSet<i64> =
            names.iter().filter(is_log).filter_map(|name| offset_of_file(name)).collect();
        for name in names.iter().filter(|name| is_index_file(name)) {
            if offset_of_file(name).is_none_or(|offset| !bases.contains(&offset)) {
                tracing::warn!(dir = %self.dir.display(), name, "index without log is removed");
                self.remove(name)?;
            }
        }
        let last = bases.last().copied();
        let unflushed_from = bases.range(..=self.recovery_point_checkpoint).next_back().copied().unwrap_or(0);
        for base in bases {
            let segment = Arc::new(LogSegment::open(self.fs, self.dir, base, self.config, self.now_ms, "")?);
            let mut sane = self.sanity_check(&segment)?;
            // The last segment will be appended to, which needs an index that makes sense.
            if sane.is_ok() && Some(base) == last && self.had_clean_shutdown && !self.is_unused(&segment)? {
                sane = segment.check_indexes()?;
                segment.trim_overlong_indexes()?;
            }
            // What was not flushed is recovered later, in order: each after those before it.
            let recovered_later = !self.had_clean_shutdown && base >= unflushed_from;
            if let Some(error) = sane.err().filter(|_| !recovered_later) {
                tracing::warn!(dir = %self.dir.display(), base, %error, "indexes are rebuilt");
                self.recover_segment(&segment, loading, producers)?;
            }
            loading.segments.insert(segment);
        }
        Ok(())
    }

    /// Kafka's checks at start: cheap, because what was not flushed is recovered anyway.
    fn sanity_check(&self, segment: &LogSegment) -> io::Result<Result<(), CorruptIndexError>> {
        let has = |kind: &str| self.names.contains(&segment_file_name(segment.base_offset(), kind));
        if !has(INDEX_FILE_SUFFIX) {
            return Ok(Err(segment.index_missing()));
        }
        if has(TXN_INDEX_FILE_SUFFIX) { segment.check_txn_index() } else { Ok(Ok(())) }
    }

    /// Whether there is neither a record in a segment nor anything in its index: most partitions of a large
    /// cluster are such, and a start need not read files without content.
    fn is_unused(&self, segment: &LogSegment) -> io::Result<bool> {
        let empty = |kind: &str| {
            let path = self.dir.join(segment_file_name(segment.base_offset(), kind));
            Ok::<bool, io::Error>(self.fs.metadata(&path)?.is_none_or(|file| file.len == 0))
        };
        Ok(segment.size() == 0 && empty(INDEX_FILE_SUFFIX)? && empty(TIME_INDEX_FILE_SUFFIX)?)
    }

    /// Returns recovery point and next offset.
    fn recover_log(
        &self,
        loading: &mut Loading,
        producers: &mut ProducerStateManager,
    ) -> io::Result<(i64, i64)> {
        if !self.had_clean_shutdown {
            self.recover_unflushed(loading, producers)?;
        }
        let end = self.log_end_unless_before_start(loading, producers)?;
        if loading.segments.is_empty() {
            let base = self.log_start_offset_checkpoint;
            loading.segments.insert(self.first_segment(base)?);
        }
        Ok(match end {
            Some(end) if self.had_clean_shutdown => (end, end),
            // Only a flush moves the recovery point: else a crash now would skip segments not on disk.
            Some(end) => (self.recovery_point_checkpoint.min(end), end),
            None => {
                let base = self.log_start_offset_checkpoint;
                (self.recovery_point_checkpoint.min(base), base)
            }
        })
    }

    fn recover_unflushed(
        &self,
        loading: &mut Loading,
        producers: &mut ProducerStateManager,
    ) -> io::Result<()> {
        let unflushed = loading.segments.between(self.recovery_point_checkpoint, i64::MAX);
        for (i, segment) in unflushed.iter().enumerate() {
            let base = segment.base_offset();
            tracing::info!(dir = %self.dir.display(), base, "recovering unflushed segment");
            let cut = match self.recover_unflushed_part(segment, loading, producers)? {
                Some(cut) => cut,
                None => self.recover_segment(segment, loading, producers)?,
            };
            if cut > 0 {
                tracing::warn!(dir = %self.dir.display(), base, cut, "segment ended in an invalid batch");
                return self.doom_segments(&unflushed[i + 1..], loading, producers);
            }
            if let Some(next) = unflushed.get(i + 1).filter(|_| self.is_contiguous())
                && segment.read_next_offset().or_else(|error| self.end_of_damaged(error, base))?
                    < next.base_offset()
            {
                let next = next.base_offset();
                tracing::warn!(dir = %self.dir.display(), base, next, "segment lost its end, later ones go");
                return self.doom_segments(&unflushed[i + 1..], loading, producers);
            }
        }
        Ok(())
    }

    /// Whether a gap between unflushed segments can only be a loss: the disk kept a later write and not an
    /// earlier one. Kafka keeps such a hole, and the replica differs from its leader ever after. Compaction
    /// makes gaps too, and without a recovery point segments from before a change of policy may be among
    /// the unflushed.
    fn is_contiguous(&self) -> bool {
        !self.config.compact && self.recovery_point_checkpoint > 0
    }

    /// Recovers what lies behind the recovery point, if that is within the segment. `None` if the rest does
    /// not look as a flush leaves it. Returns the bytes cut.
    fn recover_unflushed_part(
        &self,
        segment: &LogSegment,
        loading: &Loading,
        producers: &ProducerStateManager,
    ) -> io::Result<Option<u64>> {
        let recovery_point = self.recovery_point_checkpoint;
        // What was swapped in is not what was flushed.
        if self.swapped || recovery_point <= segment.base_offset().max(self.log_start_offset_checkpoint) {
            return Ok(None);
        }
        let Some(settled) = segment.settled(recovery_point)? else { return Ok(None) };
        // An epoch that is not known would be taken to begin behind the recovery point.
        if settled.epoch >= 0 && self.leader_epochs.latest_epoch().is_none_or(|known| settled.epoch > known) {
            return Ok(None);
        }
        let mut producers = match self.producers_at(recovery_point, loading, producers) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
            result => result?,
        };
        let visit = |segment: &LogSegment, entry: &LogEntry<&[u8]>| {
            self.visit_recovered(&mut producers, segment, entry)
        };
        let cut = segment.recover_from(&settled, recovery_point, visit)?;
        if cut.is_some() {
            producers.take_snapshot(true)?;
        } else {
            let (dir, base) = (self.dir.display(), segment.base_offset());
            tracing::warn!(%dir, base, recovery_point, "segment ends before the recovery point, all of it is recovered");
        }
        Ok(cut)
    }

    /// Rebuilds a segment's indexes, with the producer state at its begin. Returns the bytes cut.
    fn recover_segment(
        &self,
        segment: &LogSegment,
        loading: &Loading,
        producers: &ProducerStateManager,
    ) -> io::Result<u64> {
        let mut producers = self.producers_at(segment.base_offset(), loading, producers)?;
        let cut = segment.recover(|segment, entry| self.visit_recovered(&mut producers, segment, entry))?;
        // The next segment's recovery begins with this.
        producers.take_snapshot(true)?;
        Ok(cut)
    }

    /// Producers as they were at an offset.
    fn producers_at(
        &self,
        offset: i64,
        loading: &Loading,
        producers: &ProducerStateManager,
    ) -> io::Result<ProducerStateManager> {
        loading.recovered.set(true);
        let mut producers = producers.fresh()?;
        let rebuild = Rebuild {
            log_start_offset: self.log_start_offset_checkpoint,
            last_offset: offset,
            now_ms: self.now_ms,
            reload_from_clean_shutdown: false,
        };
        let before = LogSegments::from(loading.segments.below(offset).to_vec());
        rebuild_producer_state(&mut producers, &before, &rebuild)?;
        Ok(producers)
    }

    fn visit_recovered(
        &self,
        producers: &mut ProducerStateManager,
        segment: &LogSegment,
        entry: &LogEntry<&[u8]>,
    ) -> io::Result<()> {
        let batch = match entry {
            LogEntry::Batch(batch) => batch,
            // Neither epochs nor idempotent producers were known then.
            LogEntry::Message(message) => {
                producers.update_map_end_offset(message.offset().saturating_add(1));
                return Ok(());
            }
        };
        let epoch = batch.partition_leader_epoch();
        if epoch >= 0 && self.leader_epochs.latest_epoch().is_none_or(|latest| epoch > latest) {
            self.leader_epochs.assign(epoch, batch.base_offset())?;
        }
        replay_batch(producers, segment, batch)
    }

    /// The log's end; `None` if the log ends before its start, and so was emptied: files were lost.
    fn log_end_unless_before_start(
        &self,
        loading: &mut Loading,
        producers: &mut ProducerStateManager,
    ) -> io::Result<Option<i64>> {
        let Some(last) = loading.segments.last() else { return Ok(None) };
        let base = last.base_offset();
        let end = last.read_next_offset().or_else(|error| self.end_of_damaged(error, base))?;
        if end >= self.log_start_offset_checkpoint {
            return Ok(Some(end));
        }
        let start = self.log_start_offset_checkpoint;
        tracing::warn!(dir = %self.dir.display(), end, start, "log ends before its start, all segments go");
        let all = loading.segments.as_slice().to_vec();
        self.doom_segments(&all, loading, producers)?;
        self.leader_epochs.clear_and_flush()?;
        producers.truncate_fully_and_start_at(start)?;
        Ok(None)
    }

    /// A clean shutdown was claimed, but the last segment is damaged: that is the disk's fault.
    fn end_of_damaged(&self, error: ScanError, base: i64) -> io::Result<i64> {
        match error {
            ScanError::Io(error) => Err(error),
            ScanError::Corrupt(error) => {
                let text = format!("segment {base} in {} is damaged: {error}", self.dir.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
        }
    }

    fn doom_segments(
        &self,
        doomed: &[Arc<LogSegment>],
        loading: &mut Loading,
        producers: &mut ProducerStateManager,
    ) -> io::Result<()> {
        for segment in doomed {
            loading.segments.remove(segment.base_offset());
            segment.change_suffix(DELETED_FILE_SUFFIX)?;
            loading.doomed_files.extend(segment.files());
            loading.doomed_files.extend(producers.mark_snapshot_for_deletion(segment.base_offset())?);
        }
        // One that came back after the next crash would hide what is appended in its place.
        if doomed.is_empty() { Ok(()) } else { self.fs.sync_dir(self.dir) }
    }

    fn file_names(&self) -> io::Result<BTreeSet<String>> {
        let entries = self.fs.list_dir(self.dir)?;
        Ok(entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.fs.remove_file_if_exists(&self.dir.join(name)).map(drop)
    }
}

struct Loading {
    segments: LogSegments,
    doomed_files: Vec<PathBuf>,
    /// A segment was recovered, which writes snapshots.
    recovered: Cell<bool>,
}

/// Up to where producer state is to be rebuilt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rebuild {
    pub(crate) log_start_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) now_ms: i64,
    pub(crate) reload_from_clean_shutdown: bool,
}

/// Brings producer state to an offset, from the latest snapshot before it and the batches since.
pub(crate) fn rebuild_producer_state(
    producers: &mut ProducerStateManager,
    segments: &LogSegments,
    rebuild: &Rebuild,
) -> io::Result<()> {
    let Rebuild { log_start_offset, last_offset, now_ms, .. } = *rebuild;
    // Snapshots at the begin of the last two segments make the next truncation cheap.
    let last_two = segments.as_slice().iter().rev().take(2).rev();
    let mut offsets_to_snapshot: Vec<i64> = last_two.map(|segment| segment.base_offset()).collect();
    if producers.latest_snapshot_offset().is_none() && rebuild.reload_from_clean_shutdown {
        // Closed cleanly by a version without snapshots: there were no producers to know of.
        offsets_to_snapshot.push(last_offset);
        for offset in offsets_to_snapshot {
            producers.update_map_end_offset(offset);
            producers.take_snapshot(true)?;
        }
        return Ok(());
    }
    let was_empty = producers.is_empty() && producers.map_end_offset() >= last_offset;
    producers.truncate_and_reload(log_start_offset, last_offset, now_ms)?;
    if last_offset > producers.map_end_offset() && !was_empty {
        for segment in segments.between(producers.map_end_offset(), last_offset) {
            let base = segment.base_offset();
            let start = base.max(producers.map_end_offset()).max(log_start_offset);
            producers.update_map_end_offset(start);
            if offsets_to_snapshot.contains(&base) {
                producers.take_snapshot(true)?;
            }
            replay_segment(producers, &segment, start, last_offset)?;
        }
    }
    producers.update_map_end_offset(last_offset);
    producers.take_snapshot(true)?;
    Ok(())
}

fn replay_segment(
    producers: &mut ProducerStateManager,
    segment: &LogSegment,
    start: i64,
    last_offset: i64,
) -> io::Result<()> {
    let damaged = |error: ScanError| match error {
        ScanError::Io(error) => error,
        ScanError::Corrupt(error) => io::Error::new(io::ErrorKind::InvalidData, error),
    };
    let Some(first) = segment.translate_offset(start).map_err(damaged)? else { return Ok(()) };
    let mut scanner = segment.scan_from(first.position, u64::MAX)?;
    while let Some(at) = scanner.next_header().map_err(damaged)? {
        let EntryHeader::Batch(header) = &at.header else { continue };
        if header.base_offset() >= last_offset {
            break;
        }
        if !header.has_producer_id() {
            continue;
        }
        let batch = RecordBatch::new(scanner.whole_batch(&at)?).map_err(|e| damaged(e.into()))?;
        if let Some(completed) = producer_batch(&batch).and_then(|batch| producers.replay(&batch)) {
            producers.complete_txn(&completed);
        }
    }
    Ok(())
}

fn replay_batch<B: AsRef<[u8]>>(
    producers: &mut ProducerStateManager,
    segment: &LogSegment,
    batch: &RecordBatch<B>,
) -> io::Result<()> {
    if let Some(completed) = producer_batch(batch).and_then(|batch| producers.replay(&batch)) {
        if completed.is_aborted {
            segment.append_aborted_txn(AbortedTxn {
                producer_id: completed.producer_id,
                first_offset: completed.first_offset,
                last_offset: completed.last_offset,
                last_stable_offset: producers.last_stable_offset(&completed),
            })?;
        }
        producers.complete_txn(&completed);
    }
    producers.update_map_end_offset(batch.last_offset() + 1);
    Ok(())
}

/// A marker nobody can read is skipped: its checksum is right, so it was written like this.
fn producer_batch<B: AsRef<[u8]>>(batch: &RecordBatch<B>) -> Option<ProducerBatch> {
    ProducerBatch::of(batch).unwrap_or_else(|error| {
        tracing::warn!(offset = batch.base_offset(), %error, "control batch in the log cannot be read");
        None
    })
}

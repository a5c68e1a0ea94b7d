//! The first of compaction's two passes: it learns where the newest record of each key lies.

use ottla_record::{DecompressionLimits, NO_PRODUCER_ID, RecordBatch, RecordError};

use super::filter::read_batch;
use super::offset_map::OffsetMap;
use super::transactions::CleanedTransactions;
use crate::log_entry::LogEntry;

/// Fills a map from the dirty part of a log, batch by batch.
#[derive(Debug)]
pub(crate) struct KeyReader<'a> {
    pub(crate) map: &'a mut OffsetMap,
    /// Transactions of the dirty part; told of the aborted ones in it.
    pub(crate) txns: CleanedTransactions,
    /// Where the dirty part begins.
    pub(crate) start_offset: i64,
    pub(crate) limits: DecompressionLimits,
    pub(crate) records_read: u64,
}

impl KeyReader<'_> {
    /// Takes the next batch. Returns false if the map is full: what follows is for the next time.
    pub(crate) fn read<B: AsRef<[u8]>>(&mut self, entry: &LogEntry<B>) -> Result<bool, RecordError> {
        entry.ensure_valid()?;
        let has_room = match entry {
            LogEntry::Batch(batch) => self.read_batch(batch)?,
            LogEntry::Message(message) => {
                self.txns.on_batch_read(NO_PRODUCER_ID, message.offset(), false);
                let records = message.records(&self.limits)?;
                records.iter().all(|record| self.put(record.key.as_deref(), record.offset))
            }
        };
        let last_offset = entry.next_offset().wrapping_sub(1);
        if has_room && last_offset >= self.start_offset {
            self.map.update_latest_offset(last_offset);
        }
        Ok(has_room)
    }

    fn read_batch<B: AsRef<[u8]>>(&mut self, batch: &RecordBatch<B>) -> Result<bool, RecordError> {
        let is_aborted = read_batch(batch, &mut self.txns)?.can_discard;
        if batch.is_control_batch() {
            self.records_read += 1;
            return Ok(true);
        }
        if is_aborted {
            // What nobody saw replaces nothing.
            self.records_read += u64::try_from(batch.count()).unwrap_or(0);
            return Ok(true);
        }
        for record in &batch.records(&self.limits)? {
            let record = record?;
            if !self.put(record.key, record.offset) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn put(&mut self, key: Option<&[u8]>, offset: i64) -> bool {
        if let Some(key) = key.filter(|_| offset >= self.start_offset) {
            if self.map.is_full() {
                return false;
            }
            self.map.put(key, offset);
        }
        self.records_read += 1;
        true
    }
}

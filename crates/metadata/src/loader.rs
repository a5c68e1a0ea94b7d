//! Committed batches or a snapshot in, (delta, image) out.

use std::sync::Arc;

use ottla_protocol::records::metadata::MetadataRecord;

use crate::delta::MetadataDelta;
use crate::image::{MetadataImage, MetadataProvenance, ReplayError};
use crate::record::ApiMessageAndVersion;

/// A batch of the metadata log that is committed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CommittedBatch<'a> {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record. Control batches have no metadata records, yet take offsets.
    pub last_offset: i64,
    /// Leader epoch of the batch.
    pub epoch: i32,
    /// Append time of the batch.
    pub append_timestamp_ms: i64,
    /// Bytes of the batch in the log.
    pub size_bytes: i64,
    /// Its metadata records.
    pub records: &'a [ApiMessageAndVersion],
}

/// Where an update came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoaderManifest {
    /// From batches of the log.
    LogDelta {
        /// How many batches.
        num_batches: usize,
        /// How many bytes of log.
        num_bytes: i64,
    },
    /// From a snapshot.
    Snapshot,
}

/// One step of the metadata, for the publishers.
#[derive(Debug, Clone)]
pub struct MetadataUpdate {
    /// What changed.
    pub delta: MetadataDelta,
    /// How it is now.
    pub image: Arc<MetadataImage>,
    /// Where it came from.
    pub manifest: LoaderManifest,
}

/// A record that cannot be followed, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("metadata record at offset {offset} cannot be applied: {source}")]
pub struct LoadError {
    /// Offset of the record, or of its index in a snapshot.
    pub offset: i64,
    /// What is wrong.
    pub source: ReplayError,
}

/// Where the log stands in a metadata transaction (KIP-868): records between Begin and End become visible
/// together, and never when the transaction is aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionState {
    None,
    /// In a transaction that no update has left out yet.
    Started,
    Ended,
    Aborted,
}

/// Follows the committed metadata log. Pure: its owner reads the log and hands the updates to publishers.
#[derive(Debug)]
pub struct MetadataLoader {
    image: Arc<MetadataImage>,
    delta: MetadataDelta,
    transaction: TransactionState,
    provenance: MetadataProvenance,
    num_batches: usize,
    num_bytes: i64,
}

impl Default for MetadataLoader {
    fn default() -> Self {
        Self::new(Arc::new(MetadataImage::default()))
    }
}

impl MetadataLoader {
    /// A loader that goes on from an image.
    pub fn new(image: Arc<MetadataImage>) -> Self {
        Self {
            delta: MetadataDelta::new(image.clone()),
            provenance: image.provenance,
            image,
            transaction: TransactionState::None,
            num_batches: 0,
            num_bytes: 0,
        }
    }

    /// The newest image.
    pub fn image(&self) -> &Arc<MetadataImage> {
        &self.image
    }

    /// The offset up to which the log was read; above the image's while a transaction is open.
    pub fn last_offset(&self) -> i64 {
        self.provenance.last_contained_offset
    }

    /// Follows batches, which begin right after [`Self::last_offset`]. Gives the updates in order: usually
    /// one, none inside a transaction, more when transactions begin in the middle.
    pub fn load_batches<'a>(
        &mut self,
        batches: impl IntoIterator<Item = CommittedBatch<'a>>,
    ) -> Result<Vec<MetadataUpdate>, LoadError> {
        let mut updates = Vec::new();
        for batch in batches {
            self.load_batch(&batch, &mut updates)?;
        }
        match self.transaction {
            TransactionState::Started => {}
            TransactionState::Aborted => {
                // Nothing of the transaction may be seen, but the offset moves on.
                self.delta = MetadataDelta::new(self.image.clone());
                updates.push(self.flush());
            }
            TransactionState::None | TransactionState::Ended => {
                if self.num_batches > 0 {
                    updates.push(self.flush());
                }
            }
        }
        Ok(updates)
    }

    /// Replaces everything by a snapshot that ends at the provenance.
    pub fn load_snapshot<'a>(
        &mut self,
        provenance: MetadataProvenance,
        records: impl IntoIterator<Item = &'a ApiMessageAndVersion>,
    ) -> Result<MetadataUpdate, LoadError> {
        let mut delta = MetadataDelta::for_snapshot(self.image.clone());
        for (index, record) in records.into_iter().enumerate() {
            delta.replay(&record.message).map_err(|source| LoadError { offset: index as i64, source })?;
        }
        delta.finish_snapshot();
        let image = Arc::new(delta.apply(provenance));
        *self = Self::new(image.clone());
        Ok(MetadataUpdate { delta, image, manifest: LoaderManifest::Snapshot })
    }

    fn load_batch(
        &mut self,
        batch: &CommittedBatch<'_>,
        updates: &mut Vec<MetadataUpdate>,
    ) -> Result<(), LoadError> {
        self.provenance.last_contained_log_time_ms = batch.append_timestamp_ms;
        self.provenance.last_contained_epoch = batch.epoch;
        for (index, record) in batch.records.iter().enumerate() {
            let offset = batch.base_offset + index as i64;
            let at = |source| LoadError { offset, source };
            let begins = matches!(record.message, MetadataRecord::BeginTransactionRecord(_));
            if begins && (index > 0 || self.num_batches > 0) && self.transaction != TransactionState::Started
            {
                // What came before the transaction is visible now, not when the transaction ends.
                if self.transaction == TransactionState::Aborted {
                    self.delta = MetadataDelta::new(self.image.clone());
                }
                self.provenance.is_offset_batch_aligned = index == 0;
                updates.push(self.publish());
            }
            self.replay(&record.message).map_err(at)?;
            self.provenance.last_contained_offset = offset;
        }
        self.provenance.last_contained_offset = batch.last_offset;
        self.num_batches += 1;
        self.num_bytes += batch.size_bytes;
        Ok(())
    }

    fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        use MetadataRecord as R;
        use TransactionState as T;
        let open = self.transaction == T::Started;
        match record {
            R::BeginTransactionRecord(_) if !open => self.transaction = T::Started,
            R::EndTransactionRecord(_) if open => self.transaction = T::Ended,
            R::AbortTransactionRecord(_) if open => self.transaction = T::Aborted,
            R::BeginTransactionRecord(_) | R::EndTransactionRecord(_) | R::AbortTransactionRecord(_) => {
                return Err(ReplayError::TransactionOutOfOrder(record.name()));
            }
            _ => {
                if self.transaction == T::Aborted {
                    self.delta = MetadataDelta::new(self.image.clone());
                }
                if !open {
                    self.transaction = T::None;
                }
                self.delta.replay(record)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> MetadataUpdate {
        self.provenance.is_offset_batch_aligned = true;
        self.publish()
    }

    fn publish(&mut self) -> MetadataUpdate {
        let image = Arc::new(self.delta.apply(self.provenance));
        let delta = std::mem::replace(&mut self.delta, MetadataDelta::new(image.clone()));
        let manifest = LoaderManifest::LogDelta { num_batches: self.num_batches, num_bytes: self.num_bytes };
        self.image = image.clone();
        self.transaction = TransactionState::None;
        self.num_batches = 0;
        self.num_bytes = 0;
        MetadataUpdate { delta, image, manifest }
    }
}

#[cfg(test)]
#[path = "loader_test.rs"]
mod loader_test;

//! How far each listener is, and handing on what is next.

use std::collections::VecDeque;
use std::sync::Arc;

use ottla_raft::LeaderAndEpoch;
use ottla_record::RecordBatch;
use ottla_storage::FetchIsolation;

use super::listener::{CommittedBatch, RaftListener};
use super::metadata_log::{KafkaMetadataLog, MetadataLogError};
use super::snapshot::{DecodeBatchError, decode_batch};

/// A listener and where it is.
struct ListenerContext {
    listener: Box<dyn RaftListener>,
    /// The next offset it should see; none before it saw anything.
    next_offset: Option<i64>,
    told_leader: Option<LeaderAndEpoch>,
}

/// All listeners.
pub(super) struct Listeners {
    node_id: i32,
    contexts: Vec<ListenerContext>,
    leader: LeaderAndEpoch,
    epoch_start_offset: Option<i64>,
    /// What this leader appended and nobody has seen: need not be read back from the log.
    recent: VecDeque<Arc<CommittedBatch>>,
}

impl Listeners {
    pub(super) fn new(node_id: i32) -> Self {
        Self {
            node_id,
            contexts: Vec::new(),
            leader: LeaderAndEpoch::default(),
            epoch_start_offset: None,
            recent: VecDeque::new(),
        }
    }

    pub(super) fn register(&mut self, listener: Box<dyn RaftListener>) {
        self.contexts.push(ListenerContext { listener, next_offset: None, told_leader: None });
    }

    pub(super) fn leader_changed(&mut self, leader: LeaderAndEpoch, epoch_start_offset: Option<i64>) {
        self.leader = leader;
        self.epoch_start_offset = epoch_start_offset;
    }

    /// These are being appended.
    pub(super) fn expect(&mut self, batches: Vec<Arc<CommittedBatch>>) {
        self.recent.extend(batches);
    }

    /// What was being appended may never be committed.
    pub(super) fn expect_nothing(&mut self) {
        self.recent.clear();
    }

    pub(super) fn begin_shutdown(&mut self) {
        for context in &mut self.contexts {
            context.listener.begin_shutdown();
        }
    }

    /// Brings every listener up to the high watermark, and tells who leads.
    pub(super) fn progress(
        &mut self,
        log: &KafkaMetadataLog,
        high_watermark: Option<i64>,
    ) -> Result<(), MetadataLogError> {
        let leads = self.leader.is_leader(self.node_id);
        let must_have_seen = if leads { self.epoch_start_offset.unwrap_or(0) } else { i64::MIN };
        for context in &mut self.contexts {
            if let Some(high_watermark) = high_watermark {
                context.catch_up(log, high_watermark, &self.recent, self.leader, must_have_seen)?;
            }
            context.tell_leader(self.leader, must_have_seen);
        }
        let seen = self.contexts.iter().filter_map(|context| context.next_offset).min();
        // Without a listener nobody will want them; one that comes later reads the log.
        let seen = if self.contexts.is_empty() { high_watermark } else { seen };
        while self.recent.front().is_some_and(|batch| seen.is_some_and(|seen| batch.last_offset < seen)) {
            self.recent.pop_front();
        }
        Ok(())
    }
}

impl ListenerContext {
    fn tell_leader(&mut self, leader: LeaderAndEpoch, must_have_seen: i64) {
        let ready = self.next_offset.unwrap_or(i64::MIN + 1) >= must_have_seen;
        if ready && leader.epoch >= 0 && self.told_leader != Some(leader) {
            self.told_leader = Some(leader);
            self.listener.handle_leader_change(leader);
        }
    }

    fn catch_up(
        &mut self,
        log: &KafkaMetadataLog,
        high_watermark: i64,
        recent: &VecDeque<Arc<CommittedBatch>>,
        leader: LeaderAndEpoch,
        must_have_seen: i64,
    ) -> Result<(), MetadataLogError> {
        let start_offset = log.start_offset();
        let mut next = match self.next_offset {
            Some(next) if next >= start_offset => next,
            _ => self.load_snapshot(log)?,
        };
        while next < high_watermark {
            self.tell_leader(leader, must_have_seen);
            let batches = match take_recent(recent, next, high_watermark) {
                batches if !batches.is_empty() => batches,
                _ => read_committed(log, next, high_watermark)?,
            };
            let Some(last) = batches.last() else { break };
            assert_eq!(batches[0].base_offset, next, "commits leave no gap");
            next = last.last_offset + 1;
            self.next_offset = Some(next);
            self.listener.handle_commit(&batches);
        }
        Ok(())
    }

    fn load_snapshot(&mut self, log: &KafkaMetadataLog) -> Result<i64, MetadataLogError> {
        let next = match log.snapshots().latest() {
            Some(id) => {
                self.listener.handle_load_snapshot(log.open_snapshot(id)?);
                id.offset
            }
            None => 0,
        };
        self.next_offset = Some(next);
        Ok(next)
    }
}

fn take_recent(
    recent: &VecDeque<Arc<CommittedBatch>>,
    offset: i64,
    high_watermark: i64,
) -> Vec<Arc<CommittedBatch>> {
    let first = recent.partition_point(|batch| batch.base_offset < offset);
    let mut next = offset;
    let mut found = Vec::new();
    for batch in recent.iter().skip(first) {
        if batch.base_offset != next || batch.last_offset >= high_watermark {
            break;
        }
        next = batch.last_offset + 1;
        found.push(Arc::clone(batch));
    }
    found
}

fn read_committed(
    log: &KafkaMetadataLog,
    offset: i64,
    high_watermark: i64,
) -> Result<Vec<Arc<CommittedBatch>>, MetadataLogError> {
    let mut found = Vec::new();
    log.for_each_batch(offset, FetchIsolation::HighWatermark, |batch| {
        if batch.next_offset() <= high_watermark {
            found.push(Arc::new(decode(batch).map_err(|error| error.to_string())?));
        }
        Ok(())
    })?;
    Ok(found)
}

fn decode(batch: &RecordBatch) -> Result<CommittedBatch, DecodeBatchError> {
    Ok(CommittedBatch {
        base_offset: batch.base_offset(),
        last_offset: batch.last_offset(),
        epoch: batch.partition_leader_epoch(),
        append_timestamp: batch.max_timestamp(),
        size_in_bytes: batch.size_in_bytes(),
        records: decode_batch(batch)?,
    })
}

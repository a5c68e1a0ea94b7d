use ottla_server_common::Timeline;

use super::{CoordinatorContext, CoordinatorLog, CoordinatorShard, TransactionResult};

/// A shard while its log is replayed, before it may decide anything.
#[derive(Debug)]
pub struct CoordinatorLoad<S: CoordinatorShard> {
    timeline: Timeline<S>,
    last_read: i64,
}

impl<S: CoordinatorShard> CoordinatorLoad<S> {
    /// Begins with an empty shard.
    pub fn new(shard: S) -> Self {
        Self { timeline: Timeline::new(shard, -1), last_read: -1 }
    }

    /// Replays one record of the log.
    pub fn replay(&mut self, offset: i64, producer_id: i64, record: &S::Record) {
        self.timeline.latest_mut().replay(offset, producer_id, record);
    }

    /// Replays one transaction marker of the log.
    pub fn replay_end_transaction_marker(&mut self, producer_id: i64, result: TransactionResult) {
        self.timeline.latest_mut().replay_end_transaction_marker(producer_id, result);
    }

    /// A batch is through, whose last offset this is.
    pub fn batch_done(&mut self, last_offset: i64, high_watermark: i64) {
        if last_offset <= self.last_read {
            return;
        }
        self.last_read = last_offset;
        if last_offset < high_watermark && !self.timeline.has_uncommitted() {
            self.timeline.commit_latest(last_offset);
        } else {
            self.timeline.snapshot(last_offset);
            self.timeline.commit(high_watermark.saturating_sub(1));
        }
    }

    /// The log is through: from now on the shard decides.
    pub fn finish<E>(
        self,
        now_ms: i64,
        write_timeout_ms: i64,
        log: &mut impl CoordinatorLog,
    ) -> CoordinatorContext<S, E> {
        let mut context = CoordinatorContext::new(self.timeline, self.last_read, write_timeout_ms);
        let result = context.shard().on_loaded(now_ms);
        context.execute(now_ms, result, None, log);
        context
    }
}

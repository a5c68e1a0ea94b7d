//! What the handles and the raft thread share: an inbox one way, a status the other.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use ottla_common::time::Time;
use ottla_metadata::ApiMessageAndVersion;
use ottla_raft::{
    AppendError, BatchAccumulator, CompletedBatch, Endpoints, LeaderAndEpoch, OffsetAndEpoch, PartitionState,
    RaftInput, RaftRequest, RaftResponse, VoterSet,
};
use ottla_storage::UnifiedLog;
use ottla_storage::fs::FileSystem;
use tokio::sync::oneshot;

use super::client::CreateSnapshotError;
use super::listener::{CommittedBatch, RaftListener};
use super::metadata_log::SnapshotSet;
use super::snapshot::{SnapshotHeader, SnapshotWriter};

/// What everybody may know without asking. Replaced as a whole by the raft thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Status {
    pub(super) leader_and_epoch: LeaderAndEpoch,
    pub(super) leader_endpoints: Endpoints,
    pub(super) high_watermark: Option<i64>,
    pub(super) log_start_offset: i64,
    pub(super) log_end_offset: i64,
    pub(super) voters: VoterSet,
    pub(super) kraft_version: i16,
    pub(super) partition: Arc<PartitionState>,
}

/// What the raft thread is to do.
pub(super) enum Command {
    Input(RaftInput),
    Ask(RaftRequest, oneshot::Sender<RaftResponse>),
    Register(Box<dyn RaftListener>),
    /// Batches of this leader, with the same records decoded, so that listeners need not read them back.
    Append(Vec<CompletedBatch>, Vec<Arc<CommittedBatch>>),
    AppendWhenIdle(IdleAppend),
}

/// What a leader appends whenever it has appended nothing for a while.
#[derive(Debug, Clone)]
pub(super) struct IdleAppend {
    pub(super) epoch: i32,
    pub(super) interval_ms: i64,
    pub(super) records: Vec<ApiMessageAndVersion>,
}

#[derive(Default)]
struct Inbox {
    commands: VecDeque<Command>,
    accumulator: Option<BatchAccumulator>,
    /// Decoded twins of what is in the accumulator.
    prepared: Vec<Arc<CommittedBatch>>,
    stopped: bool,
}

pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    wakeup: Condvar,
    status: ArcSwap<Status>,
    thread: Mutex<Option<JoinHandle<()>>>,
    node_id: i32,
    fs: Arc<dyn FileSystem>,
    time: Arc<dyn Time>,
    log: Arc<UnifiedLog>,
    snapshots: SnapshotSet,
    failure: Mutex<Option<String>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("node_id", &self.node_id).finish_non_exhaustive()
    }
}

impl Inbox {
    /// Everything that was prepared, if anything was.
    fn take_prepared(&mut self) -> Option<Command> {
        let batches = self.accumulator.as_mut()?.drain();
        let decoded = std::mem::take(&mut self.prepared);
        assert_eq!(batches.len(), decoded.len(), "every batch has its twin");
        (!batches.is_empty()).then_some(Command::Append(batches, decoded))
    }

    /// Whether an append is under way to the raft thread. Offsets were given to it already, so whatever is
    /// prepared after it must be handled after it.
    fn has_appends_ahead(&self) -> bool {
        let is_append = |command: &Command| matches!(command, Command::Append(..));
        !self.prepared.is_empty() || self.commands.iter().any(is_append)
    }

    /// Gives the records their offsets and keeps them, until they are scheduled. Returns the last offset.
    fn prepare(
        &mut self,
        epoch: i32,
        append_timestamp: i64,
        records: Vec<ApiMessageAndVersion>,
        values: &[bytes::Bytes],
    ) -> Result<i64, AppendError> {
        let not_leader = AppendError::NotLeader { requested: epoch, current: None };
        let accumulator = self.accumulator.as_mut().ok_or(not_leader)?;
        let (base_offset, last_offset) = accumulator.append(epoch, append_timestamp, values)?;
        let size_in_bytes = values.iter().map(bytes::Bytes::len).sum();
        self.prepared.push(Arc::new(CommittedBatch {
            base_offset,
            last_offset,
            epoch,
            append_timestamp,
            size_in_bytes,
            records,
        }));
        Ok(last_offset)
    }
}

/// The values of the records, encoded before any lock is taken.
fn encode(records: &[ApiMessageAndVersion]) -> Result<Vec<bytes::Bytes>, AppendError> {
    Ok(records.iter().map(ApiMessageAndVersion::to_bytes).collect::<Result<Vec<_>, _>>()?)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For the handles.
impl Shared {
    pub(super) fn new(
        node_id: i32,
        fs: Arc<dyn FileSystem>,
        time: Arc<dyn Time>,
        log: Arc<UnifiedLog>,
        snapshots: SnapshotSet,
    ) -> Self {
        Self {
            inbox: Mutex::default(),
            wakeup: Condvar::new(),
            status: ArcSwap::default(),
            thread: Mutex::default(),
            node_id,
            fs,
            time,
            log,
            snapshots,
            failure: Mutex::default(),
        }
    }

    pub(super) fn node_id(&self) -> i32 {
        self.node_id
    }

    pub(super) fn status(&self) -> Guard<Arc<Status>> {
        self.status.load()
    }

    pub(super) fn latest_snapshot_id(&self) -> Option<OffsetAndEpoch> {
        self.snapshots.latest()
    }

    pub(super) fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    pub(super) fn register(&self, listener: Box<dyn RaftListener>) {
        self.send(Command::Register(listener));
    }

    pub(super) fn prepare_append(
        &self,
        epoch: i32,
        records: Vec<ApiMessageAndVersion>,
    ) -> Result<i64, AppendError> {
        let values = encode(&records)?;
        lock(&self.inbox).prepare(epoch, self.time.now_ms(), records, &values)
    }

    pub(super) fn schedule_prepared_append(&self) {
        let mut inbox = lock(&self.inbox);
        if let Some(append) = inbox.take_prepared() {
            inbox.commands.push_back(append);
            self.wakeup.notify_one();
        }
    }

    pub(super) fn append_when_idle(&self, idle: IdleAppend) {
        self.send(Command::AppendWhenIdle(idle));
    }

    pub(super) async fn ask(&self, request: RaftRequest) -> Option<RaftResponse> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Ask(request, sender));
        receiver.await.ok()
    }

    pub(super) fn resign(&self, epoch: i32) {
        self.send(Command::Input(RaftInput::Resign(epoch)));
    }

    pub(super) fn create_snapshot(
        self: &Arc<Self>,
        id: OffsetAndEpoch,
        last_contained_log_timestamp: i64,
    ) -> Result<Option<SnapshotWriter>, CreateSnapshotError> {
        let status = self.status();
        let high_watermark = status.high_watermark.unwrap_or(0);
        if id.offset < self.log.log_start_offset() || self.snapshots.contains(id) {
            return Ok(None);
        }
        if id.offset > high_watermark {
            return Err(CreateSnapshotError::BeyondHighWatermark { id, high_watermark });
        }
        self.check_snapshot_id(id)?;
        let partition = &status.partition;
        let kraft_version = partition.kraft_version_at(id.offset - 1);
        let header = SnapshotHeader {
            id,
            last_contained_log_timestamp,
            kraft_version,
            voters: partition.voter_set_at(id.offset - 1).filter(|_| kraft_version > 0).cloned(),
        };
        let shared = Arc::clone(self);
        let on_frozen = Box::new(move |id| shared.send(Command::Input(RaftInput::SnapshotFrozen(id))));
        let (fs, time, dir) = (Arc::clone(&self.fs), Arc::clone(&self.time), self.log.dir());
        let writer = SnapshotWriter::create(fs, time, &dir, &header, self.snapshots.clone(), on_frozen)?;
        Ok(Some(writer))
    }

    /// A snapshot ends where a batch ends, or a follower that starts from it could append no batch after.
    fn check_snapshot_id(&self, id: OffsetAndEpoch) -> Result<(), CreateSnapshotError> {
        let does_not_fit = || CreateSnapshotError::DoesNotFitLog(id);
        if id.offset > self.log.log_start_offset() {
            let epoch = self.log.epoch_for_offset(id.offset - 1);
            if epoch != Some(id.epoch) {
                return Err(does_not_fit());
            }
        }
        if id.offset < self.log.log_end_offset() {
            let isolation = ottla_storage::FetchIsolation::LogEnd;
            let read = self.log.read(id.offset, 1, isolation, true);
            let records = read.map_err(super::metadata_log::MetadataLogError::from)?.records;
            let bytes = records.read_all().map_err(|_| does_not_fit())?;
            let base_offset = bytes.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes));
            if base_offset != Some(id.offset) {
                return Err(does_not_fit());
            }
        }
        Ok(())
    }

    pub(super) fn shutdown(&self, timeout: Duration) -> bool {
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let deadline_ms = self.time.now_ms().saturating_add(timeout_ms);
        self.send(Command::Input(RaftInput::Shutdown { deadline_ms }));
        let thread = lock(&self.thread).take();
        thread.is_none_or(|thread| thread.join().is_ok()) && lock(&self.failure).is_none()
    }

    fn send(&self, command: Command) {
        let mut inbox = lock(&self.inbox);
        // After the end nobody looks; a dropped sender tells whoever asked.
        if !inbox.stopped {
            inbox.commands.push_back(command);
            self.wakeup.notify_one();
        }
    }
}

/// For the raft thread.
impl Shared {
    pub(super) fn set_thread(&self, thread: JoinHandle<()>) {
        *lock(&self.thread) = Some(thread);
    }

    pub(super) fn set_status(&self, status: Status) {
        self.status.store(Arc::new(status));
    }

    pub(super) fn open_accumulator(&self, epoch: i32, base_offset: i64) {
        let mut inbox = lock(&self.inbox);
        inbox.prepared.clear();
        inbox.accumulator = Some(BatchAccumulator::new(epoch, base_offset));
    }

    pub(super) fn close_accumulator(&self) {
        let mut inbox = lock(&self.inbox);
        inbox.accumulator = None;
        inbox.prepared.clear();
    }

    /// What the raft thread itself appends to an idle log; nothing if somebody else is about to.
    pub(super) fn prepare_idle_append(&self, idle: &IdleAppend) -> Result<Option<Command>, AppendError> {
        let values = encode(&idle.records)?;
        let mut inbox = lock(&self.inbox);
        if inbox.has_appends_ahead() {
            return Ok(None);
        }
        inbox.prepare(idle.epoch, self.time.now_ms(), idle.records.clone(), &values)?;
        Ok(inbox.take_prepared())
    }

    /// Waits until something is to be done or the time is up.
    pub(super) fn wait(&self, timeout: Duration) -> VecDeque<Command> {
        let inbox = lock(&self.inbox);
        let waited = self.wakeup.wait_timeout_while(inbox, timeout, |inbox| inbox.commands.is_empty());
        let (mut inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut inbox.commands)
    }

    /// Nothing is taken any more; whoever waits for an answer learns that none comes.
    pub(super) fn stop(&self, failure: Option<String>) {
        *lock(&self.failure) = failure;
        let mut inbox = lock(&self.inbox);
        inbox.stopped = true;
        inbox.accumulator = None;
        inbox.prepared.clear();
        inbox.commands.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: i32 = 3;

    fn leading() -> Inbox {
        Inbox { accumulator: Some(BatchAccumulator::new(EPOCH, 20)), ..Inbox::default() }
    }

    fn prepare(inbox: &mut Inbox, count: usize) -> i64 {
        let record = ottla_protocol::records::metadata::NoOpRecord::default();
        let records = vec![ApiMessageAndVersion::new(record, 0); count];
        let values = encode(&records).unwrap();
        inbox.prepare(EPOCH, 0, records, &values).unwrap()
    }

    /// Offsets are given when records are prepared, so what overtakes them leaves a gap in the log.
    #[test]
    fn an_append_is_ahead_until_the_raft_thread_took_it() {
        let mut inbox = leading();
        assert!(!inbox.has_appends_ahead());
        assert_eq!(prepare(&mut inbox, 9), 28);
        assert!(inbox.has_appends_ahead(), "prepared");
        let append = inbox.take_prepared().unwrap();
        inbox.commands.push_back(append);
        assert!(inbox.has_appends_ahead(), "scheduled");
        inbox.commands.clear();
        assert!(!inbox.has_appends_ahead(), "taken");
        assert_eq!(prepare(&mut inbox, 1), 29);
    }
}

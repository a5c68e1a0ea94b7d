use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_share::{
    DeadLetterRange, EffectToken, ShareAutoOffsetReset, SharePartition, SharePartitionConfig,
    SharePartitionEffect, SharePartitionError, SharePartitionState,
};
use ottla_storage::{FetchIsolation, ListOffsetsTimestamp};
use tokio::sync::oneshot;

use super::persister::SharePartitionKey;
use super::waiters::ShareWaiters;
use super::writes::{CombinedWrite, WriteQueue};
use crate::parked::Parked;
use crate::partition::Partition;

/// The end of a request that waits for the share coordinator.
pub(super) type ShareReply = Result<(), SharePartitionError>;

/// A share-partition, and those who wait for it.
#[derive(Debug)]
pub(super) struct HostedSharePartition {
    /// Tells it from another of the same key that was here before.
    pub(super) id: u64,
    pub(super) key: SharePartitionKey,
    pub(super) partition: Arc<Partition>,
    pub(super) leader_epoch: i32,
    state: Mutex<HostedState>,
}

/// What is behind the mutex.
#[derive(Debug)]
pub(super) struct HostedState {
    pub(super) kernel: SharePartition,
    pub(super) waiters: ShareWaiters,
    /// What the timer of acquisition locks is set for.
    pub(super) timer_ms: Option<i64>,
    writes: WriteQueue,
    replies: HashMap<EffectToken, oneshot::Sender<ShareReply>>,
    /// Why the state could not be loaded.
    failure: Option<SharePartitionError>,
    woken: Vec<Arc<Parked>>,
}

/// What is to be done outside of the mutex.
#[derive(Debug, Default)]
pub(super) struct Todo {
    pub(super) jobs: Vec<Job>,
    pub(super) replies: Vec<(oneshot::Sender<ShareReply>, ShareReply)>,
    pub(super) woken: Vec<Arc<Parked>>,
    pub(super) locks_timed_out: i64,
}

/// Something that is not done at once.
#[derive(Debug)]
pub(super) enum Job {
    ReadState {
        leader_epoch: i32,
    },
    FindStartOffset {
        reset: ShareAutoOffsetReset,
    },
    WriteStates,
    DeadLetter {
        token: EffectToken,
        range: DeadLetterRange,
    },
    /// The state could not be loaded.
    Forget,
    /// Somebody else took over.
    Fence,
}

/// What a fetch finds when it wants to acquire records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchTurn {
    /// It has the fetch lock, and is to fetch from here.
    From(i64),
    /// Another fetch has the lock.
    Taken,
    /// There is nothing to be had before somebody says otherwise.
    Nothing,
}

impl HostedSharePartition {
    pub(super) fn new(
        id: u64,
        key: SharePartitionKey,
        partition: Arc<Partition>,
        leader_epoch: i32,
        config: SharePartitionConfig,
    ) -> Self {
        let state = HostedState {
            kernel: SharePartition::new(leader_epoch, config),
            waiters: ShareWaiters::default(),
            timer_ms: None,
            writes: WriteQueue::default(),
            replies: HashMap::new(),
            failure: None,
            woken: Vec::new(),
        };
        Self { id, key, partition, leader_epoch, state: Mutex::new(state) }
    }

    /// A poisoned lock means that somebody panicked; what is in flight may be unsound, but it is written down
    /// elsewhere, and locks that nobody ends end by themselves.
    pub(super) fn lock(&self) -> MutexGuard<'_, HostedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn topic_partition(&self) -> &TopicPartition {
        self.partition.topic_partition()
    }

    pub(super) fn topic_id(&self) -> Uuid {
        self.key.topic_id
    }

    /// Why the state could not be loaded, if so.
    pub(super) fn failure(&self) -> Option<SharePartitionError> {
        self.lock().failure
    }

    /// What to write to the share coordinator next.
    pub(super) fn next_write(&self) -> Option<CombinedWrite> {
        self.lock().writes.next()
    }

    /// Where a group without a start offset begins. It may read the disk.
    pub(super) fn find_start_offset(
        &self,
        reset: ShareAutoOffsetReset,
        now_ms: i64,
    ) -> Result<i64, ErrorCode> {
        let timestamp = match reset {
            ShareAutoOffsetReset::Latest => ListOffsetsTimestamp::LATEST,
            ShareAutoOffsetReset::Earliest => ListOffsetsTimestamp::EARLIEST,
            // Numbers below zero have a meaning of their own.
            ShareAutoOffsetReset::ByDuration { duration_ms } => now_ms.saturating_sub(duration_ms).max(0),
        };
        let isolation = FetchIsolation::HighWatermark;
        let found = self.partition.fetch_offset(timestamp, Some(self.leader_epoch), isolation)?;
        found.map(|found| found.offset).ok_or(ErrorCode::OffsetNotAvailable)
    }
}

impl HostedState {
    /// Lets a fetch try its luck.
    pub(super) fn take_turn(&mut self, fetch_id: Uuid, place: Option<u64>) -> FetchTurn {
        if !self.kernel.maybe_acquire_fetch_lock(fetch_id) {
            if self.kernel.state() != SharePartitionState::Active {
                return FetchTurn::Nothing;
            }
            if let Some(place) = place {
                self.waiters.want_fetch_lock(place);
            }
            return FetchTurn::Taken;
        }
        if self.kernel.can_acquire_records() {
            return FetchTurn::From(self.kernel.next_fetch_offset());
        }
        self.end_turn(fetch_id);
        FetchTurn::Nothing
    }

    /// Gives the fetch lock back.
    pub(super) fn end_turn(&mut self, fetch_id: Uuid) {
        let released = self.kernel.release_fetch_lock(fetch_id);
        assert!(
            released || std::thread::panicking(),
            "SHARE-FETCH-LOCK-OWNED: who gives the lock back has it"
        );
        let ready = self.waiters.release_wanting_fetch_lock();
        self.woken.extend(ready);
    }

    /// Lets all who wait look again.
    fn wake_all(&mut self) {
        let ready = self.waiters.release_all();
        self.woken.extend(ready);
    }

    /// Who is told how a write went.
    pub(super) fn expect_reply(&mut self, token: EffectToken) -> oneshot::Receiver<ShareReply> {
        let (sender, receiver) = oneshot::channel();
        self.replies.insert(token, sender);
        receiver
    }

    /// Takes all effects, in order.
    pub(super) fn drain(&mut self) -> Todo {
        let mut todo = Todo::default();
        while let Some(effect) = self.kernel.poll_effect() {
            self.sort(effect, &mut todo);
        }
        todo.woken = std::mem::take(&mut self.woken);
        todo
    }

    fn sort(&mut self, effect: SharePartitionEffect, todo: &mut Todo) {
        match effect {
            SharePartitionEffect::ReadState { leader_epoch } => {
                todo.jobs.push(Job::ReadState { leader_epoch })
            }
            SharePartitionEffect::FindStartOffset { reset } => todo.jobs.push(Job::FindStartOffset { reset }),
            // Those who wait for it are told by the effect behind it.
            SharePartitionEffect::Initialized { result: Ok(()) } => {}
            SharePartitionEffect::Initialized { result: Err(error) } => {
                self.failure = Some(error);
                todo.jobs.push(Job::Forget);
            }
            SharePartitionEffect::WriteState { token, write } => {
                if self.writes.push(token, write) {
                    todo.jobs.push(Job::WriteStates);
                }
            }
            SharePartitionEffect::DeadLetter { token, range } => {
                todo.jobs.push(Job::DeadLetter { token, range });
            }
            SharePartitionEffect::Reply { token, result } => {
                if result.is_err_and(SharePartitionError::fences) {
                    todo.jobs.push(Job::Fence);
                }
                // Nobody waits for what was released behind a member that is gone.
                if let Some(sender) = self.replies.remove(&token) {
                    todo.replies.push((sender, result));
                }
            }
            SharePartitionEffect::CheckDelayedFetches => self.wake_all(),
            SharePartitionEffect::LocksTimedOut { records } => todo.locks_timed_out += records,
        }
    }
}

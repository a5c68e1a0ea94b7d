//! What share-partitions have done for them outside of their mutexes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_common::ErrorCode;
use ottla_share::{DeadLetterRange, EffectToken, ShareAutoOffsetReset};

use super::dead_letters::DeadLetters;
use super::hosted::{HostedSharePartition, HostedState, Job, Todo};
use super::manager::{LOGGER, SharePartitionManager};

impl SharePartitionManager {
    /// Calls a share-partition, and does what it wants done after that.
    pub(super) fn with<T>(
        self: &Arc<Self>,
        hosted: &Arc<HostedSharePartition>,
        call: impl FnOnce(&mut HostedState) -> T,
    ) -> T {
        let mut state = hosted.lock();
        let result = call(&mut state);
        let todo = state.drain();
        let timer_ms = state.kernel.poll_timeout();
        if timer_ms != state.timer_ms {
            self.lock_timer.change(self, hosted, state.timer_ms, timer_ms);
            state.timer_ms = timer_ms;
        }
        drop(state);
        self.run(hosted, todo);
        result
    }

    fn run(self: &Arc<Self>, hosted: &Arc<HostedSharePartition>, todo: Todo) {
        todo.woken.iter().for_each(|parked| parked.wake());
        for (sender, result) in todo.replies {
            // Whoever waited may be gone.
            let _ = sender.send(result);
        }
        if let Ok(records @ 1..) = u64::try_from(todo.locks_timed_out) {
            self.locks_timed_out.fetch_add(records, Ordering::Relaxed);
        }
        for job in todo.jobs {
            self.begin(hosted, job);
        }
    }

    fn begin(self: &Arc<Self>, hosted: &Arc<HostedSharePartition>, job: Job) {
        let (manager, hosted) = (Arc::clone(self), Arc::clone(hosted));
        match job {
            Job::ReadState { leader_epoch } => _ = tokio::spawn(manager.read_state(hosted, leader_epoch)),
            Job::FindStartOffset { reset } => _ = tokio::spawn(manager.find_start_offset(hosted, reset)),
            Job::WriteStates => _ = tokio::spawn(manager.write_states(hosted)),
            Job::DeadLetter { token, range } => {
                _ = tokio::spawn(manager.send_dead_letters(hosted, token, range));
            }
            Job::Forget => {
                if let Some(error) = hosted.failure() {
                    tracing::warn!(logger = LOGGER, "{} cannot be loaded: {error}", hosted.key);
                }
                self.forget(&hosted);
            }
            Job::Fence => self.fence(&hosted),
        }
    }

    async fn read_state(self: Arc<Self>, hosted: Arc<HostedSharePartition>, leader_epoch: i32) {
        let result = self.persister.read_state(&hosted.key, leader_epoch).await;
        self.with(&hosted, |state| state.kernel.complete_read(result));
    }

    async fn find_start_offset(
        self: Arc<Self>,
        hosted: Arc<HostedSharePartition>,
        reset: ShareAutoOffsetReset,
    ) {
        let (searched, now_ms) = (Arc::clone(&hosted), self.time.now_ms());
        let search = move || searched.find_start_offset(reset, now_ms);
        let found = tokio::task::spawn_blocking(search).await;
        let result = found.unwrap_or(Err(ErrorCode::UnknownServerError));
        self.with(&hosted, |state| state.kernel.complete_start_offset(result));
    }

    /// Writes until there is nothing to write any more.
    async fn write_states(self: Arc<Self>, hosted: Arc<HostedSharePartition>) {
        while let Some(combined) = hosted.next_write() {
            let result = self.persister.write_state(&hosted.key, combined.write).await;
            if let Err(error) = result {
                tracing::warn!(logger = LOGGER, "The state of {} was not written: {error}", hosted.key);
            }
            let now_ms = self.now_ms();
            self.with(&hosted, |state| {
                for token in combined.tokens {
                    state.kernel.complete_write(now_ms, token, result);
                }
            });
        }
    }

    /// Records are archived however this ends.
    async fn send_dead_letters(
        self: Arc<Self>,
        hosted: Arc<HostedSharePartition>,
        token: EffectToken,
        range: DeadLetterRange,
    ) {
        // The semaphore is never closed; if it were, this would be a way to end too.
        if let Ok(_slot) = self.dead_letter_slots.acquire().await {
            let letters = DeadLetters {
                sink: &*self.dead_letter_sink,
                time: &*self.time,
                group_id: &hosted.key.group_id,
                source: &hosted.partition,
                range,
            };
            if let Err(error) = letters.send().await {
                let DeadLetterRange { first_offset, last_offset, .. } = range;
                tracing::warn!(
                    logger = LOGGER,
                    "Records {first_offset} to {last_offset} of {} are not all in the dead-letter queue: {error}",
                    hosted.key
                );
            }
        }
        self.with(&hosted, |state| state.kernel.complete_dead_letter(token));
    }
}

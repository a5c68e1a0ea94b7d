//! The task that brings the markers of this broker's transactions to the leaders of their partitions.
//!
//! [`TxnMarkerChannel`] knows which markers are on their way, and what goes out when. This task sends what it says,
//! hands in the answers, and tells the shards. It waits for no single request: many are under way at a time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytestring::ByteString;
use ottla_apis::context::BoxFuture;
use ottla_common::time::Time;
use ottla_coordinator::transaction::{
    MarkerLeader, MarkersWritten, TransactionCoordinatorShard, TransactionMarkers, TxnMarkerChannel,
};
use ottla_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::TransactionCoordinatorService;
use crate::coordinator::runtime::Source;

/// News of the shards.
#[derive(Debug)]
pub(super) enum MarkerNews {
    /// A transaction ends: these markers are to be written.
    Send(Source, TransactionMarkers),
    /// A shard is no more: its markers are those of the next coordinator.
    Unloaded(Source),
}

/// How markers reach the leaders.
pub trait MarkerTransport: fmt::Debug + Send + Sync {
    /// Who leads a partition.
    fn leader(&self, topic: &str, partition: i32) -> MarkerLeader;

    /// Has a broker write markers, be it this one. `None` if there was no answer, and never later than the broker's
    /// patience with requests.
    fn write_txn_markers(
        &self,
        broker_id: i32,
        request: WriteTxnMarkersRequest,
    ) -> BoxFuture<'_, Option<WriteTxnMarkersResponse>>;
}

/// A request's number, and its answer.
type Answer = (u64, Option<WriteTxnMarkersResponse>);

/// The owner of the markers on their way.
#[derive(Debug)]
pub(super) struct MarkerTask {
    channel: TxnMarkerChannel,
    /// The newest epoch in which each partition of `__transaction_state` was heard of.
    epochs: HashMap<i32, i32>,
    transport: Arc<dyn MarkerTransport>,
    service: Weak<TransactionCoordinatorService>,
    time: Arc<dyn Time>,
    requests: JoinSet<Answer>,
}

impl MarkerTask {
    pub(super) fn new(
        transport: Arc<dyn MarkerTransport>,
        service: Weak<TransactionCoordinatorService>,
        time: Arc<dyn Time>,
    ) -> Self {
        Self {
            channel: TxnMarkerChannel::default(),
            epochs: HashMap::new(),
            transport,
            service,
            time,
            requests: JoinSet::new(),
        }
    }

    /// Works until there are no more shards.
    pub(super) async fn run(mut self, mut news: mpsc::UnboundedReceiver<MarkerNews>) {
        loop {
            self.send().await;
            let pause = self.pause();
            tokio::select! {
                next = news.recv() => {
                    let Some(next) = next else { return };
                    self.hear(next);
                    // Markers that come together go out together.
                    while let Ok(next) = news.try_recv() {
                        self.hear(next);
                    }
                }
                Some(answer) = self.requests.join_next() => {
                    // A panic ends the process, so there is an answer.
                    let Ok((request_id, response)) = answer else { continue };
                    let finished = self.channel.on_response(self.now_ms(), request_id, response.as_ref());
                    self.tell(finished).await;
                }
                () = sleep(pause) => {}
            }
        }
    }

    /// Takes in news of a shard. Shards of one partition follow each other, but the end of the first may be heard
    /// of after the begin of the second.
    fn hear(&mut self, news: MarkerNews) {
        match news {
            MarkerNews::Send(source, markers) => {
                if self.is_current(source) {
                    self.channel.add(self.now_ms(), source.partition, markers);
                }
            }
            MarkerNews::Unloaded(source) => {
                if self.is_current(source) {
                    self.channel.remove_partition(source.partition);
                }
            }
        }
    }

    /// Whether nothing newer was heard of the partition. What is older than this goes: whoever coordinates in this
    /// epoch finds the transactions in its log and ends them.
    fn is_current(&mut self, source: Source) -> bool {
        let epoch = self.epochs.entry(source.partition).or_insert(source.leader_epoch);
        if *epoch < source.leader_epoch {
            *epoch = source.leader_epoch;
            self.channel.remove_partition(source.partition);
        }
        *epoch == source.leader_epoch
    }

    async fn send(&mut self) {
        let transport = Arc::clone(&self.transport);
        let leader = |topic: &ByteString, partition: i32| transport.leader(topic, partition);
        let now_ms = self.now_ms();
        let (requests, gone) = self.channel.poll(now_ms, &leader);
        for request in requests {
            let transport = Arc::clone(&self.transport);
            self.requests.spawn(async move {
                (request.request_id, transport.write_txn_markers(request.broker_id, request.request).await)
            });
        }
        self.tell(gone).await;
    }

    /// Tells the shards what came of their markers. One that is gone, or being loaded again, need not know.
    async fn tell(&self, finished: Vec<(i32, MarkersWritten)>) {
        if finished.is_empty() {
            return;
        }
        let Some(service) = self.service.upgrade() else { return };
        for (partition, written) in finished {
            let decide =
                move |_, shard: &TransactionCoordinatorShard| shard.write_txn_markers_completed(&written);
            let _ = service.runtime().tell(partition, decide).await;
        }
    }

    /// How long there is nothing to do by itself.
    fn pause(&self) -> Duration {
        let due_ms =
            self.channel.next_deadline().map_or(i64::MAX, |due_ms| due_ms.saturating_sub(self.now_ms()));
        Duration::from_millis(due_ms.clamp(0, LONGEST_PAUSE_MS).unsigned_abs())
    }

    /// A clock that nobody sets: all that matters here is how much time passed.
    fn now_ms(&self) -> i64 {
        self.time.monotonic_ns() / 1_000_000
    }
}

const LONGEST_PAUSE_MS: i64 = 60_000;

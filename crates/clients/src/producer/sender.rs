use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::produce_response::PartitionProduceResponse;
use ottla_protocol::messages::{InitProducerIdRequest, ProduceRequest};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;

use super::accumulator::{Batch, Producer, RecordAccumulator};
use super::produce::{Answers, sort_answers};
use super::settings::ProducerSettings;
use super::transaction::{Transactions, Verdict};
use crate::{ClientError, NetworkClient};

/// Everything the producer's callers and its sender task share.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) client: Arc<NetworkClient>,
    pub(crate) settings: ProducerSettings,
    pub(crate) accumulator: Mutex<RecordAccumulator>,
    /// `buffer.memory`.
    pub(crate) memory: Semaphore,
    /// Something may be sendable.
    pub(crate) wakeup: Notify,
    /// Something was answered.
    pub(crate) progress: Notify,
    pub(crate) refreshing: AtomicBool,
    pub(crate) lanes: Mutex<HashMap<i32, mpsc::Sender<Batches>>>,
    /// With `transactional.id`.
    pub(crate) transactions: Option<Arc<Transactions>>,
}

/// What one request carries.
pub(crate) type Batches = Vec<(TopicPartition, Batch)>;

/// Requests that may wait for a connection.
const LANE_LENGTH: usize = 16;

impl Sender {
    pub(crate) fn lock(&self) -> MutexGuard<'_, RecordAccumulator> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends until it is aborted.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut last_refresh = Instant::now();
        loop {
            let next = self.step().await;
            let max_age = self.client.settings().metadata_max_age;
            if last_refresh.elapsed() >= max_age {
                last_refresh = Instant::now();
                let topics = self.client.metadata().topics.keys().cloned().collect();
                self.refresh(topics);
            }
            let wait_until = next.unwrap_or_else(|| Instant::now() + max_age.min(Duration::from_secs(1)));
            tokio::select! {
                () = self.wakeup.notified() => {}
                () = tokio::time::sleep_until(wait_until) => {}
            }
        }
    }

    async fn step(self: &Arc<Self>) -> Option<Instant> {
        if let Err(error) = self.ensure_producer().await {
            if !error.is_retriable() {
                self.fail_all(&error);
            }
            self.expire();
            return Some(Instant::now() + self.client.settings().retry_backoff);
        }
        self.expire();
        self.drop_what_the_transaction_lost();
        let metadata = self.client.metadata();
        let drained = self.lock().drain(
            Instant::now(),
            |tp| metadata.leader(&tp.topic, tp.partition),
            |tp| self.transactions.as_ref().is_none_or(|transactions| transactions.lock().may_send(tp)),
        );
        for (tp, batch, error) in drained.broken {
            self.give_up(self.lock(), &tp, batch, error);
        }
        for (node, batches) in drained.requests {
            let lane = self.lane(node);
            // A lane ends only with the producer.
            let _ = lane.send(batches).await;
        }
        if drained.leaderless.is_empty() {
            return drained.next;
        }
        let mut topics: Vec<ByteString> = drained.leaderless.iter().map(|tp| (&*tp.topic).into()).collect();
        topics.sort();
        topics.dedup();
        self.refresh(topics);
        let again = Instant::now() + self.client.settings().retry_backoff;
        Some(drained.next.map_or(again, |next| next.min(again)))
    }

    /// Records of a transaction that cannot be committed need not be sent.
    fn drop_what_the_transaction_lost(&self) {
        let Some(transactions) = &self.transactions else { return };
        let verdict = transactions.lock().verdict();
        match verdict {
            Verdict::Send => {}
            Verdict::DropAll(error) => self.fail_all(&error),
            Verdict::DropUnsent(error) => {
                let unsent = self.lock().abort_unsent();
                for (tp, batch) in unsent {
                    self.finish(&tp, batch, Err(error.clone()));
                }
            }
        }
    }

    /// Asks anew who leads what, in the background and once at a time.
    fn refresh(self: &Arc<Self>, topics: Vec<ByteString>) {
        if topics.is_empty() || self.refreshing.swap(true, Ordering::SeqCst) {
            return;
        }
        let sender = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = sender.client.refresh_metadata(Some(&topics), false).await {
                tracing::debug!("Cannot refresh metadata: {error}");
                tokio::time::sleep(sender.client.settings().retry_backoff).await;
            }
            sender.refreshing.store(false, Ordering::SeqCst);
            sender.wakeup.notify_one();
        });
    }

    /// Gets a producer id when there is none, or when sequences have a gap. Transactional producers
    /// get theirs from their coordinator.
    async fn ensure_producer(&self) -> Result<(), ClientError> {
        if self.transactions.is_some() {
            return Ok(());
        }
        {
            let accumulator = self.lock();
            let wanted = accumulator.producer.is_none() || accumulator.needs_reset;
            let idle = accumulator.incomplete == 0 && accumulator.producer.is_none();
            if !self.settings.idempotent || !wanted || idle || !accumulator.is_quiet() {
                return Ok(());
            }
        }
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        let response = self.client.any().await?.send(&request).await?;
        ClientError::check("producer id", response.error_code, None)?;
        self.lock().reset(Producer { id: response.producer_id, epoch: response.producer_epoch });
        Ok(())
    }

    /// The lane to a broker: one task that puts requests on the wire in their order, so that the
    /// batches of a partition never overtake each other.
    fn lane(self: &Arc<Self>, node: i32) -> mpsc::Sender<Batches> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(node).or_insert_with(|| {
            let (lane, mut requests) = mpsc::channel::<Batches>(LANE_LENGTH);
            let sender = Arc::downgrade(self);
            tokio::spawn(async move {
                while let Some(batches) = requests.recv().await {
                    let Some(sender) = sender.upgrade() else { return };
                    sender.produce(node, batches).await;
                }
            });
            lane
        });
        lane.clone()
    }

    async fn produce(self: Arc<Self>, node: i32, batches: Batches) {
        let payload: Vec<_> = batches.iter().map(|(tp, batch)| (tp.clone(), batch.bytes())).collect();
        // Names belong to the ids that were sent, whatever is forgotten until the answer comes.
        let metadata = self.client.metadata();
        let begun = self.begin_produce(node, &payload, &metadata).await;
        match begun {
            Ok(Some((connection, pending))) => {
                tokio::spawn(async move {
                    let patience = self.client.settings().request_timeout;
                    let answer = connection.finish::<ProduceRequest>(pending, patience).await;
                    self.take_in(node, batches, answer.map(|answer| Some(sort_answers(answer, &metadata))));
                });
            }
            Ok(None) => self.take_in(node, batches, Ok(None)),
            Err(error) => self.take_in(node, batches, Err(error)),
        }
    }

    /// The fate of each batch of a request; there is no answer with `acks=0`.
    fn take_in(&self, node: i32, batches: Batches, answer: Result<Option<Answers>, ClientError>) {
        self.lock().request_done(node);
        match answer {
            Ok(None) => batches.into_iter().for_each(|(tp, batch)| self.succeed(&tp, batch, (-1, -1))),
            Ok(Some(answers)) => {
                for (tp, batch) in batches {
                    match answers.iter().find(|(of, _)| *of == tp) {
                        Some((_, answer)) => self.settle(&tp, batch, answer),
                        None => self.refuse(&tp, batch, missing_answer(&tp)),
                    }
                }
            }
            Err(error) => {
                tracing::debug!("Produce to broker {node} failed: {error}");
                for (tp, batch) in batches {
                    self.refuse(&tp, batch, error.clone());
                }
            }
        }
        self.wakeup.notify_one();
    }

    fn settle(&self, tp: &TopicPartition, batch: Batch, answer: &PartitionProduceResponse) {
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => self.succeed(tp, batch, (answer.base_offset, answer.log_append_time_ms)),
            // An earlier try arrived and only its answer was lost.
            ErrorCode::DuplicateSequenceNumber => self.succeed(tp, batch, (-1, -1)),
            code => {
                let detail =
                    answer.record_errors.first().and_then(|e| e.batch_index_error_message.as_deref());
                let message = answer.error_message.as_deref().or(detail);
                self.refuse(tp, batch, ClientError::api(tp.to_string(), code, message));
            }
        }
    }

    fn succeed(&self, tp: &TopicPartition, batch: Batch, (offset, append_time): (i64, i64)) {
        self.lock().succeeded(tp, &batch);
        self.finish(tp, batch, Ok((offset, append_time)));
    }

    /// Tries again where that can help, else gives the batch up.
    fn refuse(&self, tp: &TopicPartition, batch: Batch, error: ClientError) {
        let now = Instant::now();
        let mut accumulator = self.lock();
        let lost_identity = matches!(
            error.code(),
            Some(
                ErrorCode::OutOfOrderSequenceNumber
                    | ErrorCode::UnknownProducerId
                    | ErrorCode::InvalidProducerEpoch
            )
        ) && self.settings.idempotent;
        let is_gap = lost_identity && !accumulator.has_older(tp, &batch);
        if is_gap {
            // Nothing before it can fill the gap; start over under a new id.
            accumulator.needs_reset = true;
        }
        let moved = matches!(
            error.code(),
            Some(
                ErrorCode::UnknownTopicOrPartition
                    | ErrorCode::UnknownTopicId
                    | ErrorCode::InconsistentTopicId
            )
        );
        // A transaction with a gap cannot be committed, and a producer that is fenced cannot go on.
        let is_fenced = error.code() == Some(ErrorCode::InvalidProducerEpoch);
        let is_lost = self.transactions.as_ref().is_some_and(|transactions| {
            is_gap || is_fenced || matches!(transactions.lock().verdict(), Verdict::DropAll(_))
        });
        let worth = (error.is_retriable() || lost_identity || moved) && !is_lost;
        if worth && accumulator.may_retry(&batch, now) {
            let pause = self.client.settings().backoff(batch.attempts);
            accumulator.retry(tp, batch, now + pause);
            drop(accumulator);
            let same_leader = error.code() == Some(ErrorCode::ConcurrentTransactions);
            if !lost_identity && !same_leader {
                self.client.forget_topic(&tp.topic);
            }
            return;
        }
        self.give_up(accumulator, tp, batch, error);
    }

    /// A batch is lost, and its transaction with it. Both are noted under the accumulator's lock:
    /// a transaction must not end between the two.
    fn give_up(
        &self,
        mut accumulator: MutexGuard<'_, RecordAccumulator>,
        tp: &TopicPartition,
        batch: Batch,
        error: ClientError,
    ) {
        self.fail_transaction(&error);
        accumulator.failed(tp, &batch);
        drop(accumulator);
        self.finish(tp, batch, Err(error));
    }

    fn fail_transaction(&self, error: &ClientError) {
        if let Some(transactions) = &self.transactions {
            transactions.lock().on_batch_failed(error);
        }
    }

    fn expire(&self) {
        let mut accumulator = self.lock();
        let expired = accumulator.expire(Some(Instant::now())).into_iter().map(|(tp, batch)| {
            let error = ClientError::Timeout {
                what: format!("delivery to {tp}"),
                waited: self.settings.delivery_timeout,
                cause: format!("{} attempts failed; see delivery.timeout.ms", batch.attempts),
            };
            self.fail_transaction(&error);
            (tp, batch, error)
        });
        let expired: Vec<_> = expired.collect();
        drop(accumulator);
        for (tp, batch, error) in expired {
            self.finish(&tp, batch, Err(error));
        }
    }

    /// Gives up everything that waits.
    pub(crate) fn fail_all(&self, error: &ClientError) {
        let all = self.lock().expire(None);
        for (tp, batch) in all {
            self.finish(&tp, batch, Err(error.clone()));
        }
    }

    fn finish(&self, tp: &TopicPartition, batch: Batch, result: Result<(i64, i64), ClientError>) {
        self.memory.add_permits(batch.memory);
        batch.complete(tp, result);
        self.progress.notify_waiters();
        if let Some(transactions) = &self.transactions {
            transactions.wakeup.notify_one();
        }
    }
}

fn missing_answer(tp: &TopicPartition) -> ClientError {
    ClientError::api(tp.to_string(), ErrorCode::UnknownServerError, Some("the broker's answer leaves it out"))
}

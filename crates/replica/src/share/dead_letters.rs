//! Brings records that a group gave up to its dead-letter queue (KIP-1191).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ottla_common::time::Time;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_record::{BuildError, MemoryRecords};
use ottla_share::DeadLetterRange;
use ottla_share::dead_letter::{
    Copies, DeadLetterBatch, DeadLetterError, DeadLetterSource, DeadLetterTopic, MAX_FETCH_BYTES, backoff_ms,
    destination_partition, is_retriable_create_error, is_retriable_produce_error, next_batch,
};
use ottla_storage::FetchIsolation;
use thiserror::Error;
use tokio::time::sleep;

use crate::BoxFuture;
use crate::fetch::FetchInfo;
use crate::partition::Partition;

/// What is known of a group's dead-letter queue just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterTarget {
    /// The group's `errors.deadletterqueue.topic.name`, if it has one.
    pub name: Option<Arc<str>>,
    /// The broker's `errors.deadletterqueue.topic.name.prefix`.
    pub prefix: Arc<str>,
    /// How many partitions the topic has; `None` if there is no such topic.
    pub num_partitions: Option<i32>,
    /// The topic's `errors.deadletterqueue.group.enable`.
    pub enabled: bool,
    /// The broker's `errors.deadletterqueue.auto.create.topics.enable`.
    pub auto_create: bool,
    /// The topic's `max.message.bytes`.
    pub max_message_bytes: usize,
    /// The group's `errors.deadletterqueue.copy.record.enable`.
    pub copy_records: bool,
}

impl DeadLetterTarget {
    fn topic(&self) -> DeadLetterTopic<'_> {
        DeadLetterTopic {
            name: self.name.as_deref(),
            prefix: &self.prefix,
            exists: self.num_partitions.is_some(),
            enabled: self.enabled,
            auto_create: self.auto_create,
        }
    }
}

/// Where dead letters go. Attempts are not repeated here: who sends them counts them.
pub trait DeadLetterSink: fmt::Debug + Send + Sync {
    /// What is known of a group's queue. It is asked before every request, for configurations change.
    fn target(&self, group_id: &str) -> DeadLetterTarget;

    /// Creates a queue's topic, with the broker's defaults and
    /// [`CREATED_TOPIC_CONFIGS`](ottla_share::dead_letter::CREATED_TOPIC_CONFIGS).
    fn create_topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), ErrorCode>>;

    /// Appends records to a partition of the queue, wherever its leader is, with `acks=all`.
    fn produce<'a>(
        &'a self,
        tp: &'a TopicPartition,
        records: MemoryRecords,
    ) -> BoxFuture<'a, Result<(), ErrorCode>>;
}

/// Why records are archived without a dead letter.
#[derive(Debug, Error)]
pub(super) enum DeadLettersError {
    #[error(transparent)]
    Queue(#[from] DeadLetterError),
    #[error("the topic of the dead-letter queue cannot be created: {0}")]
    Create(ErrorCode),
    #[error("the topic of the dead-letter queue has no partitions")]
    NoPartition,
    #[error("a batch of dead letters cannot be built: {0}")]
    Build(#[from] BuildError),
    #[error("the dead-letter queue did not take a batch: {0}")]
    Produce(ErrorCode),
    #[error("the records cannot be copied: the broker is stopping")]
    Stopping,
}

/// Records on their way to the queue.
pub(super) struct DeadLetters<'a> {
    pub(super) sink: &'a dyn DeadLetterSink,
    pub(super) time: &'a dyn Time,
    pub(super) group_id: &'a str,
    /// Where they are from.
    pub(super) source: &'a Arc<Partition>,
    pub(super) range: DeadLetterRange,
}

impl DeadLetters<'_> {
    /// Sends one request after the other until all are there. The first that fails ends it.
    pub(super) async fn send(&self) -> Result<(), DeadLettersError> {
        let mut from = self.range.first_offset;
        while from <= self.range.last_offset {
            let (tp, target) = self.find_target().await?;
            let batch = self.next_batch(&target, from).await?;
            self.produce(&tp, batch.records).await?;
            from = batch.last_offset.saturating_add(1);
        }
        Ok(())
    }

    /// The partition of the queue, whose topic is created if need be.
    async fn find_target(&self) -> Result<(TopicPartition, DeadLetterTarget), DeadLettersError> {
        let mut attempts = 0;
        loop {
            let target = self.sink.target(self.group_id);
            target.topic().check()?;
            let name = target.name.clone().ok_or(DeadLetterError::NotConfigured)?;
            if let Some(num_partitions) = target.num_partitions {
                let partition = self.source.topic_partition().partition;
                let partition = destination_partition(partition, num_partitions);
                let partition = partition.ok_or(DeadLettersError::NoPartition)?;
                return Ok((TopicPartition { topic: name, partition }, target));
            }
            let created = self.sink.create_topic(&name).await;
            // Even if it was created, it takes a moment until this broker knows it.
            let error = created.err().unwrap_or(ErrorCode::TopicAlreadyExists);
            attempts += 1;
            if !is_retriable_create_error(error) || !pause(attempts).await {
                return Err(DeadLettersError::Create(error));
            }
        }
    }

    async fn next_batch(
        &self,
        target: &DeadLetterTarget,
        from: i64,
    ) -> Result<DeadLetterBatch, DeadLettersError> {
        let (last_offset, max_bytes) = (self.range.last_offset, target.max_message_bytes);
        let copies = if target.copy_records {
            // It reads the disk, and unpacks what it read.
            let source = Arc::clone(self.source);
            let copy = move || copies_of(&source, from, last_offset, max_bytes);
            tokio::task::spawn_blocking(copy).await.map_err(|_| DeadLettersError::Stopping)?
        } else {
            Copies::none(last_offset)
        };
        let tp = self.source.topic_partition();
        let source = DeadLetterSource { topic: &tp.topic, partition: tp.partition, group_id: self.group_id };
        Ok(next_batch(&source, &self.range, from, &copies, self.time.now_ms(), max_bytes)?)
    }

    async fn produce(&self, tp: &TopicPartition, records: MemoryRecords) -> Result<(), DeadLettersError> {
        let mut attempts = 0;
        loop {
            let Err(error) = self.sink.produce(tp, records.clone()).await else { return Ok(()) };
            attempts += 1;
            if !is_retriable_produce_error(error) || !pause(attempts).await {
                return Err(DeadLettersError::Produce(error));
            }
        }
    }
}

/// Pauses after a failed attempt; false if there were enough of them.
async fn pause(failed_attempts: u32) -> bool {
    let Some(pause_ms) = backoff_ms(failed_attempts) else { return false };
    sleep(Duration::from_millis(u64::try_from(pause_ms).unwrap_or(0))).await;
    true
}

/// Keys and values of records, as far as one request can carry them and they can be read.
fn copies_of(source: &Partition, from: i64, last_offset: i64, max_bytes: usize) -> Copies {
    let mut copies = Copies::new(from, last_offset, max_bytes);
    let mut next = Some(from);
    while let Some(fetch_offset) = next {
        let info = FetchInfo {
            tp: source.topic_partition().clone(),
            topic_id: source.topic_id(),
            fetch_offset,
            max_bytes: MAX_FETCH_BYTES,
            current_leader_epoch: None,
            last_fetched_epoch: None,
        };
        let max_bytes = usize::try_from(MAX_FETCH_BYTES).unwrap_or(0);
        let data = source.read(&info, FetchIsolation::HighWatermark, max_bytes, true);
        let bytes = data.error.is_none().then(|| data.records.read_all().ok()).flatten();
        let Some(bytes) = bytes else {
            copies.give_up();
            break;
        };
        next = copies.collect(&MemoryRecords::new(bytes), fetch_offset);
    }
    copies
}

//! Sends records.

mod accumulator;
#[cfg(test)]
mod accumulator_test;
mod partitioner;
mod produce;
mod sender;
mod settings;
mod transaction;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::time::{SystemTime, Time};
use ottla_common::{ErrorCode, TopicPartition};
use ottla_record::RecordHeader;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use self::accumulator::{Callback, RecordAccumulator};
use self::partitioner::{StickyPartitioner, partition_for_key};
use self::sender::Sender;
use self::settings::ProducerSettings;
use self::transaction::Transactions;
use crate::{ClientConfig, ClientError, NetworkClient, TopicMetadata};

pub use partitioner::murmur2;

/// A record to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProducerRecord {
    /// Where to.
    pub topic: ByteString,
    /// Which partition; `None` lets the key decide, or chance.
    pub partition: Option<i32>,
    /// Milliseconds since the epoch; `None` for now.
    pub timestamp: Option<i64>,
    /// Key or null.
    pub key: Option<Bytes>,
    /// Value or null.
    pub value: Option<Bytes>,
    /// Headers in their order.
    pub headers: Vec<RecordHeader>,
}

impl ProducerRecord {
    /// A record of key and value.
    pub fn new(topic: impl Into<ByteString>, key: Option<Bytes>, value: Option<Bytes>) -> Self {
        Self { topic: topic.into(), key, value, ..Self::default() }
    }

    /// What it takes of `buffer.memory`: its bytes and what surrounds them in a batch at worst.
    fn memory(&self) -> usize {
        const OVERHEAD: usize = 32;
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|h| h.key.len() + len(&h.value) + 10).sum();
        OVERHEAD + len(&self.key) + len(&self.value) + headers
    }
}

/// Where a record got to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Its offset; -1 where the broker did not say (`acks=0`).
    pub offset: i64,
    /// Its timestamp: the record's, or the log's for topics of `LogAppendTime`.
    pub timestamp: i64,
}

/// Waits for the fate of a record.
#[derive(Debug)]
pub struct Delivery(oneshot::Receiver<Result<RecordMetadata, ClientError>>);

impl Future for Delivery {
    type Output = Result<RecordMetadata, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.unwrap_or(Err(ClientError::Closed)))
    }
}

/// Sends records in batches, in order within a partition, and each once (with idempotence, which
/// is the default). With `transactional.id`, records of many partitions and a consumer's offsets
/// become visible together. Share it by reference; dropping it gives up what was not sent.
#[derive(Debug)]
pub struct KafkaProducer {
    sender: Arc<Sender>,
    /// The sender, and what drives transactions.
    tasks: Vec<JoinHandle<()>>,
    partitioner: Mutex<StickyPartitioner>,
    time: SystemTime,
}

impl KafkaProducer {
    /// Reads the properties and starts the sender. Must be called within a tokio runtime.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let settings = ProducerSettings::new(config)?;
        let transactions = settings.transactional_id.clone().map(|id| {
            let timeout = settings.transaction_timeout;
            Arc::new(Transactions::new(id, timeout))
        });
        let sender = Arc::new(Sender {
            client: Arc::new(NetworkClient::new(config)?),
            accumulator: Mutex::new(RecordAccumulator::new(settings.clone())),
            memory: Semaphore::new(settings.buffer_memory.min(Semaphore::MAX_PERMITS)),
            wakeup: Notify::new(),
            progress: Notify::new(),
            refreshing: AtomicBool::new(false),
            lanes: Mutex::default(),
            transactions,
            settings,
        });
        let partitioner = Mutex::new(StickyPartitioner::new(sender.settings.batch_size));
        let mut tasks = vec![tokio::spawn(Arc::clone(&sender).run())];
        if let Some(transactions) = &sender.transactions {
            tasks.push(tokio::spawn(Arc::clone(&sender).drive_transactions(Arc::clone(transactions))));
        }
        Ok(Self { sender, tasks, partitioner, time: SystemTime::default() })
    }

    /// Hands a record over. Waits, up to `max.block.ms`, for metadata and for room in
    /// `buffer.memory`; the [`Delivery`] then waits for the broker.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, ClientError> {
        let (answer, delivery) = oneshot::channel();
        let callback = move |result| {
            // Who does not care for the delivery has dropped it.
            let _ = answer.send(result);
        };
        self.send_with(record, callback).await?;
        Ok(Delivery(delivery))
    }

    /// Hands a record over; `callback` runs once its fate is known, and must be quick.
    pub async fn send_with(
        &self,
        record: ProducerRecord,
        callback: impl FnOnce(Result<RecordMetadata, ClientError>) + Send + 'static,
    ) -> Result<(), ClientError> {
        let Some(transactions) = &self.sender.transactions else {
            return self.hand_over(record, callback).await;
        };
        transactions.lock().check_send()?;
        let handed_over = self.hand_over(record, callback).await;
        if let Err(error) = &handed_over
            && !matches!(error, ClientError::IllegalState(_) | ClientError::Transaction { .. })
        {
            // What is committed after this would lack the record.
            transactions.lock().on_batch_failed(error);
            self.sender.wakeup.notify_one();
        }
        handed_over
    }

    async fn hand_over(
        &self,
        record: ProducerRecord,
        callback: impl FnOnce(Result<RecordMetadata, ClientError>) + Send + 'static,
    ) -> Result<(), ClientError> {
        let memory = record.memory();
        self.check_size(&record, memory)?;
        let max_block = self.sender.settings.max_block;
        let partition = match timeout(max_block, self.partition(&record, memory)).await {
            Ok(partition) => partition?,
            Err(_) => return Err(blocked(format!("metadata of topic {}", record.topic), max_block)),
        };
        let permits = u32::try_from(memory).unwrap_or(u32::MAX);
        match self.sender.memory.try_acquire_many(permits) {
            Ok(room) => room.forget(),
            Err(_) => {
                self.sender.wakeup.notify_one();
                match timeout(max_block, self.sender.memory.acquire_many(permits)).await {
                    Ok(Ok(room)) => room.forget(),
                    _ => return Err(blocked("room in buffer.memory".into(), max_block)),
                }
            }
        }
        self.append(&record, partition, memory, Box::new(callback))
    }

    /// Waits until everything handed over so far is answered.
    pub async fn flush(&self) {
        let _flushing = Flushing::begin(&self.sender);
        self.sender.wakeup.notify_one();
        loop {
            let progress = self.sender.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.sender.lock().incomplete == 0 {
                return;
            }
            progress.await;
        }
    }

    /// Sends what is left, for this long at most, aborts a transaction that is open, and hangs up.
    pub async fn close(self, patience: Duration) {
        let begun = Instant::now();
        if timeout(patience, self.flush()).await.is_err() {
            tracing::warn!("Closing the producer with records unsent after {patience:?}");
        }
        self.abort_open_transaction(patience.saturating_sub(begun.elapsed())).await;
        self.sender.client.close();
    }

    /// The partitions of a topic, as producers see them.
    pub async fn partitions_for(&self, topic: &ByteString) -> Result<TopicMetadata, ClientError> {
        let metadata = self.sender.client.topics(std::slice::from_ref(topic), true).await?;
        let unknown = || ClientError::api(format!("topic {topic}"), ErrorCode::UnknownTopicOrPartition, None);
        let known = metadata.topics.get(topic).ok_or_else(unknown)?;
        ClientError::check(format!("topic {topic}"), known.error.code(), None)?;
        Ok(known.clone())
    }

    fn append(
        &self,
        record: &ProducerRecord,
        partition: i32,
        memory: usize,
        callback: Callback,
    ) -> Result<(), ClientError> {
        let tp = TopicPartition::new(&*record.topic, partition);
        let timestamp = record.timestamp.unwrap_or_else(|| self.time.now_ms());
        let mut accumulator = self.sender.lock();
        // Under the lock of the accumulator, so that the transaction cannot end in between.
        let added = match &self.sender.transactions {
            Some(transactions) => transactions.lock().add_partition(&tp),
            None => Ok(()),
        };
        let appended = added.and_then(|()| {
            let appended = accumulator.append(Instant::now(), tp, record, (timestamp, memory), callback);
            appended.map_err(|(error, _callback)| error)
        });
        drop(accumulator);
        if let Some(transactions) = &self.sender.transactions {
            transactions.wakeup.notify_one();
        }
        match appended {
            Ok(true) => self.sender.wakeup.notify_one(),
            Ok(false) => {}
            Err(error) => {
                self.sender.memory.add_permits(memory);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn partition(&self, record: &ProducerRecord, bytes: usize) -> Result<i32, ClientError> {
        let metadata = self.sender.client.metadata();
        let known =
            metadata.topics.get(&record.topic).filter(|t| t.error.is_none() && !t.partitions.is_empty());
        if let Some(topic) = known {
            return self.choose(record, topic, bytes);
        }
        let topic = self.partitions_for(&record.topic).await?;
        self.choose(record, &topic, bytes)
    }

    fn choose(
        &self,
        record: &ProducerRecord,
        topic: &TopicMetadata,
        bytes: usize,
    ) -> Result<i32, ClientError> {
        if let Some(partition) = record.partition {
            if topic.partition(partition).is_some() {
                return Ok(partition);
            }
            let count = topic.partitions.len();
            let message =
                format!("topic {} has {count} partitions, there is no number {partition}", topic.name);
            return Err(ClientError::IllegalState(message));
        }
        if let Some(key) = record.key.as_ref().filter(|_| !self.sender.settings.ignore_keys) {
            return Ok(partition_for_key(key, topic.partitions.len()));
        }
        let led = topic.partitions.iter().filter(|p| p.leader.is_some());
        let mut usable: Vec<i32> = led.map(|p| p.index).collect();
        if usable.is_empty() {
            usable = topic.partitions.iter().map(|p| p.index).collect();
        }
        let mut partitioner = self.partitioner.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = partitioner.partition(&topic.name, &usable, bytes);
        chosen.ok_or_else(|| {
            ClientError::api(format!("topic {}", topic.name), ErrorCode::LeaderNotAvailable, None)
        })
    }

    fn check_size(&self, record: &ProducerRecord, bytes: usize) -> Result<(), ClientError> {
        let settings = &self.sender.settings;
        let limits =
            [("max.request.size", settings.max_request_size), ("buffer.memory", settings.buffer_memory)];
        for (key, limit) in limits {
            if bytes > limit {
                let message = format!("the record has {bytes} bytes; raise {key}, which is {limit}");
                let what = format!("topic {}", record.topic);
                return Err(ClientError::api(what, ErrorCode::MessageTooLarge, Some(&message)));
            }
        }
        Ok(())
    }
}

/// While one of these lives, no batch waits for company.
struct Flushing<'a>(&'a Sender);

impl<'a> Flushing<'a> {
    fn begin(sender: &'a Sender) -> Self {
        sender.lock().flushing += 1;
        Self(sender)
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.lock().flushing -= 1;
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.sender.fail_all(&ClientError::Closed);
    }
}

fn blocked(what: String, waited: Duration) -> ClientError {
    ClientError::Timeout { what, waited, cause: "see max.block.ms".into() }
}

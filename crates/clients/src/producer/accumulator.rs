use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_common::TopicPartition;
use ottla_record::{RecordBatch, RecordHeader, RecordsBuilder, increment_sequence};
use tokio::time::Instant;

use super::settings::ProducerSettings;
use super::{ProducerRecord, RecordMetadata};
use crate::ClientError;

/// What happens when a record's fate is known.
pub(crate) type Callback = Box<dyn FnOnce(Result<RecordMetadata, ClientError>) + Send>;

/// Batches by partition, from the first record to the broker's answer. No IO, no clock of its own.
#[derive(Debug)]
pub(crate) struct RecordAccumulator {
    settings: ProducerSettings,
    partitions: HashMap<TopicPartition, Queue>,
    /// Requests on their way, by broker.
    pub(crate) nodes_in_flight: HashMap<i32, usize>,
    /// Who the broker knows us as, once it said so.
    pub(crate) producer: Option<Producer>,
    /// A gap in some sequence: a new producer id is needed before anything else is sent.
    pub(crate) needs_reset: bool,
    /// Batches that are not answered yet.
    pub(crate) incomplete: usize,
    /// Callers that wait for everything to be sent.
    pub(crate) flushing: usize,
    next_serial: u64,
}

/// The identity of an idempotent producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

#[derive(Debug, Default)]
struct Queue {
    batches: VecDeque<Batch>,
    in_flight: Vec<u64>,
    next_sequence: i32,
    /// After a failure batches go one by one, so that they cannot overtake each other.
    retrying: bool,
}

/// Records for one partition.
pub(crate) struct Batch {
    /// Order of creation.
    serial: u64,
    body: Body,
    waiting: Vec<(i64, Callback)>,
    created: Instant,
    not_before: Option<Instant>,
    pub(crate) attempts: u32,
    pub(crate) memory: usize,
    has_sequence: bool,
    count: i32,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({} records, attempt {})", self.count, self.attempts)
    }
}

enum Body {
    Open(RecordsBuilder),
    Full(RecordsBuilder),
    Sealed(Bytes),
}

impl Batch {
    /// The bytes to send.
    pub(crate) fn bytes(&self) -> Bytes {
        match &self.body {
            Body::Sealed(bytes) => bytes.clone(),
            Body::Open(_) | Body::Full(_) => Bytes::new(),
        }
    }

    fn size(&self) -> usize {
        match &self.body {
            Body::Open(b) | Body::Full(b) => b.estimated_size_in_bytes(),
            Body::Sealed(bytes) => bytes.len(),
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.body, Body::Open(_))
    }

    /// Tells everybody who waits. `Ok` holds the first offset and the log's append time, or -1.
    pub(crate) fn complete(self, tp: &TopicPartition, result: Result<(i64, i64), ClientError>) {
        for (i, (timestamp, callback)) in self.waiting.into_iter().enumerate() {
            callback(match &result {
                Ok((base, append_time)) => Ok(RecordMetadata {
                    topic: tp.topic.clone(),
                    partition: tp.partition,
                    offset: if *base < 0 { -1 } else { base + i as i64 },
                    timestamp: if *append_time < 0 { timestamp } else { *append_time },
                }),
                Err(error) => Err(error.clone()),
            });
        }
    }
}

/// What can be sent now.
#[derive(Debug, Default)]
pub(crate) struct Drained {
    /// By broker.
    pub(crate) requests: BTreeMap<i32, Vec<(TopicPartition, Batch)>>,
    /// Partitions whose leader is not known.
    pub(crate) leaderless: Vec<TopicPartition>,
    /// Batches that could not be written.
    pub(crate) broken: Vec<(TopicPartition, Batch, ClientError)>,
    /// When there may be more.
    pub(crate) next: Option<Instant>,
}

impl RecordAccumulator {
    pub(crate) fn new(settings: ProducerSettings) -> Self {
        Self {
            settings,
            partitions: HashMap::new(),
            nodes_in_flight: HashMap::new(),
            producer: None,
            needs_reset: false,
            incomplete: 0,
            flushing: 0,
            next_serial: 0,
        }
    }

    /// Adds a record to the partition's newest batch. Says whether the sender should look.
    pub(crate) fn append(
        &mut self,
        now: Instant,
        tp: TopicPartition,
        record: &ProducerRecord,
        (timestamp, memory): (i64, usize),
        callback: Callback,
    ) -> Result<bool, (ClientError, Callback)> {
        let queue = self.partitions.entry(tp.clone()).or_default();
        let (key, value): (_, _) = (record.key.as_deref(), record.value.as_deref());
        let headers: &[RecordHeader] = &record.headers;
        if let Some(batch) = queue.batches.back_mut()
            && let Body::Open(builder) = &mut batch.body
        {
            if builder.has_room_for(timestamp, key, value, headers) {
                if let Err(error) = builder.append(timestamp, key, value, headers) {
                    return Err((ClientError::build(&tp, &error), callback));
                }
                batch.count += 1;
                batch.memory += memory;
                batch.waiting.push((timestamp, callback));
                return Ok(batch.size() >= self.settings.batch_size);
            }
            batch.body.finish();
        }
        let mut builder = RecordsBuilder::new(self.settings.compression)
            .write_limit(self.settings.batch_size)
            .transactional(self.settings.transactional_id.is_some());
        if let Err(error) = builder.append(timestamp, key, value, headers) {
            return Err((ClientError::build(&tp, &error), callback));
        }
        let batch = Batch {
            serial: self.next_serial,
            body: Body::Open(builder),
            waiting: vec![(timestamp, callback)],
            created: now,
            not_before: None,
            attempts: 0,
            memory,
            has_sequence: false,
            count: 1,
        };
        self.next_serial += 1;
        self.incomplete += 1;
        queue.batches.push_back(batch);
        Ok(true)
    }

    /// Takes what is ready: full, old enough, due again, or wanted by a flush. Partitions that are
    /// not `allowed` are not in the transaction yet.
    pub(crate) fn drain(
        &mut self,
        now: Instant,
        leader: impl Fn(&TopicPartition) -> Option<i32>,
        allowed: impl Fn(&TopicPartition) -> bool,
    ) -> Drained {
        let mut drained = Drained::default();
        // Gaps of a transactional producer are healed when its transaction ends.
        let gap = self.needs_reset && self.settings.transactional_id.is_none();
        if self.settings.idempotent && (self.producer.is_none() || gap) {
            return drained;
        }
        let mut sizes: HashMap<i32, usize> = HashMap::new();
        for (tp, queue) in &mut self.partitions {
            let Some(head) = queue.batches.front() else { continue };
            if (queue.retrying && !queue.in_flight.is_empty()) || !allowed(tp) {
                continue;
            }
            let crowd = queue.batches.len() > 1 || self.flushing > 0;
            let due = head.due(now, &self.settings, crowd);
            if due > now {
                drained.next = Some(drained.next.map_or(due, |next: Instant| next.min(due)));
                continue;
            }
            let Some(node) = leader(tp) else {
                drained.leaderless.push(tp.clone());
                continue;
            };
            let busy = self.nodes_in_flight.get(&node).copied().unwrap_or(0) >= self.settings.max_in_flight;
            let size = sizes.entry(node).or_default();
            if busy || (*size > 0 && *size + head.size() > self.settings.max_request_size) {
                continue;
            }
            *size += head.size();
            let Some(mut batch) = queue.batches.pop_front() else { continue };
            let producer = self.producer.filter(|_| self.settings.idempotent);
            queue.in_flight.push(batch.serial);
            match batch.seal(producer, &mut queue.next_sequence) {
                Ok(()) => drained.requests.entry(node).or_default().push((tp.clone(), batch)),
                Err(error) => drained.broken.push((tp.clone(), batch, ClientError::build(tp, &error))),
            }
        }
        if !drained.requests.is_empty() {
            // A request takes one batch of a partition; there may be another for the next request.
            drained.next = Some(now);
        }
        for node in drained.requests.keys() {
            *self.nodes_in_flight.entry(*node).or_default() += 1;
        }
        drained
    }

    /// A request came back.
    pub(crate) fn request_done(&mut self, node: i32) {
        if let Some(count) = self.nodes_in_flight.get_mut(&node) {
            *count = count.saturating_sub(1);
        }
    }

    /// A batch is on the broker's disk.
    pub(crate) fn succeeded(&mut self, tp: &TopicPartition, batch: &Batch) {
        self.landed(tp, batch).retrying = false;
        self.incomplete -= 1;
    }

    /// A batch is given up. What it leaves in the sequence is a gap.
    pub(crate) fn failed(&mut self, tp: &TopicPartition, batch: &Batch) {
        self.landed(tp, batch);
        self.needs_reset |= batch.has_sequence;
        self.incomplete -= 1;
    }

    /// A batch will be sent again, in its old place.
    pub(crate) fn retry(&mut self, tp: &TopicPartition, mut batch: Batch, not_before: Instant) {
        batch.attempts += 1;
        batch.not_before = Some(not_before);
        let queue = self.landed(tp, &batch);
        queue.retrying = true;
        let place = queue.batches.partition_point(|b| b.serial < batch.serial);
        queue.batches.insert(place, batch);
    }

    /// Whether an older batch of the partition is still under way or waiting.
    pub(crate) fn has_older(&self, tp: &TopicPartition, batch: &Batch) -> bool {
        self.partitions.get(tp).is_some_and(|queue| {
            queue.in_flight.iter().any(|serial| *serial < batch.serial)
                || queue.batches.front().is_some_and(|first| first.serial < batch.serial)
        })
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.partitions.values().all(|queue| queue.in_flight.is_empty())
    }

    /// A new identity: sequences start anew, in the order of the batches.
    pub(crate) fn reset(&mut self, producer: Producer) {
        assert!(self.is_quiet(), "sequences change only when nothing is on its way");
        self.producer = Some(producer);
        self.needs_reset = false;
        for queue in self.partitions.values_mut() {
            queue.next_sequence = 0;
            for batch in &mut queue.batches {
                batch.renumber(producer, &mut queue.next_sequence);
            }
        }
    }

    /// Takes out what could not be delivered in time, and everything for `None`.
    pub(crate) fn expire(&mut self, now: Option<Instant>) -> Vec<(TopicPartition, Batch)> {
        let timeout = self.settings.delivery_timeout;
        let mut expired = Vec::new();
        for (tp, queue) in &mut self.partitions {
            while queue.batches.front().is_some_and(|b| now.is_none_or(|now| now >= b.created + timeout)) {
                let Some(batch) = queue.batches.pop_front() else { break };
                self.needs_reset |= batch.has_sequence;
                self.incomplete -= 1;
                expired.push((tp.clone(), batch));
            }
        }
        expired
    }

    /// Takes out what was never sent, as a transaction that is lost has no use for it. The others
    /// keep their turn, so that no sequence number is used twice.
    pub(crate) fn abort_unsent(&mut self) -> Vec<(TopicPartition, Batch)> {
        let mut aborted = Vec::new();
        for (tp, queue) in &mut self.partitions {
            let (sent, unsent): (VecDeque<_>, VecDeque<_>) =
                queue.batches.drain(..).partition(|batch| batch.has_sequence);
            queue.batches = sent;
            self.incomplete -= unsent.len();
            aborted.extend(unsent.into_iter().map(|batch| (tp.clone(), batch)));
        }
        aborted
    }

    /// Whether the broker's refusal leaves another try.
    pub(crate) fn may_retry(&self, batch: &Batch, now: Instant) -> bool {
        batch.attempts < self.settings.retries && now < batch.created + self.settings.delivery_timeout
    }

    fn landed(&mut self, tp: &TopicPartition, batch: &Batch) -> &mut Queue {
        let queue = self.partitions.entry(tp.clone()).or_default();
        queue.in_flight.retain(|serial| *serial != batch.serial);
        queue
    }
}

impl Body {
    /// No more records.
    fn finish(&mut self) {
        let body = std::mem::replace(self, Self::Sealed(Bytes::new()));
        *self = match body {
            Self::Open(builder) => Self::Full(builder),
            other => other,
        };
    }
}

impl Batch {
    fn due(&self, now: Instant, settings: &ProducerSettings, crowd: bool) -> Instant {
        if let Some(at) = self.not_before {
            return at;
        }
        let full = !self.is_open() || self.size() >= settings.batch_size;
        if full || crowd { now } else { self.created + settings.linger.min(Duration::from_secs(3600)) }
    }

    /// Writes the batch, with the next sequence numbers of its partition.
    fn seal(
        &mut self,
        producer: Option<Producer>,
        next_sequence: &mut i32,
    ) -> Result<(), ottla_record::BuildError> {
        let body = std::mem::replace(&mut self.body, Body::Sealed(Bytes::new()));
        let (Body::Open(mut builder) | Body::Full(mut builder)) = body else {
            self.body = body;
            return Ok(());
        };
        if let Some(producer) = producer {
            builder.set_producer_state(producer.id, producer.epoch, *next_sequence);
            *next_sequence = increment_sequence(*next_sequence, self.count);
            self.has_sequence = true;
        }
        self.body = Body::Sealed(builder.build()?.into_bytes());
        Ok(())
    }

    fn renumber(&mut self, producer: Producer, next_sequence: &mut i32) {
        let Body::Sealed(bytes) = &self.body else { return };
        let copy = BytesMut::from(&bytes[..]);
        if let Ok(mut batch) = RecordBatch::new(copy) {
            batch.set_producer_state(producer.id, producer.epoch, *next_sequence);
            *next_sequence = increment_sequence(*next_sequence, self.count);
            self.body = Body::Sealed(batch.into_inner().freeze());
        }
    }
}

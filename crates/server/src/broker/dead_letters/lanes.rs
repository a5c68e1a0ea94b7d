//! Batches for one partition, one request after the other: what gathers meanwhile becomes one batch.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ottla_common::{ErrorCode, TopicPartition, Uuid};
use ottla_record::{CompressionType, DecompressionLimits, MemoryRecords, RecordsBuilder};
use tokio::sync::oneshot;

/// Where batches go one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    /// The leader's broker.
    pub(super) node_id: i32,
    /// The topic's id.
    pub(super) topic_id: Uuid,
    /// The partition.
    pub(super) tp: TopicPartition,
}

/// Sends one batch to where a lane leads.
pub(super) trait BatchSender: Debug + Send + Sync + 'static {
    /// One attempt.
    fn send(&self, lane: &Lane, records: MemoryRecords)
    -> impl Future<Output = Result<(), ErrorCode>> + Send;
}

/// A batch that waits for its turn.
#[derive(Debug)]
struct Waiting {
    records: MemoryRecords,
    answer: oneshot::Sender<Result<(), ErrorCode>>,
    /// The topic's `max.message.bytes`.
    max_bytes: usize,
}

/// Every lane that something goes along.
#[derive(Debug)]
pub(super) struct Lanes<S>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S> {
    sender: S,
    /// A lane is in here as long as somebody drives along it.
    waiting: Mutex<HashMap<Lane, VecDeque<Waiting>>>,
}

impl<S: BatchSender> Lanes<S> {
    pub(super) fn new(sender: S) -> Self {
        Self(Arc::new(Shared { sender, waiting: Mutex::default() }))
    }

    /// Sends a batch, by itself or with others. They are answered alike.
    pub(super) async fn produce(
        &self,
        lane: Lane,
        records: MemoryRecords,
        max_bytes: usize,
    ) -> Result<(), ErrorCode> {
        let (answer, receiver) = oneshot::channel();
        if self.0.push(&lane, Waiting { records, answer, max_bytes }) {
            tokio::spawn(drive(Arc::clone(&self.0), lane));
        }
        receiver.await.unwrap_or(Err(ErrorCode::NetworkException))
    }
}

async fn drive<S: BatchSender>(lanes: Arc<Shared<S>>, lane: Lane) {
    while let Some(group) = lanes.next(&lane) {
        let outcome = match merge(&group) {
            Some(records) => lanes.sender.send(&lane, records).await,
            None => Err(ErrorCode::UnknownServerError),
        };
        for waiting in group {
            // Whoever sent it may not wait any more.
            let _ = waiting.answer.send(outcome);
        }
    }
}

impl<S> Shared<S> {
    fn lanes(&self) -> MutexGuard<'_, HashMap<Lane, VecDeque<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether nobody drives there, so that somebody has to.
    fn push(&self, lane: &Lane, waiting: Waiting) -> bool {
        let mut lanes = self.lanes();
        if let Some(queue) = lanes.get_mut(lane) {
            queue.push_back(waiting);
            return false;
        }
        lanes.insert(lane.clone(), VecDeque::from([waiting]));
        true
    }

    /// What goes with the next request. Nothing means that the drive is over.
    fn next(&self, lane: &Lane) -> Option<Vec<Waiting>> {
        let mut lanes = self.lanes();
        let group = take_fitting(lanes.get_mut(lane)?);
        if group.is_empty() {
            lanes.remove(lane);
            return None;
        }
        Some(group)
    }
}

/// The first, and those behind it that make no batch larger than the topic takes.
fn take_fitting(queue: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let mut group: Vec<Waiting> = Vec::new();
    let mut bytes = 0_usize;
    while let Some(waiting) = queue.pop_front_if(|waiting| {
        group.is_empty() || bytes.saturating_add(waiting.records.size_in_bytes()) <= waiting.max_bytes
    }) {
        bytes = bytes.saturating_add(waiting.records.size_in_bytes());
        group.push(waiting);
    }
    group
}

/// One batch of them all: a produce request has one for each partition.
fn merge(group: &[Waiting]) -> Option<MemoryRecords> {
    if let [only] = group {
        return Some(only.records.clone());
    }
    let mut builder = RecordsBuilder::new(CompressionType::None);
    for waiting in group {
        for record in waiting.records.records(DecompressionLimits::default()) {
            let record = record.ok()?;
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            builder.append(record.timestamp, key, value, &record.headers).ok()?;
        }
    }
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use ottla_record::SimpleRecord;
    use tokio::sync::Semaphore;

    use super::*;

    /// A leader that takes batches as it is told to.
    #[derive(Debug)]
    struct Leader {
        allowed: Semaphore,
        batches: Mutex<Vec<(i32, Vec<String>)>>,
        refuse: Mutex<Option<ErrorCode>>,
    }

    impl BatchSender for Arc<Leader> {
        async fn send(&self, lane: &Lane, records: MemoryRecords) -> Result<(), ErrorCode> {
            self.allowed.acquire().await.unwrap().forget();
            let values = records
                .records(DecompressionLimits::default())
                .map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
            self.batches.lock().unwrap().push((lane.tp.partition, values.collect()));
            self.refuse.lock().unwrap().map_or(Ok(()), Err)
        }
    }

    fn leader() -> Arc<Leader> {
        Arc::new(Leader { allowed: Semaphore::new(0), batches: Mutex::default(), refuse: Mutex::default() })
    }

    fn lane(partition: i32) -> Lane {
        Lane { node_id: 1, topic_id: Uuid::ONE, tp: TopicPartition::new("dlq.envios", partition) }
    }

    fn letter(value: &str) -> MemoryRecords {
        let record = SimpleRecord::of_value(1, value.to_owned().into_bytes());
        MemoryRecords::with_records(CompressionType::None, &[record]).unwrap()
    }

    type Sent = tokio::task::JoinHandle<Result<(), ErrorCode>>;

    async fn send(lanes: &Arc<Lanes<Arc<Leader>>>, partition: i32, value: &str, max_bytes: usize) -> Sent {
        let (lanes, records) = (Arc::clone(lanes), letter(value));
        let sent = tokio::spawn(async move { lanes.produce(lane(partition), records, max_bytes).await });
        // On one thread the others run meanwhile, until all of them wait.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        sent
    }

    #[tokio::test]
    async fn what_gathers_while_a_request_is_under_way_goes_together() {
        let leader = leader();
        let lanes = Arc::new(Lanes::new(leader.clone()));
        let mut sent = Vec::new();
        for value in ["a", "b", "c"] {
            sent.push(send(&lanes, 0, value, 1_000).await);
        }
        sent.push(send(&lanes, 1, "x", 1_000).await);
        leader.allowed.add_permits(10);
        for sent in sent {
            assert_eq!(sent.await.unwrap(), Ok(()));
        }
        let mut batches = leader.batches.lock().unwrap().clone();
        batches.sort();
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(batches, [(0, texts(&["a"])), (0, texts(&["b", "c"])), (1, texts(&["x"]))]);
        assert!(lanes.0.lanes().is_empty());
    }

    #[tokio::test]
    async fn a_batch_gets_no_larger_than_the_topic_takes() {
        let leader = leader();
        let lanes = Arc::new(Lanes::new(leader.clone()));
        let two = 2 * letter("b").size_in_bytes();
        let mut sent = Vec::new();
        for value in ["a", "b", "c", "d"] {
            sent.push(send(&lanes, 0, value, two).await);
        }
        leader.allowed.add_permits(10);
        for sent in sent {
            assert_eq!(sent.await.unwrap(), Ok(()));
        }
        let sizes: Vec<_> = leader.batches.lock().unwrap().iter().map(|(_, values)| values.len()).collect();
        assert_eq!(sizes, [1, 2, 1]);
    }

    #[tokio::test]
    async fn all_of_a_batch_hear_what_became_of_it() {
        let leader = leader();
        *leader.refuse.lock().unwrap() = Some(ErrorCode::NotLeaderOrFollower);
        let lanes = Arc::new(Lanes::new(leader.clone()));
        let first = send(&lanes, 0, "a", 0).await;
        let second = send(&lanes, 0, "b", 0).await;
        leader.allowed.add_permits(10);
        assert_eq!(first.await.unwrap(), Err(ErrorCode::NotLeaderOrFollower));
        assert_eq!(second.await.unwrap(), Err(ErrorCode::NotLeaderOrFollower));
        // What comes later drives anew.
        *leader.refuse.lock().unwrap() = None;
        assert_eq!(send(&lanes, 0, "c", 0).await.await.unwrap(), Ok(()));
    }
}

//! Requests that name many share-partitions: each part goes to the shard that keeps it.

use std::collections::BTreeMap;

use ottla_common::{ErrorCode, Uuid};
use ottla_coordinator::metadata::CoordinatorMetadata;
use ottla_coordinator::share_state::{ShareCoordinatorShard, SharePartitionKey, ShareStateResult};
use tokio::sync::mpsc;

use super::kind::ShareCoordinators;
use crate::coordinator::runtime::{CoordinatorKind, CoordinatorRuntime, Worker};

/// How a shard decides what is asked of one share-partition.
pub(super) type Decide<P, R> =
    fn(&ShareCoordinatorShard, i64, &dyn CoordinatorMetadata, &SharePartitionKey, &P) -> ShareStateResult<R>;

/// What is particular about one of the requests.
pub(super) struct StateApi<P, R> {
    /// What it does, for messages that it could not.
    pub(super) action: &'static str,
    /// How its parts are decided.
    pub(super) decide: Decide<P, R>,
    /// How a part is answered that could not be decided.
    pub(super) refuse: fn(i32, ErrorCode, &str) -> R,
}

impl<P, R> StateApi<P, R> {
    fn refused(&self, key: &SharePartitionKey, error: ErrorCode) -> R {
        (self.refuse)(key.partition, error, &format!("Unable to {}: {error}", self.action))
    }
}

/// A share-partition, what is asked of it, and its place in the answer.
struct Part<P> {
    index: usize,
    key: SharePartitionKey,
    data: P,
}

/// The answer to one part, by its place.
type Answer<R> = (usize, Result<R, ErrorCode>);

/// Has every part decided, and gives the answers in the order of the parts once all of them are committed.
pub(super) async fn run<P, R>(
    runtime: &CoordinatorRuntime<ShareCoordinators>,
    api: StateApi<P, R>,
    parts: Vec<(SharePartitionKey, P)>,
) -> Vec<(Uuid, R)>
where
    P: Send + 'static,
    R: Send + 'static,
{
    let keys: Vec<SharePartitionKey> = parts.iter().map(|(key, _)| key.clone()).collect();
    // Each part answers once, so that nobody ever waits for room.
    let (sender, mut receiver) = mpsc::channel(keys.len().max(1));
    let mut answers = BTreeMap::new();
    for (partition, parts) in by_state_partition(runtime, parts, &mut answers) {
        let indexes: Vec<usize> = parts.iter().map(|part| part.index).collect();
        let (kind, decide, sender) = (runtime.kind().clone(), api.decide, sender.clone());
        let operation = move |worker: &mut Worker<ShareCoordinators>| {
            let metadata = kind.metadata();
            for part in parts {
                decide_part(worker, &metadata, part, decide, sender.clone());
            }
        };
        if let Err(error) = runtime.send(partition, operation).await {
            answers.extend(indexes.into_iter().map(|index| (index, Err(error))));
        }
    }
    drop(sender);
    while let Some((index, answer)) = receiver.recv().await {
        let first = answers.insert(index, answer).is_none();
        assert!(first, "SHARE-STATE-PART-ANSWERED-ONCE: {index}");
    }
    let answer_of = |(index, key): (usize, &SharePartitionKey)| {
        // A shard that is unloaded drops what it was handed.
        let answer = answers.remove(&index).unwrap_or(Err(ErrorCode::NotCoordinator));
        (key.topic_id, answer.unwrap_or_else(|error| api.refused(key, error)))
    };
    keys.iter().enumerate().map(answer_of).collect()
}

fn by_state_partition<P, R>(
    runtime: &CoordinatorRuntime<ShareCoordinators>,
    parts: Vec<(SharePartitionKey, P)>,
    answers: &mut BTreeMap<usize, Result<R, ErrorCode>>,
) -> BTreeMap<i32, Vec<Part<P>>> {
    let mut by_partition: BTreeMap<i32, Vec<Part<P>>> = BTreeMap::new();
    for (index, (key, data)) in parts.into_iter().enumerate() {
        match runtime.partition_of(&key.to_string()) {
            Ok(partition) => by_partition.entry(partition).or_default().push(Part { index, key, data }),
            Err(error) => drop(answers.insert(index, Err(error))),
        }
    }
    by_partition
}

/// Decides one part upon the state that the parts before it made. Their records share batches.
fn decide_part<P, R: Send + 'static>(
    worker: &mut Worker<ShareCoordinators>,
    metadata: &dyn CoordinatorMetadata,
    part: Part<P>,
    decide: Decide<P, R>,
    sender: mpsc::Sender<Answer<R>>,
) {
    let Part { index, key, data } = part;
    let (now_ms, shard) = worker.look();
    let (result, answer) = decide(shard, now_ms, metadata, &key, &data).split_response();
    let complete = move |outcome: Result<(), ErrorCode>| {
        let answer = outcome.map(|()| answer).map_err(<ShareCoordinators as CoordinatorKind>::append_error);
        let _ = sender.try_send((index, answer));
    };
    worker.execute(result, Some(Box::new(complete)));
}

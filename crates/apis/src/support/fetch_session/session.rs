use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_common::Uuid;
use ottla_protocol::messages::fetch_response::PartitionData;

/// What names a partition inside a session: by topic id from version 13 on, by name before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    /// The topic's id; zero when the request names topics.
    pub topic_id: Uuid,
    /// The topic's name; empty while an id has no known name.
    pub topic: Arc<str>,
    /// Index of the partition.
    pub partition: i32,
}

/// What a fetcher asks of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPartition {
    /// Which partition.
    pub key: PartitionKey,
    /// The first offset wanted.
    pub fetch_offset: i64,
    /// The log start offset of a follower, -1 for consumers.
    pub log_start_offset: i64,
    /// Most bytes wanted of this partition.
    pub max_bytes: i32,
    /// The leader epoch the fetcher believes in, -1 for none.
    pub current_leader_epoch: i32,
    /// The epoch of the last record the fetcher has, -1 for none (KIP-595).
    pub last_fetched_epoch: i32,
}

/// Session keys compare by id where there is one: a name may become known later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Identity {
    Id(Uuid, i32),
    Name(Arc<str>, i32),
}

impl PartitionKey {
    fn identity(&self) -> Identity {
        if self.topic_id.is_zero() {
            Identity::Name(self.topic.clone(), self.partition)
        } else {
            Identity::Id(self.topic_id, self.partition)
        }
    }
}

#[derive(Debug)]
struct CachedPartition {
    request: FetchPartition,
    high_watermark: i64,
    log_start_offset: i64,
}

/// The partitions of one fetcher, in the order in which they are served.
///
/// A partition that delivered records goes to the end, so that a response which fills up on the
/// first ones does not starve the others.
#[derive(Debug)]
pub struct FetchSession {
    pub(super) id: i32,
    pub(super) epoch: i32,
    pub(super) privileged: bool,
    pub(super) uses_topic_ids: bool,
    next_position: u64,
    order: BTreeMap<u64, CachedPartition>,
    positions: HashMap<Identity, u64>,
}

impl FetchSession {
    pub(super) fn new(id: i32, privileged: bool, uses_topic_ids: bool) -> Self {
        Self {
            id,
            epoch: super::next_epoch(super::INITIAL_EPOCH),
            privileged,
            uses_topic_ids,
            next_position: 0,
            order: BTreeMap::new(),
            positions: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Adds a partition with what its first response said of it.
    pub(super) fn add(&mut self, request: FetchPartition, response: Option<&PartitionData>) {
        let cached = CachedPartition {
            request,
            high_watermark: response.map_or(-1, |r| r.high_watermark),
            log_start_offset: response.map_or(-1, |r| r.log_start_offset),
        };
        self.push(cached);
    }

    /// Takes over what an incremental request changes.
    pub(super) fn update(&mut self, changed: Vec<FetchPartition>, forgotten: &[PartitionKey]) {
        for request in changed {
            match self.positions.get(&request.key.identity()).and_then(|p| self.order.get_mut(p)) {
                Some(cached) => cached.request = request,
                None => self.add(request, None),
            }
        }
        for key in forgotten {
            if let Some(position) = self.positions.remove(&key.identity()) {
                self.order.remove(&position);
            }
        }
    }

    /// All partitions in serving order; names that were unknown are asked for again.
    pub(super) fn partitions(&mut self, name_of: impl Fn(Uuid) -> Option<Arc<str>>) -> Vec<FetchPartition> {
        self.order
            .values_mut()
            .map(|cached| {
                let key = &mut cached.request.key;
                if key.topic.is_empty() {
                    key.topic = name_of(key.topic_id).unwrap_or_default();
                }
                cached.request.clone()
            })
            .collect()
    }

    /// Whether the response must name this partition; remembers what it will have said.
    pub(super) fn must_respond(&mut self, key: &PartitionKey, response: &PartitionData) -> bool {
        let identity = key.identity();
        let Some(position) = self.positions.get(&identity).copied() else { return false };
        let Some(cached) = self.order.get_mut(&position) else { return false };
        let has_records = response.records.as_ref().is_some_and(|r| !r.is_empty());
        let failed = response.error_code != 0;
        let must = has_records
            || failed
            || cached.high_watermark != response.high_watermark
            || cached.log_start_offset != response.log_start_offset
            || response.preferred_read_replica != -1
            || response.diverging_epoch.epoch >= 0;
        // After an error the partition is sent again as soon as the error goes away.
        cached.high_watermark = if failed { -1 } else { response.high_watermark };
        cached.log_start_offset = response.log_start_offset;
        if has_records {
            self.move_to_end(&identity, position);
        }
        must
    }

    fn move_to_end(&mut self, identity: &Identity, position: u64) {
        if let Some(cached) = self.order.remove(&position) {
            self.positions.remove(identity);
            self.push(cached);
        }
    }

    fn push(&mut self, cached: CachedPartition) {
        let position = self.next_position;
        self.next_position += 1;
        if let Some(old) = self.positions.insert(cached.request.key.identity(), position) {
            self.order.remove(&old);
        }
        self.order.insert(position, cached);
    }
}

//! The replicated state of the controller, and how records change it.

use std::sync::Arc;

use ottla_common::Uuid;
use ottla_metadata::image::PersistentMap;
use ottla_metadata::{MetadataImage, MetadataVersion, PartitionRegistration, ReplayError, TopicImage};
use ottla_protocol::records::metadata::MetadataRecord;

use crate::partition_index::PartitionIndex;

/// Everything the records say, plus the look-ups that deciding needs. Clones are cheap.
#[derive(Debug, Clone, Default)]
pub struct ControllerState {
    image: MetadataImage,
    /// Topic names by the name that metrics make of them; `.` and `_` look the same there.
    topics_with_collision_chars: PersistentMap<String, PersistentMap<Arc<str>, ()>>,
    /// Offset of each broker's newest RegisterBrokerRecord: the broker may be unfenced when it has read it.
    register_broker_record_offsets: PersistentMap<i32, i64>,
    index: PartitionIndex,
    transaction: Option<Arc<OpenTransaction>>,
}

/// A partition, with its topic and its index.
pub type Partition<'a> = (&'a TopicImage, i32, &'a Arc<PartitionRegistration>);

/// A metadata transaction that has begun (KIP-868), and the state to go back to if it is aborted.
#[derive(Debug)]
struct OpenTransaction {
    start_offset: i64,
    before: ControllerState,
}

impl ControllerState {
    /// The cluster as the records describe it.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// The `metadata.version`; the lowest while the log has not named one.
    pub fn metadata_version(&self) -> MetadataVersion {
        self.image.features.metadata_version_or_minimum()
    }

    /// Offset of the BeginTransactionRecord that has no end yet.
    pub fn transaction_start_offset(&self) -> Option<i64> {
        self.transaction.as_ref().map(|open| open.start_offset)
    }

    /// Offset of a broker's newest RegisterBrokerRecord.
    pub fn register_broker_record_offset(&self, broker_id: i32) -> Option<i64> {
        self.register_broker_record_offsets.get(&broker_id).copied()
    }

    /// Some topic whose name metrics cannot tell from this one.
    pub fn colliding_topic(&self, name: &str) -> Option<&str> {
        if !has_collision_chars(name) {
            return None;
        }
        self.topics_with_collision_chars.get(&unify_collision_chars(name))?.keys().next().map(|n| &**n)
    }

    /// Whether the broker is registered, unfenced and not shutting down.
    pub fn is_active(&self, broker_id: i32) -> bool {
        self.image.cluster.broker(broker_id).is_some_and(|broker| broker.is_active())
    }

    /// Partitions of which the broker has a replica.
    pub fn partitions_of(&self, broker: i32) -> impl Iterator<Item = Partition<'_>> {
        // One that left the replicas may still be named elsewhere; such a partition counts, too.
        let names = move |(_, _, p): &Partition<'_>| {
            p.is_replica(broker) || p.leader == broker || p.isr.contains(&broker) || p.elr.contains(&broker)
        };
        self.partitions_in(self.index.of_broker(broker)).filter(names)
    }

    /// Partitions that nobody leads.
    pub fn leaderless_partitions(&self) -> impl Iterator<Item = Partition<'_>> {
        self.partitions_in(self.index.leaderless()).filter(|(_, _, p)| !p.has_leader())
    }

    /// Partitions that their preferred replica does not lead.
    pub fn imbalanced_partitions(&self) -> impl Iterator<Item = Partition<'_>> {
        self.partitions_in(self.index.imbalanced()).filter(|(_, _, p)| !p.has_preferred_leader())
    }

    fn partitions_in(&self, topics: impl Iterator<Item = Uuid>) -> impl Iterator<Item = Partition<'_>> {
        topics
            .filter_map(|id| self.image.topics.topic(id))
            .flat_map(|topic| topic.partitions.iter().map(move |(index, p)| (topic, *index, p)))
    }

    /// Directory that new replicas on the broker go to: its only one, or "the broker may choose".
    pub fn default_dir(&self, broker_id: i32) -> Uuid {
        match self.image.cluster.broker(broker_id).map(|broker| &broker.directories[..]) {
            Some([]) => Uuid::MIGRATING_DIR,
            Some([only]) => *only,
            _ => Uuid::UNASSIGNED_DIR,
        }
    }

    /// Applies one record that stands at `offset`.
    pub fn replay(&mut self, record: &MetadataRecord, offset: i64) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::BeginTransactionRecord(_) => return self.begin_transaction(offset),
            MetadataRecord::EndTransactionRecord(_) => {
                self.transaction.take().ok_or(ReplayError::TransactionOutOfOrder(record.name()))?;
                return Ok(());
            }
            MetadataRecord::AbortTransactionRecord(_) => {
                let open =
                    self.transaction.take().ok_or(ReplayError::TransactionOutOfOrder(record.name()))?;
                *self = open.before.clone();
                return Ok(());
            }
            MetadataRecord::RegisterBrokerRecord(r) => {
                self.register_broker_record_offsets.insert_mut(r.broker_id, offset);
            }
            MetadataRecord::UnregisterBrokerRecord(r) => {
                self.register_broker_record_offsets.remove_mut(&r.broker_id);
            }
            MetadataRecord::TopicRecord(r) => self.note_name(&r.name, true),
            MetadataRecord::RemoveTopicRecord(r) => {
                if let Some(name) = self.image.topics.topic_name(r.topic_id).cloned() {
                    self.note_name(&name, false);
                }
                self.index.forget(r.topic_id);
            }
            MetadataRecord::PartitionRecord(r) => {
                return self.replay_partition(record, r.topic_id, r.partition_id);
            }
            MetadataRecord::PartitionChangeRecord(r) => {
                return self.replay_partition(record, r.topic_id, r.partition_id);
            }
            _ => {}
        }
        self.image.replay(record)
    }

    fn replay_partition(
        &mut self,
        record: &MetadataRecord,
        topic: Uuid,
        partition: i32,
    ) -> Result<(), ReplayError> {
        let before = self.image.topics.partition(topic, partition).cloned();
        self.image.replay(record)?;
        if let Some(after) = self.image.topics.partition(topic, partition) {
            self.index.note(topic, before.as_deref(), after);
        }
        Ok(())
    }

    fn begin_transaction(&mut self, start_offset: i64) -> Result<(), ReplayError> {
        if self.transaction.is_some() {
            return Err(ReplayError::TransactionOutOfOrder("BeginTransactionRecord"));
        }
        let before = self.clone();
        self.transaction = Some(Arc::new(OpenTransaction { start_offset, before }));
        Ok(())
    }

    fn note_name(&mut self, name: &str, exists: bool) {
        if !has_collision_chars(name) {
            return;
        }
        let unified = unify_collision_chars(name);
        let mut names = self.topics_with_collision_chars.get(&unified).cloned().unwrap_or_default();
        if exists {
            names.insert_mut(name.into(), ());
        } else {
            names.remove_mut(name);
        }
        if PersistentMap::is_empty(&names) {
            self.topics_with_collision_chars.remove_mut(&unified);
        } else {
            self.topics_with_collision_chars.insert_mut(unified, names);
        }
    }
}

fn has_collision_chars(name: &str) -> bool {
    name.contains(['.', '_'])
}

fn unify_collision_chars(name: &str) -> String {
    name.replace('.', "_")
}

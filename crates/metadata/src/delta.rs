//! From one image to the next, and what changed on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_common::{TopicPartition, Uuid};
use ottla_protocol::records::metadata::MetadataRecord;

use crate::feature::MetadataVersion;
use crate::image::MetadataProvenance;
use crate::image::{
    ClientQuotaEntity, ConfigResource, ConfigResourceType, MetadataImage, ProducerIdsImage, ReplayError,
    TopicImage,
};
use crate::partition_registration::PartitionRegistration;

/// The changes that lead from a base image to the next one. A change is recorded when a record touched
/// the thing, even if the value is the same as before; compare the two images where that matters.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataDelta {
    base: Arc<MetadataImage>,
    next: MetadataImage,
    is_snapshot: bool,
    /// The new `metadata.version`, when a record set one.
    pub metadata_version_change: Option<MetadataVersion>,
    /// Other features that were set.
    pub changed_features: BTreeSet<String>,
    /// Brokers that registered, changed or left.
    pub changed_brokers: BTreeSet<i32>,
    /// Controllers that registered or left.
    pub changed_controllers: BTreeSet<i32>,
    /// Topics that were made, changed or deleted.
    pub topics: TopicsDelta,
    /// Resources of which some key was set or unset.
    pub changed_configs: BTreeSet<ConfigResource>,
    /// Entities of which some quota was set or unset.
    pub changed_client_quotas: BTreeSet<ClientQuotaEntity>,
    /// Whether a block of producer ids was handed out.
    pub producer_ids_changed: bool,
    /// Access control entries that were made or removed.
    pub changed_acls: BTreeSet<Uuid>,
    /// SCRAM credentials that were set or removed: mechanism and user.
    pub changed_scram: BTreeSet<(i8, String)>,
    /// Delegation tokens that were made, renewed or removed.
    pub changed_delegation_tokens: BTreeSet<String>,
}

/// What happened to topics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopicsDelta {
    /// Indexes of the partitions that were made or changed, by topic. Deleted topics are not in here.
    pub changed: BTreeMap<Uuid, BTreeSet<i32>>,
    /// Topics of the base image that are no more, as they were.
    pub deleted: BTreeMap<Uuid, TopicImage>,
    /// Topics that the base image does not have.
    pub created: BTreeSet<Uuid>,
}

/// What a broker has to do after a delta.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LocalReplicaChanges {
    /// Replicas to delete, with the topic's id: a topic of the same name may be among the new ones.
    pub deletes: BTreeMap<TopicPartition, Uuid>,
    /// The part of `leaders` whose leader epoch is new.
    pub elected_leaders: BTreeMap<TopicPartition, PartitionInfo>,
    /// Partitions this broker leads, when anything about them changed.
    pub leaders: BTreeMap<TopicPartition, PartitionInfo>,
    /// Partitions this broker follows (or that nobody leads), when anything about them changed.
    pub followers: BTreeMap<TopicPartition, PartitionInfo>,
    /// Ids of the topics in `leaders` and `followers`.
    pub topic_ids: BTreeMap<Arc<str>, Uuid>,
    /// Directories that the log now names for this broker's replicas.
    pub directory_ids: BTreeMap<(Uuid, TopicPartition), Uuid>,
}

/// A partition of [`LocalReplicaChanges`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Id of its topic.
    pub topic_id: Uuid,
    /// Its new state.
    pub partition: Arc<PartitionRegistration>,
}

impl MetadataDelta {
    /// A delta without changes.
    pub fn new(base: Arc<MetadataImage>) -> Self {
        let next = (*base).clone();
        Self::start(base, next, false)
    }

    /// A delta to be filled with the records of a snapshot, which say everything there is: call
    /// [`Self::finish_snapshot`] after the last.
    pub fn for_snapshot(base: Arc<MetadataImage>) -> Self {
        Self::start(base, MetadataImage::default(), true)
    }

    /// The delta that leads from nothing to an image, as a snapshot of it would.
    pub fn from_nothing(image: &MetadataImage) -> Self {
        let mut delta = Self::start(Arc::default(), image.clone(), true);
        delta.metadata_version_change = Some(image.features.metadata_version_or_minimum());
        delta.changed_features.extend(image.features.finalized_versions.keys().cloned());
        delta.changed_brokers.extend(image.cluster.brokers.keys());
        delta.changed_controllers.extend(image.cluster.controllers.keys());
        for topic in image.topics.iter() {
            delta.topics.changed.insert(topic.id, topic.partitions.keys().copied().collect());
            delta.topics.created.insert(topic.id);
        }
        delta.changed_configs.extend(image.configs.resources.keys().cloned());
        delta.changed_client_quotas.extend(image.client_quotas.entities.keys().cloned());
        delta.producer_ids_changed = image.producer_ids != ProducerIdsImage::default();
        delta.changed_acls.extend(image.acls.keys());
        delta.changed_scram.extend(image.scram.keys().cloned());
        delta.changed_delegation_tokens.extend(image.delegation_tokens.keys().cloned());
        delta
    }

    fn start(base: Arc<MetadataImage>, next: MetadataImage, is_snapshot: bool) -> Self {
        Self {
            base,
            next,
            is_snapshot,
            metadata_version_change: None,
            changed_features: BTreeSet::new(),
            changed_brokers: BTreeSet::new(),
            changed_controllers: BTreeSet::new(),
            topics: TopicsDelta::default(),
            changed_configs: BTreeSet::new(),
            changed_client_quotas: BTreeSet::new(),
            producer_ids_changed: false,
            changed_acls: BTreeSet::new(),
            changed_scram: BTreeSet::new(),
            changed_delegation_tokens: BTreeSet::new(),
        }
    }

    /// The image from which the delta starts.
    pub fn base(&self) -> &Arc<MetadataImage> {
        &self.base
    }

    /// The image as the records so far have made it; its provenance is still the base's.
    pub fn next(&self) -> &MetadataImage {
        &self.next
    }

    /// Whether brokers, topics or partitions may differ after it.
    pub fn changes_topology(&self) -> bool {
        let topics = &self.topics;
        let same_topics = topics.changed.is_empty() && topics.deleted.is_empty() && topics.created.is_empty();
        self.is_snapshot || !same_topics || !self.changed_brokers.is_empty()
    }

    /// Whether the delta comes from a snapshot.
    pub fn is_snapshot(&self) -> bool {
        self.is_snapshot
    }

    /// Applies one record.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        self.note(record)?;
        self.next.replay(record)
    }

    /// The next image.
    pub fn apply(&self, provenance: MetadataProvenance) -> MetadataImage {
        MetadataImage { provenance, ..self.next.clone() }
    }

    /// Counts as changed whatever the base has and the snapshot did not mention.
    pub fn finish_snapshot(&mut self) {
        if !self.is_snapshot {
            return;
        }
        let base = &*self.base;
        self.changed_features.extend(base.features.finalized_versions.keys().cloned());
        self.changed_brokers.extend(base.cluster.brokers.keys());
        self.changed_controllers.extend(base.cluster.controllers.keys());
        for topic in base.topics.iter().filter(|topic| self.next.topics.topic(topic.id).is_none()) {
            self.topics.deleted.insert(topic.id, topic.clone());
        }
        self.changed_configs.extend(base.configs.resources.keys().cloned());
        self.changed_client_quotas.extend(base.client_quotas.entities.keys().cloned());
        self.producer_ids_changed |= base.producer_ids != self.next.producer_ids;
        self.changed_acls.extend(base.acls.keys());
        self.changed_scram.extend(base.scram.keys().cloned());
        self.changed_delegation_tokens.extend(base.delegation_tokens.keys().cloned());
    }

    /// What the broker has to do to follow this delta.
    pub fn local_changes(&self, broker_id: i32) -> LocalReplicaChanges {
        let mut changes = LocalReplicaChanges::default();
        for topic in self.topics.deleted.values() {
            for (index, _) in topic.partitions.iter().filter(|(_, p)| p.is_replica(broker_id)) {
                changes.deletes.insert(TopicPartition::new(topic.name.clone(), *index), topic.id);
            }
        }
        for (topic_id, indexes) in &self.topics.changed {
            let Some(topic) = self.next.topics.topic(*topic_id) else {
                continue;
            };
            for index in indexes {
                if let Some(partition) = topic.partitions.get(index) {
                    let before = self.base.topics.partition(*topic_id, *index);
                    changes.note(broker_id, topic, *index, before, partition);
                }
            }
        }
        changes
    }

    fn note(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        use MetadataRecord as R;
        match record {
            R::RegisterBrokerRecord(r) => self.changed_brokers.insert(r.broker_id),
            R::UnregisterBrokerRecord(r) => self.changed_brokers.insert(r.broker_id),
            R::BrokerRegistrationChangeRecord(r) => self.changed_brokers.insert(r.broker_id),
            R::FenceBrokerRecord(r) => self.changed_brokers.insert(r.id),
            R::UnfenceBrokerRecord(r) => self.changed_brokers.insert(r.id),
            R::RegisterControllerRecord(r) => self.changed_controllers.insert(r.controller_id),
            R::UnregisterControllerRecord(r) => self.changed_controllers.insert(r.controller_id),
            R::TopicRecord(r) => {
                self.topics.changed.insert(r.topic_id, BTreeSet::new());
                self.base.topics.topic(r.topic_id).is_none() && self.topics.created.insert(r.topic_id)
            }
            R::PartitionRecord(r) => self.topics.note_partition(r.topic_id, r.partition_id),
            R::PartitionChangeRecord(r) => self.topics.note_partition(r.topic_id, r.partition_id),
            R::RemoveTopicRecord(r) => self.note_removed_topic(r.topic_id),
            R::ClearElrRecord(r) => self.note_cleared_elr(&r.topic_name),
            R::ConfigRecord(r) => self.changed_configs.insert(ConfigResource::new(
                ConfigResourceType::from_id(r.resource_type),
                r.resource_name.to_string(),
            )),
            R::FeatureLevelRecord(r) if &*r.name == MetadataVersion::FEATURE_NAME => {
                self.metadata_version_change = MetadataVersion::from_feature_level(r.feature_level);
                true
            }
            R::FeatureLevelRecord(r) => self.changed_features.insert(r.name.to_string()),
            R::ClientQuotaRecord(r) => {
                self.changed_client_quotas.insert(crate::image::client_quota_entity(r))
            }
            R::ProducerIdsRecord(_) => std::mem::replace(&mut self.producer_ids_changed, true),
            R::AccessControlEntryRecord(r) => self.changed_acls.insert(r.id),
            R::RemoveAccessControlEntryRecord(r) => self.changed_acls.insert(r.id),
            R::UserScramCredentialRecord(r) => self.changed_scram.insert((r.mechanism, r.name.to_string())),
            R::RemoveUserScramCredentialRecord(r) => {
                self.changed_scram.insert((r.mechanism, r.name.to_string()))
            }
            R::DelegationTokenRecord(r) => self.changed_delegation_tokens.insert(r.token_id.to_string()),
            R::RemoveDelegationTokenRecord(r) => {
                self.changed_delegation_tokens.insert(r.token_id.to_string())
            }
            R::NoOpRecord(_)
            | R::ZkMigrationStateRecord(_)
            | R::BeginTransactionRecord(_)
            | R::EndTransactionRecord(_)
            | R::AbortTransactionRecord(_) => false,
        };
        Ok(())
    }

    fn note_removed_topic(&mut self, topic_id: Uuid) -> bool {
        self.topics.changed.remove(&topic_id);
        self.topics.created.remove(&topic_id);
        if let Some(topic) = self.next.topics.topic(topic_id) {
            let resource = ConfigResource::topic(topic.name.clone());
            if self.next.configs.get(&resource).is_some() || self.base.configs.get(&resource).is_some() {
                self.changed_configs.insert(resource);
            }
        }
        let before = self.base.topics.topic(topic_id).cloned();
        before.is_some_and(|topic| self.topics.deleted.insert(topic_id, topic).is_none())
    }

    fn note_cleared_elr(&mut self, topic_name: &str) -> bool {
        let named = |topic: &&TopicImage| topic_name.is_empty() || &*topic.name == topic_name;
        let ids: Vec<Uuid> = self.next.topics.iter().filter(named).map(|topic| topic.id).collect();
        for id in ids {
            for index in self.next.partitions_with_elr(id) {
                self.topics.note_partition(id, index);
            }
        }
        true
    }
}

impl TopicsDelta {
    /// Whether nothing happened to any topic.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.deleted.is_empty()
    }

    fn note_partition(&mut self, topic_id: Uuid, index: i32) -> bool {
        self.changed.entry(topic_id).or_default().insert(index)
    }
}

impl LocalReplicaChanges {
    fn note(
        &mut self,
        broker_id: i32,
        topic: &TopicImage,
        index: i32,
        before: Option<&Arc<PartitionRegistration>>,
        partition: &Arc<PartitionRegistration>,
    ) {
        let tp = TopicPartition::new(topic.name.clone(), index);
        if !partition.is_replica(broker_id) {
            if before.is_some_and(|before| before.is_replica(broker_id)) {
                self.deletes.insert(tp, topic.id);
            }
            return;
        }
        let directory = partition.directory(broker_id);
        if let Some(directory) = directory
            && before.and_then(|before| before.directory(broker_id)) != Some(directory)
        {
            self.directory_ids.insert((topic.id, tp.clone()), directory);
        }
        if before.is_some_and(|before| before.partition_epoch == partition.partition_epoch) {
            return;
        }
        self.topic_ids.insert(topic.name.clone(), topic.id);
        let info = PartitionInfo { topic_id: topic.id, partition: partition.clone() };
        if partition.leader != broker_id {
            self.followers.insert(tp, info);
            return;
        }
        if before.is_none_or(|before| before.leader_epoch != partition.leader_epoch) {
            self.elected_leaders.insert(tp.clone(), info.clone());
        }
        self.leaders.insert(tp, info);
    }
}

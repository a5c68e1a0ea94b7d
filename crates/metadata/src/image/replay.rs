//! How each record changes the image. The only place that knows: images, deltas and the controller's own
//! state all come through here.

use std::sync::Arc;

use ottla_common::Uuid;
use ottla_protocol::records::metadata::{
    AccessControlEntryRecord, BrokerRegistrationChangeRecord, ClearElrRecord, ClientQuotaRecord,
    ConfigRecord, DelegationTokenRecord, FeatureLevelRecord, MetadataRecord, PartitionChangeRecord,
    PartitionRecord, RemoveTopicRecord, UserScramCredentialRecord,
};

use super::{
    ClientQuotaEntity, ConfigResource, ConfigResourceType, MetadataImage, PersistentMap, ProducerIdsImage,
};
use crate::feature::{Feature, MetadataVersion};
use crate::partition_registration::InvalidPartitionRecord;
use crate::registration::{BrokerRegistration, ControllerRegistration, InvalidRegistrationChange};

/// A record that does not fit what came before it. The log is then damaged, or written by a version of
/// Kafka this one cannot follow; going on would mean to serve wrong metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The cluster runs at a level this node cannot read.
    #[error(
        "metadata.version level {0} is not supported: levels from 7 (3.3-IV3) to 33 (4.4-IV2) are. Before a \
         software upgrade, raise the level with kafka-features"
    )]
    UnsupportedMetadataVersion(i16),
    /// The record names a topic that is not there.
    #[error("{record} names topic {topic}, which does not exist")]
    UnknownTopic {
        /// The record's kind.
        record: &'static str,
        /// The topic's id or name.
        topic: String,
    },
    /// The record names a partition that is not there.
    #[error("PartitionChangeRecord names partition {0}-{1}, which does not exist")]
    UnknownPartition(Uuid, i32),
    /// The record names a broker that is not there, or another life of it.
    #[error("{record} names broker {broker_id} with epoch {epoch}, which is not registered")]
    UnknownBroker {
        /// The record's kind.
        record: &'static str,
        /// The broker's id.
        broker_id: i32,
        /// The epoch in the record.
        epoch: i64,
    },
    /// A removed access control entry was never there.
    #[error("RemoveAccessControlEntryRecord names {0}, which does not exist")]
    UnknownAcl(Uuid),
    /// A partition record contradicts itself.
    #[error(transparent)]
    InvalidPartition(#[from] InvalidPartitionRecord),
    /// A broker registration change contradicts itself.
    #[error(transparent)]
    InvalidRegistration(#[from] InvalidRegistrationChange),
    /// A transaction marker out of order.
    #[error("{0} in the wrong place")]
    TransactionOutOfOrder(&'static str),
}

impl MetadataImage {
    /// Applies one record. Transaction markers are the loader's business and change nothing here.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        use MetadataRecord as R;
        match record {
            R::RegisterBrokerRecord(r) => {
                let broker = BrokerRegistration::from_record(r);
                self.cluster.brokers.insert_mut(broker.id, Arc::new(broker));
            }
            R::UnregisterBrokerRecord(r) => {
                self.cluster.brokers.remove_mut(&r.broker_id);
            }
            R::RegisterControllerRecord(r) => {
                let controller = ControllerRegistration::from_record(r);
                self.cluster.controllers.insert_mut(controller.id, Arc::new(controller));
            }
            R::UnregisterControllerRecord(r) => {
                self.cluster.controllers.remove_mut(&r.controller_id);
            }
            R::FenceBrokerRecord(r) => self.replay_fencing(record.name(), r.id, r.epoch, true)?,
            R::UnfenceBrokerRecord(r) => self.replay_fencing(record.name(), r.id, r.epoch, false)?,
            R::BrokerRegistrationChangeRecord(r) => self.replay_registration_change(r)?,
            R::TopicRecord(r) => self.topics.create(&r.name, r.topic_id),
            R::RemoveTopicRecord(r) => self.replay_remove_topic(r)?,
            R::PartitionRecord(r) => self.replay_partition(r)?,
            R::PartitionChangeRecord(r) => self.replay_partition_change(r)?,
            R::ClearElrRecord(r) => self.replay_clear_elr(r)?,
            R::ConfigRecord(r) => self.replay_config(r),
            R::FeatureLevelRecord(r) => self.replay_feature_level(r)?,
            R::ClientQuotaRecord(r) => self.replay_client_quota(r),
            R::ProducerIdsRecord(r) => {
                self.producer_ids = ProducerIdsImage { next_producer_id: r.next_producer_id };
            }
            R::AccessControlEntryRecord(r) => {
                self.acls.insert_mut(r.id, Arc::new(owned_acl(r)));
            }
            R::RemoveAccessControlEntryRecord(r) => {
                if !self.acls.remove_mut(&r.id) {
                    return Err(ReplayError::UnknownAcl(r.id));
                }
            }
            R::UserScramCredentialRecord(r) => {
                self.scram.insert_mut((r.mechanism, r.name.to_string()), Arc::new(owned_scram(r)));
            }
            R::RemoveUserScramCredentialRecord(r) => {
                self.scram.remove_mut(&(r.mechanism, r.name.to_string()));
            }
            R::DelegationTokenRecord(r) => {
                self.delegation_tokens.insert_mut(r.token_id.to_string(), Arc::new(owned_token(r)));
            }
            R::RemoveDelegationTokenRecord(r) => {
                self.delegation_tokens.remove_mut(&*r.token_id);
            }
            R::NoOpRecord(_)
            | R::ZkMigrationStateRecord(_)
            | R::BeginTransactionRecord(_)
            | R::EndTransactionRecord(_)
            | R::AbortTransactionRecord(_) => {}
        }
        Ok(())
    }

    fn registered_broker(
        &self,
        record: &'static str,
        broker_id: i32,
        epoch: i64,
    ) -> Result<BrokerRegistration, ReplayError> {
        match self.cluster.broker(broker_id) {
            Some(broker) if broker.epoch == epoch => Ok((**broker).clone()),
            _ => Err(ReplayError::UnknownBroker { record, broker_id, epoch }),
        }
    }

    fn replay_fencing(
        &mut self,
        record: &'static str,
        broker_id: i32,
        epoch: i64,
        fenced: bool,
    ) -> Result<(), ReplayError> {
        let mut broker = self.registered_broker(record, broker_id, epoch)?;
        broker.fenced = fenced;
        self.cluster.brokers.insert_mut(broker_id, Arc::new(broker));
        Ok(())
    }

    fn replay_registration_change(&mut self, r: &BrokerRegistrationChangeRecord) -> Result<(), ReplayError> {
        let mut broker =
            self.registered_broker("BrokerRegistrationChangeRecord", r.broker_id, r.broker_epoch)?;
        broker.merge(r)?;
        self.cluster.brokers.insert_mut(r.broker_id, Arc::new(broker));
        Ok(())
    }

    fn replay_remove_topic(&mut self, r: &RemoveTopicRecord) -> Result<(), ReplayError> {
        let topic = self.topics.remove(r.topic_id).ok_or_else(|| ReplayError::UnknownTopic {
            record: "RemoveTopicRecord",
            topic: r.topic_id.to_string(),
        })?;
        // A topic takes its configuration along; the log has no record of its own for that.
        self.configs.resources.remove_mut(&ConfigResource::topic(topic.name));
        Ok(())
    }

    fn replay_partition(&mut self, r: &PartitionRecord) -> Result<(), ReplayError> {
        let partition = crate::PartitionRegistration::from_record(r)?;
        if !self.topics.put_partition(r.topic_id, r.partition_id, partition) {
            let topic = r.topic_id.to_string();
            return Err(ReplayError::UnknownTopic { record: "PartitionRecord", topic });
        }
        Ok(())
    }

    fn replay_partition_change(&mut self, r: &PartitionChangeRecord) -> Result<(), ReplayError> {
        let before = self
            .topics
            .partition(r.topic_id, r.partition_id)
            .ok_or(ReplayError::UnknownPartition(r.topic_id, r.partition_id))?;
        let after = before.merge(r)?;
        self.topics.put_partition(r.topic_id, r.partition_id, after);
        Ok(())
    }

    fn replay_clear_elr(&mut self, r: &ClearElrRecord) -> Result<(), ReplayError> {
        let topics: Vec<Uuid> = if r.topic_name.is_empty() {
            self.topics.iter().map(|topic| topic.id).collect()
        } else {
            vec![self.topics.topic_id(&r.topic_name).ok_or_else(|| ReplayError::UnknownTopic {
                record: "ClearElrRecord",
                topic: r.topic_name.to_string(),
            })?]
        };
        for id in topics {
            for partition_id in self.partitions_with_elr(id) {
                self.replay_partition_change(&PartitionChangeRecord {
                    topic_id: id,
                    partition_id,
                    eligible_leader_replicas: Some(Vec::new()),
                    last_known_elr: Some(Vec::new()),
                    ..Default::default()
                })?;
            }
        }
        Ok(())
    }

    pub(crate) fn partitions_with_elr(&self, topic_id: Uuid) -> Vec<i32> {
        let Some(topic) = self.topics.topic(topic_id) else {
            return Vec::new();
        };
        topic
            .partitions
            .iter()
            .filter(|(_, p)| !p.elr.is_empty() || !p.last_known_elr.is_empty())
            .map(|(index, _)| *index)
            .collect()
    }

    fn replay_config(&mut self, r: &ConfigRecord) {
        let resource =
            ConfigResource::new(ConfigResourceType::from_id(r.resource_type), r.resource_name.to_string());
        let mut config = self.configs.get(&resource).cloned().unwrap_or_default();
        match &r.value {
            Some(value) => config.insert_mut(r.name.to_string(), value.to_string()),
            None => {
                config.remove_mut(&*r.name);
            }
        }
        if config.is_empty() {
            self.configs.resources.remove_mut(&resource);
        } else {
            self.configs.resources.insert_mut(resource, config);
        }
    }

    fn replay_feature_level(&mut self, r: &FeatureLevelRecord) -> Result<(), ReplayError> {
        if &*r.name == MetadataVersion::FEATURE_NAME {
            let version = MetadataVersion::from_feature_level(r.feature_level)
                .ok_or(ReplayError::UnsupportedMetadataVersion(r.feature_level))?;
            self.features.metadata_version = Some(version);
        } else if &*r.name == Feature::KRaftVersion.feature_name() {
            // The raft log's control records say it (KIP-853); a record by mistake is passed over.
        } else if r.feature_level == 0 {
            self.features.finalized_versions.remove_mut(&*r.name);
        } else {
            self.features.finalized_versions.insert_mut(r.name.to_string(), r.feature_level);
        }
        Ok(())
    }

    fn replay_client_quota(&mut self, r: &ClientQuotaRecord) {
        let entity = client_quota_entity(r);
        let mut quotas = self.client_quotas.entities.get(&entity).cloned().unwrap_or_default();
        if r.remove {
            quotas.remove_mut(&*r.key);
        } else {
            quotas.insert_mut(r.key.to_string(), r.value);
        }
        if PersistentMap::is_empty(&quotas) {
            self.client_quotas.entities.remove_mut(&entity);
        } else {
            self.client_quotas.entities.insert_mut(entity, quotas);
        }
    }
}

pub(crate) fn client_quota_entity(r: &ClientQuotaRecord) -> ClientQuotaEntity {
    let mut entity: ClientQuotaEntity = r
        .entity
        .iter()
        .map(|data| (data.entity_type.to_string(), data.entity_name.as_ref().map(ToString::to_string)))
        .collect();
    entity.sort();
    entity
}

// Records decoded from a frame borrow from it; what is kept for long must not pin the whole batch.

fn owned_acl(r: &AccessControlEntryRecord) -> AccessControlEntryRecord {
    AccessControlEntryRecord {
        resource_name: (&*r.resource_name).into(),
        principal: (&*r.principal).into(),
        host: (&*r.host).into(),
        unknown_tagged_fields: Vec::new(),
        ..*r
    }
}

fn owned_scram(r: &UserScramCredentialRecord) -> UserScramCredentialRecord {
    UserScramCredentialRecord {
        name: (&*r.name).into(),
        salt: r.salt.to_vec().into(),
        stored_key: r.stored_key.to_vec().into(),
        server_key: r.server_key.to_vec().into(),
        unknown_tagged_fields: Vec::new(),
        ..*r
    }
}

fn owned_token(r: &DelegationTokenRecord) -> DelegationTokenRecord {
    DelegationTokenRecord {
        owner: (&*r.owner).into(),
        requester: (&*r.requester).into(),
        renewers: r.renewers.iter().map(|renewer| (&**renewer).into()).collect(),
        token_id: (&*r.token_id).into(),
        unknown_tagged_fields: Vec::new(),
        ..*r
    }
}

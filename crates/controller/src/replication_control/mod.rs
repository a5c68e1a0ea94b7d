//! Topics, partitions, leaders: what Kafka calls the replication control manager.

mod alter_partition;
mod assign_replicas_to_dirs;
mod broker_changes;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod elect_leaders;
mod heartbeat;
mod topic_name;

pub use create_topics::Describable;
pub use heartbeat::BrokerHeartbeatReply;

use std::sync::Arc;

use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::{ApiMessageAndVersion, ImageWriterOptions, PartitionRegistration, TopicImage};

use crate::partition_change_builder::{Election, PartitionChangeBuilder, PartitionChangeContext};
use crate::placement::UsableBroker;
use crate::quorum_controller::{MIN_IN_SYNC_REPLICAS, QuorumController, UNCLEAN_LEADER_ELECTION_ENABLE};
use crate::result::ApiError;

/// The most elections one periodic check makes.
const MAX_ELECTIONS_PER_IMBALANCE: usize = 1_000;

impl QuorumController {
    pub(crate) fn writer_options(&self) -> ImageWriterOptions {
        ImageWriterOptions {
            metadata_version: self.state().metadata_version(),
            elr_enabled: self.image().features.is_elr_enabled(),
        }
    }

    /// The topic's `min.insync.replicas`, but no more than it has replicas.
    fn effective_min_isr(&self, topic: &TopicImage) -> usize {
        let replicas = topic.partitions.first().map_or(0, |(_, p)| p.replicas.len());
        let configured = self.topic_config(&topic.name, MIN_IN_SYNC_REPLICAS);
        configured.and_then(|text| text.trim().parse().ok()).unwrap_or(1).min(replicas)
    }

    fn unclean_election_enabled(&self, topic: &Arc<str>) -> bool {
        let configured = self.topic_config(topic, UNCLEAN_LEADER_ELECTION_ENABLE);
        configured.is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }

    /// Whether a broker for which `is_usable` holds has the directory of its replica online.
    fn could_lead(
        &self,
        partition: &PartitionRegistration,
        broker_id: i32,
        is_usable: impl FnOnce(i32) -> bool,
    ) -> bool {
        let directory = partition.directory(broker_id);
        let broker = self.image().cluster.broker(broker_id);
        is_usable(broker_id)
            && broker.zip(directory).is_some_and(|(broker, directory)| broker.has_online_dir(directory))
    }

    /// Starts a change of one partition and gives it to `change` to finish.
    fn change_partition(
        &self,
        topic: &TopicImage,
        partition_id: i32,
        partition: &PartitionRegistration,
        is_usable: &dyn Fn(i32) -> bool,
        change: impl FnOnce(PartitionChangeBuilder<'_>) -> PartitionChangeBuilder<'_>,
    ) -> Option<ApiMessageAndVersion> {
        let is_acceptable_leader = |id: i32| self.could_lead(partition, id, is_usable);
        let default_dir = |id: i32| self.state().default_dir(id);
        let builder = PartitionChangeBuilder::new(PartitionChangeContext {
            partition,
            topic_id: topic.id,
            partition_id,
            is_acceptable_leader: &is_acceptable_leader,
            default_dir: &default_dir,
            metadata_version: self.state().metadata_version(),
            min_isr: self.effective_min_isr(topic),
            elr_enabled: self.image().features.is_elr_enabled(),
        });
        change(builder).build()
    }

    /// Unclean only where the topic's configuration says so: an unclean election is never silent.
    fn automatic_election(&self, topic: &TopicImage) -> Election {
        if self.unclean_election_enabled(&topic.name) { Election::Unclean } else { Election::Online }
    }

    fn usable_brokers(&self) -> Vec<UsableBroker> {
        let brokers = self.image().cluster.brokers.values();
        let usable = brokers.filter(|b| {
            self.heartbeats.controlled_shutdown_offset(b.id).is_none() && b.has_uncordoned_dirs()
        });
        usable.map(|b| UsableBroker { id: b.id, rack: b.rack.clone(), fenced: b.fenced }).collect()
    }

    fn active_of(&self, replicas: &[i32]) -> Vec<i32> {
        replicas.iter().copied().filter(|id| self.state().is_active(*id)).collect()
    }

    fn new_partition(&self, replicas: Vec<i32>, isr: Vec<i32>) -> PartitionRegistration {
        PartitionRegistration {
            directories: replicas.iter().map(|id| self.state().default_dir(*id)).collect::<Box<[Uuid]>>(),
            leader: isr.first().copied().unwrap_or(ottla_metadata::NO_LEADER),
            replicas: replicas.into(),
            isr: isr.into(),
            ..Default::default()
        }
    }

    fn validate_manual_assignment(
        &self,
        replicas: &[i32],
        replication_factor: Option<usize>,
    ) -> Result<(), ApiError> {
        let invalid = |message| Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        if replicas.is_empty() {
            return invalid("The manual partition assignment includes an empty replica list.".to_owned());
        }
        let mut sorted = replicas.to_vec();
        sorted.sort_unstable();
        for (i, id) in sorted.iter().enumerate() {
            let Some(broker) = self.image().cluster.broker(*id) else {
                return invalid(format!(
                    "The manual partition assignment includes broker {id}, but no such broker is registered."
                ));
            };
            if !broker.has_uncordoned_dirs() {
                return invalid(format!(
                    "The manual partition assignment includes broker {id}, but all its log directories are \
                     cordoned."
                ));
            }
            if i > 0 && sorted[i - 1] == *id {
                return invalid(format!(
                    "The manual partition assignment includes the broker {id} more than once."
                ));
            }
        }
        match replication_factor {
            Some(factor) if factor != sorted.len() => invalid(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not \
                 consistent with previous partitions, which have {factor} replica(s).",
                sorted.len()
            )),
            _ => Ok(()),
        }
    }
}

//! AlterPartition: a leader proposes a new ISR (KIP-497, KIP-704, KIP-903).

use ottla_common::ErrorCode;
use ottla_metadata::{LeaderRecoveryState, NO_LEADER_CHANGE, PartitionRegistration, TopicImage};
use ottla_protocol::messages::alter_partition_request::{
    AlterPartitionRequest, BrokerState, PartitionData as RequestedPartition,
};
use ottla_protocol::messages::alter_partition_response::{AlterPartitionResponse, PartitionData, TopicData};
use ottla_protocol::records::metadata::MetadataRecord;

use crate::quorum_controller::QuorumController;
use crate::result::{ApiError, ControllerResult};

impl QuorumController {
    /// Decides an AlterPartition request. Partitions fail or succeed one by one.
    pub fn alter_partition(
        &self,
        request: &AlterPartitionRequest,
    ) -> Result<ControllerResult<AlterPartitionResponse>, ApiError> {
        self.check_broker_epoch(request.broker_id, request.broker_epoch)?;
        let mut records = Vec::new();
        let mut response = AlterPartitionResponse::default();
        for asked in &request.topics {
            let topic = self.image().topics.topic(asked.topic_id);
            let partitions = asked.partitions.iter().map(|partition| {
                let result = match topic {
                    None => Err(ErrorCode::UnknownTopicId),
                    Some(topic) => self.alter_one(request.broker_id, topic, partition, &mut records),
                };
                result.unwrap_or_else(|error| PartitionData {
                    partition_index: partition.partition_index,
                    error_code: error.code(),
                    ..Default::default()
                })
            });
            let partitions = partitions.collect();
            response.topics.push(TopicData { topic_id: asked.topic_id, partitions, ..Default::default() });
        }
        Ok(ControllerResult::of(records, response))
    }

    fn alter_one(
        &self,
        broker_id: i32,
        topic: &TopicImage,
        request: &RequestedPartition,
        records: &mut Vec<ottla_metadata::ApiMessageAndVersion>,
    ) -> Result<PartitionData, ErrorCode> {
        let index = request.partition_index;
        let before = topic.partitions.get(&index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        // Versions below 3 name brokers without their epochs.
        let new_isr: Vec<BrokerState> = if request.new_isr_with_epochs.is_empty() {
            let state = |id: &i32| BrokerState { broker_id: *id, broker_epoch: -1, ..Default::default() };
            request.new_isr.iter().map(state).collect()
        } else {
            request.new_isr_with_epochs.clone()
        };
        let recovery = LeaderRecoveryState::from_value(request.leader_recovery_state)
            .ok_or(ErrorCode::InvalidRequest)?;
        self.validate_alter_partition(broker_id, before, request, &new_isr, recovery)?;
        let is_usable = |id: i32| self.state().is_active(id);
        let target: Vec<i32> = new_isr.iter().map(|state| state.broker_id).collect();
        let record = self.change_partition(topic, index, before, &is_usable, |builder| {
            let builder = builder.election(self.automatic_election(topic));
            builder.target_isr(target).target_leader_recovery_state(recovery)
        });
        let mut after = (**before).clone();
        if let Some(record) = record {
            let mut new_leader = false;
            if let MetadataRecord::PartitionChangeRecord(change) = &record.message {
                after = before.merge(change).map_err(|_| ErrorCode::UnknownServerError)?;
                new_leader = change.leader != NO_LEADER_CHANGE && change.leader != broker_id;
            }
            records.push(record);
            if new_leader {
                // Completing a reassignment took the leadership away; the ISR was set nonetheless.
                return Err(ErrorCode::NewLeaderElected);
            }
        }
        Ok(PartitionData {
            partition_index: index,
            error_code: ErrorCode::None.code(),
            leader_id: after.leader,
            leader_epoch: after.leader_epoch,
            isr: after.isr.to_vec(),
            leader_recovery_state: after.leader_recovery_state.value(),
            partition_epoch: after.partition_epoch,
            ..Default::default()
        })
    }

    fn validate_alter_partition(
        &self,
        broker_id: i32,
        partition: &PartitionRegistration,
        request: &RequestedPartition,
        new_isr: &[BrokerState],
        recovery: LeaderRecoveryState,
    ) -> Result<(), ErrorCode> {
        if request.leader_epoch > partition.leader_epoch
            || request.partition_epoch > partition.partition_epoch
        {
            // The broker has seen records that this controller has not: somebody else leads by now.
            return Err(ErrorCode::NotController);
        }
        if request.leader_epoch < partition.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if broker_id != partition.leader {
            return Err(ErrorCode::InvalidRequest);
        }
        if request.partition_epoch < partition.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let ids: Vec<i32> = new_isr.iter().map(|state| state.broker_id).collect();
        let is_set = ids.iter().enumerate().all(|(i, id)| !ids[..i].contains(id));
        let are_replicas = ids.iter().all(|id| partition.is_replica(*id));
        let recovering = recovery == LeaderRecoveryState::Recovering;
        let valid = is_set
            && are_replicas
            && ids.contains(&partition.leader)
            && !(recovering && ids.len() > 1)
            && !(recovering && partition.leader_recovery_state == LeaderRecoveryState::Recovered);
        if !valid {
            return Err(ErrorCode::InvalidRequest);
        }
        if new_isr.iter().all(|state| self.is_eligible_for_isr(state)) {
            Ok(())
        } else {
            Err(ErrorCode::IneligibleReplica)
        }
    }

    fn is_eligible_for_isr(&self, replica: &BrokerState) -> bool {
        self.image().cluster.broker(replica.broker_id).is_some_and(|broker| {
            broker.is_active() && (replica.broker_epoch == -1 || replica.broker_epoch == broker.epoch)
        })
    }
}

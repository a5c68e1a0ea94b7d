//! AssignReplicasToDirs: a broker says in which directories its replicas lie (KIP-858).

use ottla_common::ErrorCode;
use ottla_metadata::ApiMessageAndVersion;
use ottla_protocol::messages::assign_replicas_to_dirs_request::{
    AssignReplicasToDirsRequest, TopicData as AskedTopic,
};
use ottla_protocol::messages::assign_replicas_to_dirs_response::{
    AssignReplicasToDirsResponse, DirectoryData, PartitionData, TopicData,
};

use crate::quorum_controller::QuorumController;
use crate::result::{ApiError, ControllerResult};

impl QuorumController {
    /// Decides an AssignReplicasToDirs request. Partitions fail or succeed one by one.
    pub fn assign_replicas_to_dirs(
        &self,
        request: &AssignReplicasToDirsRequest,
    ) -> Result<ControllerResult<AssignReplicasToDirsResponse>, ApiError> {
        let level = self.state().metadata_version();
        if !level.is_directory_assignment_supported() {
            let message = format!("Directory assignment is not supported yet with {level}.");
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
        let id = request.broker_id;
        self.check_broker_epoch(id, request.broker_epoch)?;
        let mut records = Vec::new();
        let mut in_offline_dirs = Vec::new();
        let mut directories = Vec::with_capacity(request.directories.len());
        for asked in &request.directories {
            let is_online = self.image().cluster.broker(id).is_some_and(|b| b.has_online_dir(asked.id));
            let mut topics = Vec::with_capacity(asked.topics.len());
            for topic in &asked.topics {
                let mut partitions = Vec::with_capacity(topic.partitions.len());
                for partition in &topic.partitions {
                    let index = partition.partition_index;
                    let result = self.assign_one(id, asked.id, topic, index, &mut records);
                    if result.is_ok() && !is_online {
                        in_offline_dirs.push((topic.topic_id, index));
                    }
                    let error_code = result.err().unwrap_or(ErrorCode::None).code();
                    partitions.push(PartitionData {
                        partition_index: index,
                        error_code,
                        ..Default::default()
                    });
                }
                topics.push(TopicData { topic_id: topic.topic_id, partitions, ..Default::default() });
            }
            directories.push(DirectoryData { id: asked.id, topics, ..Default::default() });
        }
        self.remove_from_isrs(id, &in_offline_dirs, &mut records);
        let response = AssignReplicasToDirsResponse { directories, ..Default::default() };
        Ok(ControllerResult::of(records, response))
    }

    fn assign_one(
        &self,
        broker_id: i32,
        directory: ottla_common::Uuid,
        topic: &AskedTopic,
        index: i32,
        records: &mut Vec<ApiMessageAndVersion>,
    ) -> Result<(), ErrorCode> {
        let topic = self.image().topics.topic(topic.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let partition = topic.partitions.get(&index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if !partition.is_replica(broker_id) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let is_usable = |id: i32| self.state().is_active(id);
        records.extend(self.change_partition(topic, index, partition, &is_usable, |builder| {
            builder.directory(broker_id, directory)
        }));
        Ok(())
    }
}

//! CreatePartitions.

use std::collections::HashMap;

use ottla_common::ErrorCode;
use ottla_metadata::ApiMessageAndVersion;
use ottla_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use ottla_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};

use crate::placement::StripedReplicaPlacer;
use crate::quorum_controller::{MAX_RECORDS_PER_USER_OP, QuorumController};
use crate::random::Random;
use crate::result::{ApiError, ControllerResult, code_and_message};

impl QuorumController {
    /// Decides a CreatePartitions request. Topics fail or succeed one by one.
    pub fn create_partitions(
        &self,
        request: &CreatePartitionsRequest,
        random: &mut dyn Random,
    ) -> ControllerResult<CreatePartitionsResponse> {
        let mut times: HashMap<&str, usize> = HashMap::new();
        for topic in &request.topics {
            *times.entry(&topic.name).or_default() += 1;
        }
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let result = match times.get_mut(&*topic.name) {
                Some(0) | None => continue,
                Some(1) => self.add_partitions(topic, MAX_RECORDS_PER_USER_OP - records.len(), random),
                Some(count) => {
                    *count = 0;
                    Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
                }
            };
            let (error_code, error_message) = code_and_message(&result);
            records.extend(result.unwrap_or_default());
            results.push(CreatePartitionsTopicResult {
                name: topic.name.clone(),
                error_code,
                error_message,
                ..Default::default()
            });
        }
        let response = CreatePartitionsResponse { results, ..Default::default() };
        let result = ControllerResult::atomic_of(records, response);
        if request.validate_only { result.without_records() } else { result }
    }

    fn add_partitions(
        &self,
        request: &CreatePartitionsTopic,
        max_records: usize,
        random: &mut dyn Random,
    ) -> Result<Vec<ApiMessageAndVersion>, ApiError> {
        let topic = self
            .image()
            .topics
            .topic_by_name(&request.name)
            .ok_or(ApiError::code(ErrorCode::UnknownTopicOrPartition))?;
        let existing = i32::try_from(topic.partitions.size()).unwrap_or(i32::MAX);
        let additional = additional_partitions(request, existing)?;
        if additional > max_records {
            let message = "Unable to perform excessively large batch operation.";
            return Err(ApiError::new(ErrorCode::PolicyViolation, message));
        }
        let Some((_, first)) = topic.partitions.first() else {
            let message = format!("Invalid state: topic {} appears to have no partitions.", request.name);
            return Err(ApiError::new(ErrorCode::UnknownServerError, message));
        };
        let factor = i16::try_from(first.replicas.len()).unwrap_or(i16::MAX);
        let placed: Vec<Vec<i32>> = match &request.assignments {
            Some(assignments) => {
                for (assignment, index) in assignments.iter().zip(existing..) {
                    self.validate_manual_assignment(&assignment.broker_ids, Some(first.replicas.len()))?;
                    if self.active_of(&assignment.broker_ids).is_empty() {
                        let message = format!(
                            "All brokers specified in the manual partition assignment for partition {index} \
                             are fenced or in controlled shutdown."
                        );
                        return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
                    }
                }
                assignments.iter().map(|assignment| assignment.broker_ids.clone()).collect()
            }
            None => {
                StripedReplicaPlacer::new(self.usable_brokers(), random).place(additional, factor, random)?
            }
        };
        let options = self.writer_options();
        let mut records = Vec::with_capacity(placed.len());
        for (replicas, index) in placed.into_iter().zip(existing..) {
            let isr = self.active_of(&replicas);
            if isr.is_empty() {
                let message = format!(
                    "Unable to replicate the partition {factor} time(s): All brokers are currently fenced or \
                     in controlled shutdown."
                );
                return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
            }
            records.push(self.new_partition(replicas, isr).to_record(topic.id, index, &options));
        }
        Ok(records)
    }
}

fn additional_partitions(request: &CreatePartitionsTopic, existing: i32) -> Result<usize, ApiError> {
    let invalid = |message| Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    if request.count == existing {
        return invalid(format!("Topic already has {existing} partition(s)."));
    }
    if request.count < existing {
        return invalid(format!(
            "The topic {} currently has {existing} partition(s); {} would not be an increase.",
            request.name, request.count
        ));
    }
    let additional = usize::try_from(request.count - existing).unwrap_or(0);
    match &request.assignments {
        Some(assignments) if assignments.len() != additional => Err(ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were \
                 specified.",
                assignments.len()
            ),
        )),
        _ => Ok(additional),
    }
}

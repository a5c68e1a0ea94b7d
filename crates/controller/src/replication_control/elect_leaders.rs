//! Elections that somebody asks for, and those that are made from time to time.

use ottla_common::ErrorCode;
use ottla_metadata::{ApiMessageAndVersion, TopicImage};
use ottla_protocol::messages::elect_leaders_request::ElectLeadersRequest;
use ottla_protocol::messages::elect_leaders_response::{
    ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};

use super::MAX_ELECTIONS_PER_IMBALANCE;
use crate::partition_change_builder::Election;
use crate::quorum_controller::QuorumController;
use crate::result::{ApiError, ControllerResult, code_and_message};

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

impl QuorumController {
    /// Decides an ElectLeaders request (KIP-460). Partitions fail or succeed one by one.
    pub fn elect_leaders(
        &self,
        request: &ElectLeadersRequest,
    ) -> Result<ControllerResult<ElectLeadersResponse>, ApiError> {
        let election = match request.election_type {
            PREFERRED => Election::Preferred,
            UNCLEAN => Election::Unclean,
            other => {
                let message = format!("Unknown election type {other}");
                return Err(ApiError::new(ErrorCode::InvalidRequest, message));
            }
        };
        let mut records = Vec::new();
        let mut replica_election_results = Vec::new();
        match &request.topic_partitions {
            Some(asked) => {
                for topic in asked {
                    let partitions = topic.partitions.iter().copied();
                    let results = self.elect(&topic.topic, partitions, election, &mut records);
                    replica_election_results.push(election_results(&topic.topic, results));
                }
            }
            None => {
                for topic in self.image().topics.iter_by_name() {
                    let partitions = topic.partitions.keys().copied();
                    let mut results = self.elect(&topic.name, partitions, election, &mut records);
                    // Asked for all, only those that matter are reported.
                    results.retain(|result| result.error_code != ErrorCode::ElectionNotNeeded.code());
                    replica_election_results.push(election_results(&topic.name, results));
                }
            }
        }
        let response = ElectLeadersResponse { replica_election_results, ..Default::default() };
        Ok(ControllerResult::of(records, response))
    }

    /// Gives leaderships back to preferred leaders that are in sync. True when there is more to do.
    pub fn maybe_balance_partition_leaders(&self) -> ControllerResult<bool> {
        let mut records = Vec::new();
        for (topic, index, partition) in self.state().imbalanced_partitions() {
            if records.len() >= MAX_ELECTIONS_PER_IMBALANCE {
                break;
            }
            let is_usable = |id: i32| self.state().is_active(id);
            records.extend(self.change_partition(topic, index, partition, &is_usable, |builder| {
                builder.election(Election::Preferred)
            }));
        }
        let more = records.len() >= MAX_ELECTIONS_PER_IMBALANCE;
        ControllerResult::of(records, more)
    }

    /// Finds leaders for partitions that have none and whose topic rather loses records. True when there
    /// is more to do.
    pub fn maybe_elect_unclean_leaders(&self) -> ControllerResult<bool> {
        let mut records = Vec::new();
        for (topic, index, _) in self.state().leaderless_partitions() {
            if records.len() >= MAX_ELECTIONS_PER_IMBALANCE {
                break;
            }
            if self.unclean_election_enabled(&topic.name) {
                records.extend(self.elect_one(topic, index, Election::Unclean).ok());
            }
        }
        let more = records.len() >= MAX_ELECTIONS_PER_IMBALANCE;
        ControllerResult::of(records, more)
    }

    /// Whether some partition is not led by its preferred replica.
    pub fn are_partition_leaders_imbalanced(&self) -> bool {
        self.state().imbalanced_partitions().next().is_some()
    }

    /// Whether some partition has no leader.
    pub fn are_some_partitions_leaderless(&self) -> bool {
        self.state().leaderless_partitions().next().is_some()
    }

    fn elect(
        &self,
        topic: &str,
        partitions: impl Iterator<Item = i32>,
        election: Election,
        records: &mut Vec<ApiMessageAndVersion>,
    ) -> Vec<PartitionResult> {
        let found = self.image().topics.topic_by_name(topic);
        let elect_one = |index: i32| {
            let result = match found {
                Some(found) => self.elect_one(found, index, election),
                None => Err(unknown(format!("No such topic as {topic}"))),
            };
            let (error_code, error_message) = code_and_message(&result);
            records.extend(result.ok());
            PartitionResult { partition_id: index, error_code, error_message, ..Default::default() }
        };
        partitions.map(elect_one).collect()
    }

    fn elect_one(
        &self,
        topic: &TopicImage,
        index: i32,
        election: Election,
    ) -> Result<ApiMessageAndVersion, ApiError> {
        let Some(partition) = topic.partitions.get(&index) else {
            return Err(unknown(format!("No such partition as {}-{index}", topic.name)));
        };
        let not_needed = match election {
            Election::Preferred => partition.has_preferred_leader(),
            _ => partition.has_leader(),
        };
        if not_needed {
            let message = "Leader election not needed for topic partition.";
            return Err(ApiError::new(ErrorCode::ElectionNotNeeded, message));
        }
        let is_usable = |id: i32| self.state().is_active(id);
        let record =
            self.change_partition(topic, index, partition, &is_usable, |builder| builder.election(election));
        record.ok_or_else(|| match election {
            Election::Preferred => ApiError::new(
                ErrorCode::PreferredLeaderNotAvailable,
                "The preferred leader was not available.",
            ),
            _ => ApiError::new(
                ErrorCode::EligibleLeadersNotAvailable,
                "Eligible topic partition leaders are not available.",
            ),
        })
    }
}

fn unknown(message: String) -> ApiError {
    ApiError::new(ErrorCode::UnknownTopicOrPartition, message)
}

fn election_results(topic: &str, partition_result: Vec<PartitionResult>) -> ReplicaElectionResult {
    ReplicaElectionResult { topic: topic.into(), partition_result, ..Default::default() }
}

use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::DescribeProducersRequest;
use ottla_protocol::messages::describe_producers_request::TopicRequest;
use ottla_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState};

use super::{Admin, Outcomes};
use crate::ClientError;
use crate::partitions::{by_topic, tp};

impl Admin {
    /// The producers that leaders remember, partition by partition.
    pub async fn describe_producers(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Outcomes<TopicPartition, Vec<ProducerState>>, ClientError> {
        self.client
            .retrying("DescribeProducers", || async {
                let mut outcomes = Vec::new();
                let wanted = partitions.iter().map(|tp| (tp.clone(), ()));
                for (leader, partitions) in self.client.by_leader(wanted).await? {
                    let partitions: Vec<_> = partitions.into_iter().map(|(tp, ())| tp).collect();
                    for (tp, outcome) in self.producers_at(leader, &partitions).await? {
                        if let Err(error) = &outcome
                            && error.is_retriable()
                        {
                            self.client.forget_topic(&tp.topic);
                            return Err(error.clone());
                        }
                        outcomes.push((tp, outcome));
                    }
                }
                Ok(outcomes)
            })
            .await
    }

    /// The producers that one broker remembers of partitions it has a replica of.
    pub async fn describe_producers_on(
        &self,
        broker: i32,
        partitions: &[TopicPartition],
    ) -> Result<Outcomes<TopicPartition, Vec<ProducerState>>, ClientError> {
        self.client.retrying("DescribeProducers", || self.producers_at(broker, partitions)).await
    }

    async fn producers_at(
        &self,
        broker: i32,
        partitions: &[TopicPartition],
    ) -> Result<Outcomes<TopicPartition, Vec<ProducerState>>, ClientError> {
        let topics = by_topic(partitions.iter().map(|tp| (tp, ())), |partition, ()| partition);
        let topics = topics.into_iter().map(|(name, partition_indexes)| TopicRequest {
            name,
            partition_indexes,
            ..Default::default()
        });
        let request = DescribeProducersRequest { topics: topics.collect(), ..Default::default() };
        let mut outcomes = Vec::new();
        for topic in self.client.send_to(broker, &request).await?.topics {
            for partition in topic.partitions {
                let tp = tp(&topic.name, partition.partition_index);
                let outcome = read(&tp, broker, partition);
                outcomes.push((tp, outcome));
            }
        }
        Ok(outcomes)
    }
}

fn read(
    tp: &TopicPartition,
    broker: i32,
    partition: PartitionResponse,
) -> Result<Vec<ProducerState>, ClientError> {
    let code = ErrorCode::from_code(partition.error_code);
    let message = match code {
        ErrorCode::None => return Ok(partition.active_producers),
        ErrorCode::NotLeaderOrFollower => {
            format!("Failed to describe active producers for partition {tp} on brokerId {broker}")
        }
        ErrorCode::InvalidTopicException => {
            let reason = partition.error_message.as_deref().unwrap_or(code.name());
            format!("Failed to fetch metadata for partition {tp} due to invalid topic error: {reason}")
        }
        ErrorCode::TopicAuthorizationFailed => format!(
            "Failed to describe active producers for partition {tp} due to authorization failure on topic `{}`",
            tp.topic
        ),
        ErrorCode::UnknownTopicOrPartition => {
            return Err(ClientError::api(tp.to_string(), code, partition.error_message.as_deref()));
        }
        _ => format!("Failed to describe active producers for partition {tp} due to unexpected error"),
    };
    Err(ClientError::api(tp.to_string(), code, Some(&message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_partition_and_broker() {
        let refused = |code: ErrorCode| {
            let partition = PartitionResponse { error_code: code.code(), ..PartitionResponse::default() };
            read(&tp("t", 1), 3, partition).unwrap_err()
        };
        assert!(refused(ErrorCode::NotLeaderOrFollower).to_string().contains("t-1 on brokerId 3"));
        assert!(refused(ErrorCode::TopicAuthorizationFailed).to_string().contains("on topic `t`"));
        let unknown = refused(ErrorCode::UnknownTopicOrPartition);
        assert_eq!(unknown.code(), Some(ErrorCode::UnknownTopicOrPartition));
    }
}

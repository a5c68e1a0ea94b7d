//! Heartbeats as requests, and the answers to them.

use std::collections::BTreeSet;
use std::time::Duration;

use ottla_common::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ShareGroupHeartbeatRequest};

use super::state::{Beat, BeatAnswer};
use super::{Assignment, GroupIdentity, GroupKind};
use crate::{BrokerConnection, ClientError};

/// Sends one heartbeat.
pub(super) async fn exchange(
    connection: &BrokerConnection,
    group: &GroupIdentity,
    beat: Beat,
) -> Result<BeatAnswer, ClientError> {
    match &group.kind {
        GroupKind::Consumer { .. } => {
            let response = connection.send(&consumer_heartbeat(group, beat)).await?;
            let topics = response.assignment.map(|assignment| {
                let topics = assignment.topic_partitions.into_iter();
                by_id(topics.map(|t| (t.topic_id, t.partitions)))
            });
            Ok(BeatAnswer {
                code: ErrorCode::from_code(response.error_code),
                message: response.error_message,
                member_id: response.member_id,
                epoch: response.member_epoch,
                interval: interval(response.heartbeat_interval_ms),
                assignment: topics,
            })
        }
        GroupKind::Share => {
            let response = connection.send(&share_heartbeat(group, beat)).await?;
            let topics = response.assignment.map(|assignment| {
                let topics = assignment.topic_partitions.into_iter();
                by_id(topics.map(|t| (t.topic_id, t.partitions)))
            });
            Ok(BeatAnswer {
                code: ErrorCode::from_code(response.error_code),
                message: response.error_message,
                member_id: response.member_id,
                epoch: response.member_epoch,
                interval: interval(response.heartbeat_interval_ms),
                assignment: topics,
            })
        }
    }
}

pub(super) fn consumer_heartbeat(group: &GroupIdentity, beat: Beat) -> ConsumerGroupHeartbeatRequest {
    let mut request = ConsumerGroupHeartbeatRequest {
        group_id: group.group_id.clone(),
        member_id: beat.member_id,
        member_epoch: beat.epoch,
        rack_id: group.rack.clone().filter(|_| beat.full),
        subscribed_topic_names: beat.names,
        subscribed_topic_regex: beat.regex,
        topic_partitions: beat.owned.map(|owned| owned.into_iter().map(topic_partitions).collect()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    if let GroupKind::Consumer { instance_id, rebalance_timeout, assignor } = &group.kind {
        request.instance_id = instance_id.clone();
        if beat.full {
            request.rebalance_timeout_ms = rebalance_timeout.as_millis() as i32;
            request.server_assignor = assignor.clone();
        }
    }
    request
}

pub(super) fn share_heartbeat(group: &GroupIdentity, beat: Beat) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest {
        group_id: group.group_id.clone(),
        member_id: beat.member_id,
        member_epoch: beat.epoch,
        rack_id: group.rack.clone().filter(|_| beat.full),
        subscribed_topic_names: beat.names,
        ..ShareGroupHeartbeatRequest::default()
    }
}

fn topic_partitions((topic_id, partitions): (ottla_common::Uuid, BTreeSet<i32>)) -> TopicPartitions {
    TopicPartitions { topic_id, partitions: partitions.into_iter().collect(), ..Default::default() }
}

fn by_id(topics: impl Iterator<Item = (ottla_common::Uuid, Vec<i32>)>) -> Assignment {
    let mut assignment = Assignment::new();
    for (id, partitions) in topics {
        assignment.entry(id).or_default().extend(partitions);
    }
    assignment
}

/// A coordinator that names no interval is not to be flooded.
fn interval(ms: i32) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(5);
    match u64::try_from(ms) {
        Ok(ms) if ms > 0 => Duration::from_millis(ms),
        _ => DEFAULT,
    }
}

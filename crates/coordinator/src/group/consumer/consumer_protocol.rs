//! What classic consumers write into their subscriptions and assignments.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use ottla_protocol::messages::consumer_protocol_assignment::TopicPartition;
use ottla_protocol::messages::consumer_protocol_subscription::TopicPartition as OwnedPartition;
use ottla_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_protocol::{DecodeError, EncodeError, Message, Reader};
use thiserror::Error;

use crate::group::modern::MemberAssignment;
use crate::metadata::CoordinatorMetadata;

/// Bytes that are not in the consumers' format.
#[derive(Debug, Error)]
pub(crate) enum ConsumerProtocolError {
    /// There never was such a version.
    #[error("version {0} of the consumer protocol")]
    Version(i16),
    /// They cannot be read.
    #[error("malformed consumer protocol: {0}")]
    Malformed(#[from] DecodeError),
}

/// The version that a subscription is written in, as far as this release knows it: later ones begin
/// as the newest known.
pub(crate) fn subscription_version(subscription: &Bytes) -> Result<i16, ConsumerProtocolError> {
    version::<ConsumerProtocolSubscription>(&mut Reader::new(subscription.clone()))
}

/// Reads a member's subscription.
pub(crate) fn decode_subscription(
    subscription: &Bytes,
) -> Result<ConsumerProtocolSubscription, ConsumerProtocolError> {
    decode(subscription)
}

/// Reads a member's assignment.
pub(super) fn decode_assignment(
    assignment: &Bytes,
) -> Result<ConsumerProtocolAssignment, ConsumerProtocolError> {
    decode(assignment)
}

/// Writes a member's assignment in this version. Topics that are gone are left out.
pub(crate) fn encode_assignment<'p, P>(
    partitions: impl IntoIterator<Item = (&'p Uuid, P)>,
    version: i16,
    metadata: &dyn CoordinatorMetadata,
) -> Result<Bytes, EncodeError>
where
    P: IntoIterator<Item = &'p i32>,
{
    let of_topic = |(topic_id, partitions): (&'p Uuid, P)| {
        let topic = metadata.topic_by_id(*topic_id)?;
        let partitions = partitions.into_iter().copied().collect();
        Some(TopicPartition { topic: topic.name, partitions })
    };
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: partitions.into_iter().filter_map(of_topic).collect(),
        user_data: None,
    };
    let body = assignment.to_bytes(version)?;
    let mut bytes = BytesMut::with_capacity(2 + body.len());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes.freeze())
}

/// The assignment with ids for names. Topics that do not exist are left out.
pub(super) fn to_member_assignment(
    assignment: &ConsumerProtocolAssignment,
    metadata: &dyn CoordinatorMetadata,
) -> MemberAssignment {
    let of_topic = |topic: &TopicPartition| {
        let id = metadata.topic(&topic.topic)?.id;
        Some((id, topic.partitions.iter().copied().collect()))
    };
    assignment.assigned_partitions.iter().filter_map(of_topic).collect()
}

/// What a subscription says its member has, as a heartbeat would say it.
pub(crate) fn owned_partitions(
    subscription: &ConsumerProtocolSubscription,
    metadata: &dyn CoordinatorMetadata,
) -> Vec<TopicPartitions> {
    let of_topic = |owned: &OwnedPartition| {
        let topic_id = metadata.topic(&owned.topic)?.id;
        Some(TopicPartitions { topic_id, partitions: owned.partitions.clone(), ..Default::default() })
    };
    subscription.owned_partitions.iter().filter_map(of_topic).collect()
}

/// The rack of a subscription; an empty one is none.
pub(crate) fn rack_of(subscription: &ConsumerProtocolSubscription) -> Option<&ByteString> {
    subscription.rack_id.as_ref().filter(|rack| !rack.is_empty())
}

fn decode<M: Message>(bytes: &Bytes) -> Result<M, ConsumerProtocolError> {
    let mut r = Reader::new(bytes.clone());
    let version = version::<M>(&mut r)?;
    Ok(M::decode(&mut r, version)?)
}

fn version<M: Message>(r: &mut Reader) -> Result<i16, ConsumerProtocolError> {
    let version = r.i16()?;
    match version < M::MIN_VERSION {
        true => Err(ConsumerProtocolError::Version(version)),
        false => Ok(version.min(M::MAX_VERSION)),
    }
}

#[cfg(test)]
#[path = "consumer_protocol_test.rs"]
mod tests;

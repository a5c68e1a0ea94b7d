//! What consumers put into the group protocol's opaque bytes: a version, then a message.

use bytes::Bytes;
use ottla_common::TopicPartition;
use ottla_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ottla_protocol::messages::{consumer_protocol_assignment, consumer_protocol_subscription};
use ottla_protocol::{DecodeError, EncodeError, Message, Reader, Writer};

use crate::partitions::by_topic;

fn encode<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::default();
    w.i16(version);
    message.encode(&mut w, version)?;
    Ok(w.into_bytes())
}

/// Versions only ever add fields at the end, so a newer one is read as the newest we know.
fn decode<M: Message>(bytes: &Bytes) -> Result<M, DecodeError> {
    let mut r = Reader::new(bytes.clone());
    let version = r.i16()?.min(M::MAX_VERSION);
    M::decode(&mut r, version)
}

/// The topics a member wants.
pub(crate) fn encode_subscription(
    topics: impl IntoIterator<Item = impl AsRef<str>>,
    owned: &[TopicPartition],
    generation: i32,
) -> Result<Bytes, EncodeError> {
    let mut topics: Vec<_> = topics.into_iter().map(|t| t.as_ref().into()).collect();
    topics.sort();
    let owned = by_topic(owned.iter().map(|tp| (tp, ())), |partition, ()| partition);
    let owned_partitions = owned.into_iter().map(|(topic, partitions)| {
        consumer_protocol_subscription::TopicPartition { topic, partitions, ..Default::default() }
    });
    let subscription = ConsumerProtocolSubscription {
        topics,
        owned_partitions: owned_partitions.collect(),
        generation_id: generation,
        ..Default::default()
    };
    encode(&subscription, ConsumerProtocolSubscription::MAX_VERSION)
}

pub(crate) fn decode_subscription(bytes: &Bytes) -> Result<ConsumerProtocolSubscription, DecodeError> {
    decode(bytes)
}

/// The partitions a member gets.
pub(crate) fn encode_assignment(partitions: &[TopicPartition]) -> Result<Bytes, EncodeError> {
    let topics = by_topic(partitions.iter().map(|tp| (tp, ())), |partition, ()| partition);
    let assigned_partitions = topics.into_iter().map(|(topic, partitions)| {
        consumer_protocol_assignment::TopicPartition { topic, partitions, ..Default::default() }
    });
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: assigned_partitions.collect(),
        ..Default::default()
    };
    encode(&assignment, ConsumerProtocolAssignment::MAX_VERSION)
}

/// No bytes mean no partitions.
pub(crate) fn decode_assignment(bytes: &Bytes) -> Result<Vec<TopicPartition>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let assignment: ConsumerProtocolAssignment = decode(bytes)?;
    let topics = assignment.assigned_partitions.iter();
    Ok(topics.flat_map(|t| t.partitions.iter().map(|p| TopicPartition::new(&*t.topic, *p))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let partitions =
            vec![TopicPartition::new("a", 0), TopicPartition::new("a", 2), TopicPartition::new("b", 1)];
        let bytes = encode_assignment(&partitions).unwrap();
        assert_eq!(decode_assignment(&bytes).unwrap(), partitions);
        let bytes = encode_subscription(["b", "a"], &partitions, 3).unwrap();
        let read = decode_subscription(&bytes).unwrap();
        assert_eq!((read.topics.len(), read.generation_id, read.owned_partitions.len()), (2, 3, 2));
        assert_eq!(decode_assignment(&Bytes::new()).unwrap(), vec![]);
        assert!(decode_assignment(&Bytes::from_static(b"\0")).is_err());
    }
}

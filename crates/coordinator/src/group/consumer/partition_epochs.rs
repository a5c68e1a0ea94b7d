use std::collections::BTreeMap;

use ottla_common::Uuid;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions as OwnedTopicPartitions;
use ottla_protocol::records::group::consumer_group_current_member_assignment_value::TopicPartitions;

/// The partitions that a member has, each with the epoch in which it got it (KIP-1251).
pub type PartitionEpochs = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// Reads partitions from a record. Records of releases before 4.3 have no epochs: then it is the
/// member's, which for a static member that is away (-2) counts as 0.
pub(super) fn from_record(topics: &[TopicPartitions], member_epoch: i32) -> PartitionEpochs {
    let default = member_epoch.max(0);
    let of_topic = |topic: &TopicPartitions| {
        let epochs = topic.assignment_epochs.as_deref().unwrap_or_default();
        // Epochs that are not one for each partition say nothing.
        let paired = epochs.len() == topic.partitions.len();
        let epoch = |i: usize| epochs.get(i).copied().filter(|_| paired).unwrap_or(default);
        let indexes = topic.partitions.iter().enumerate();
        let partitions: BTreeMap<i32, i32> = indexes.map(|(i, index)| (*index, epoch(i))).collect();
        (topic.topic_id, partitions)
    };
    topics.iter().map(of_topic).collect()
}

/// Partitions as records hold them.
pub(super) fn to_record(partitions: &PartitionEpochs) -> Vec<TopicPartitions> {
    let of_topic = |(topic_id, epochs): (&Uuid, &BTreeMap<i32, i32>)| TopicPartitions {
        topic_id: *topic_id,
        partitions: epochs.keys().copied().collect(),
        assignment_epochs: Some(epochs.values().copied().collect()),
        ..Default::default()
    };
    partitions.iter().map(of_topic).collect()
}

/// The epoch in which the member got this partition, if it has it.
pub(super) fn epoch_of(partitions: &PartitionEpochs, topic_id: Uuid, partition: i32) -> Option<i32> {
    partitions.get(&topic_id)?.get(&partition).copied()
}

/// Whether the member says that it still has one of these partitions. Who says nothing may have them.
pub(super) fn owns_any(owned: Option<&[OwnedTopicPartitions]>, partitions: &PartitionEpochs) -> bool {
    let Some(owned) = owned else { return true };
    owned.iter().any(|topic| {
        let of_topic = partitions.get(&topic.topic_id);
        of_topic.is_some_and(|of_topic| topic.partitions.iter().any(|p| of_topic.contains_key(p)))
    })
}

/// Whether the member says that it has nothing but some of these partitions.
pub(super) fn is_subset(owned: Option<&[OwnedTopicPartitions]>, partitions: &PartitionEpochs) -> bool {
    let Some(owned) = owned else { return false };
    owned.iter().all(|topic| {
        let of_topic = partitions.get(&topic.topic_id);
        of_topic.is_some_and(|of_topic| topic.partitions.iter().all(|p| of_topic.contains_key(p)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(partitions: &[i32], epochs: Option<&[i32]>) -> TopicPartitions {
        TopicPartitions {
            topic_id: Uuid::from_u128(9),
            partitions: partitions.to_vec(),
            assignment_epochs: epochs.map(<[i32]>::to_vec),
            ..Default::default()
        }
    }

    #[test]
    fn records_without_epochs_mean_the_members() {
        let of = |topic, member_epoch| from_record(&[topic], member_epoch)[&Uuid::from_u128(9)].clone();
        assert_eq!(of(topic(&[1, 2], Some(&[5, 6])), 9), BTreeMap::from([(1, 5), (2, 6)]));
        assert_eq!(of(topic(&[1, 2], Some(&[5])), 9), BTreeMap::from([(1, 9), (2, 9)]));
        assert_eq!(of(topic(&[1], None), 9), BTreeMap::from([(1, 9)]));
        assert_eq!(of(topic(&[1], Some(&[])), -2), BTreeMap::from([(1, 0)]));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let partitions = PartitionEpochs::from([(Uuid::from_u128(9), BTreeMap::from([(0, 3), (4, 7)]))]);
        assert_eq!(from_record(&to_record(&partitions), 1), partitions);
    }

    #[test]
    fn who_says_nothing_may_own_everything() {
        let partitions = PartitionEpochs::from([(Uuid::from_u128(9), BTreeMap::from([(0, 3)]))]);
        assert!(owns_any(None, &partitions) && !is_subset(None, &partitions));
        assert!(!owns_any(Some(&[]), &partitions) && is_subset(Some(&[]), &partitions));
        let owned = |partition| OwnedTopicPartitions {
            topic_id: Uuid::from_u128(9),
            partitions: vec![partition],
            ..Default::default()
        };
        assert!(owns_any(Some(&[owned(0)]), &partitions) && is_subset(Some(&[owned(0)]), &partitions));
        assert!(!owns_any(Some(&[owned(1)]), &partitions) && !is_subset(Some(&[owned(1)]), &partitions));
    }
}

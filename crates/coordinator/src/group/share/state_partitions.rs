use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::records::group::ShareGroupStatePartitionMetadataValue;
use ottla_protocol::records::group::share_group_state_partition_metadata_value::{
    TopicInfo, TopicPartitionsInfo,
};

use crate::group::modern::MemberAssignment;
use crate::group::owned;
use crate::metadata::CoordinatorMetadata;

/// Partitions of a topic, and its name, which the log keeps for whoever reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicPartitions {
    /// The topic's name.
    pub name: ByteString,
    /// The partitions.
    pub partitions: BTreeSet<i32>,
}

/// What the share coordinator knows of a group, as far as the group knows: each partition goes from
/// initializing to initialized, and a topic from there to deleting and away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatePartitions {
    /// The share coordinator was asked to begin with these, and did not say that it has.
    pub initializing: BTreeMap<Uuid, TopicPartitions>,
    /// These may be given to members.
    pub initialized: BTreeMap<Uuid, TopicPartitions>,
    /// The share coordinator was asked to forget these topics, and did not say that it has.
    pub deleting: BTreeMap<Uuid, ByteString>,
}

/// The name of a topic that nobody knows any more.
fn unknown_name() -> ByteString {
    ByteString::from_static("<UNKNOWN>")
}

impl StatePartitions {
    pub(super) fn from_record(value: &ShareGroupStatePartitionMetadataValue) -> Self {
        let deleting = value.deleting_topics.iter();
        Self {
            initializing: topics_of(&value.initializing_topics),
            initialized: topics_of(&value.initialized_topics),
            deleting: deleting.map(|topic| (topic.topic_id, owned(&topic.topic_name))).collect(),
        }
    }

    pub(super) fn to_record(&self) -> ShareGroupStatePartitionMetadataValue {
        let deleting = self.deleting.iter().map(|(topic_id, name)| TopicInfo {
            topic_id: *topic_id,
            topic_name: name.clone(),
            ..Default::default()
        });
        ShareGroupStatePartitionMetadataValue {
            initializing_topics: infos_of(&self.initializing),
            initialized_topics: infos_of(&self.initialized),
            deleting_topics: deleting.collect(),
            ..Default::default()
        }
    }

    /// Whether something of the topic was ever asked for.
    pub(in crate::group) fn knows(&self, topic_id: Uuid) -> bool {
        self.initialized.contains_key(&topic_id) || self.initializing.contains_key(&topic_id)
    }

    /// The share coordinator is asked to begin with these. What is to begin is no longer to go.
    pub(in crate::group) fn with_initializing(&self, topics: &BTreeMap<Uuid, TopicPartitions>) -> Self {
        let mut next = self.clone();
        merge(&mut next.initializing, topics);
        next.deleting.retain(|topic_id, _| !next.initializing.contains_key(topic_id));
        next
    }

    /// The share coordinator has begun with these.
    pub(in crate::group) fn with_initialized(
        &self,
        partitions: &MemberAssignment,
        metadata: &dyn CoordinatorMetadata,
    ) -> Self {
        let name = |topic_id: &Uuid| match metadata.topic_by_id(*topic_id) {
            Some(topic) => topic.name,
            None => self.initializing.get(topic_id).map_or_else(unknown_name, |topic| topic.name.clone()),
        };
        let topics = partitions.iter().map(|(topic_id, partitions)| {
            (*topic_id, TopicPartitions { name: name(topic_id), partitions: partitions.clone() })
        });
        let mut next = self.without_initializing(partitions);
        merge(&mut next.initialized, &topics.collect());
        next
    }

    /// The share coordinator has not begun with these, and is to be asked another time.
    pub(in crate::group) fn without_initializing(&self, partitions: &MemberAssignment) -> Self {
        let mut next = self.clone();
        for (topic_id, partitions) in partitions {
            let Some(topic) = next.initializing.get_mut(topic_id) else { continue };
            topic.partitions.retain(|partition| !partitions.contains(partition));
            if topic.partitions.is_empty() {
                next.initializing.remove(topic_id);
            }
        }
        next
    }

    /// The share coordinator is asked to forget everything. Beside what is to go from now on this is what
    /// was to go before: should the answer have got lost, asking again does no harm. Topics that are
    /// gone went without being asked for.
    pub(in crate::group) fn deletable(
        &self,
        metadata: &dyn CoordinatorMetadata,
    ) -> BTreeMap<Uuid, TopicPartitions> {
        let mut topics = self.initialized.clone();
        merge(&mut topics, &self.initializing);
        for topic_id in self.deleting.keys() {
            let Some(topic) = metadata.topic_by_id(*topic_id) else { continue };
            let partitions = (0..topic.num_partitions).collect();
            let topic = TopicPartitions { name: topic.name, partitions };
            merge(&mut topics, &BTreeMap::from([(*topic_id, topic)]));
        }
        topics
    }

    /// These topics are gone from the cluster, and the share coordinator forgot them by itself.
    pub(in crate::group) fn without_topics(&self, topic_ids: &BTreeSet<Uuid>) -> Self {
        let mut next = self.clone();
        next.initializing.retain(|topic_id, _| !topic_ids.contains(topic_id));
        next.initialized.retain(|topic_id, _| !topic_ids.contains(topic_id));
        next.deleting.retain(|topic_id, _| !topic_ids.contains(topic_id));
        next
    }

    /// The partitions that may be given to members.
    pub(in crate::group) fn assignable(&self) -> MemberAssignment {
        let topics = self.initialized.iter();
        topics.map(|(topic_id, topic)| (*topic_id, topic.partitions.clone())).collect()
    }
}

/// Adds partitions to those that are there already; the newer name holds.
fn merge(into: &mut BTreeMap<Uuid, TopicPartitions>, topics: &BTreeMap<Uuid, TopicPartitions>) {
    for (topic_id, topic) in topics {
        let known = into.entry(*topic_id).or_default();
        known.name = topic.name.clone();
        known.partitions.extend(&topic.partitions);
    }
}

fn topics_of(infos: &[TopicPartitionsInfo]) -> BTreeMap<Uuid, TopicPartitions> {
    let topic = |info: &TopicPartitionsInfo| {
        let partitions = info.partitions.iter().copied().collect();
        (info.topic_id, TopicPartitions { name: owned(&info.topic_name), partitions })
    };
    infos.iter().map(topic).collect()
}

fn infos_of(topics: &BTreeMap<Uuid, TopicPartitions>) -> Vec<TopicPartitionsInfo> {
    let info = |(topic_id, topic): (&Uuid, &TopicPartitions)| TopicPartitionsInfo {
        topic_id: *topic_id,
        topic_name: topic.name.clone(),
        partitions: topic.partitions.iter().copied().collect(),
        ..Default::default()
    };
    topics.iter().map(info).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::modern::testing::{TestMetadata, topic_id};

    fn partitions(name: &'static str, partitions: &[i32]) -> TopicPartitions {
        let partitions = partitions.iter().copied().collect();
        TopicPartitions { name: ByteString::from_static(name), partitions }
    }

    fn ids(n: u128, of: &[i32]) -> MemberAssignment {
        MemberAssignment::from([(topic_id(n), of.iter().copied().collect())])
    }

    #[test]
    fn partitions_go_from_initializing_to_initialized() {
        let metadata = TestMetadata::of(&[("pagos", 3)]);
        let topics = BTreeMap::from([(topic_id(0), partitions("pagos", &[0, 1, 2]))]);
        let state = StatePartitions::default().with_initializing(&topics);
        let state = state.with_initialized(&ids(0, &[0, 2]), &metadata);
        assert_eq!(state.initializing, BTreeMap::from([(topic_id(0), partitions("pagos", &[1]))]));
        assert_eq!(state.initialized, BTreeMap::from([(topic_id(0), partitions("pagos", &[0, 2]))]));
        let state = state.without_initializing(&ids(0, &[1]));
        assert!(state.initializing.is_empty());
        assert_eq!(state.assignable(), ids(0, &[0, 2]));
        assert_eq!(StatePartitions::from_record(&state.to_record()), state);
    }

    #[test]
    fn what_begins_again_is_not_deleted() {
        let name = ByteString::from_static;
        let deleting = BTreeMap::from([(topic_id(0), name("pagos")), (topic_id(1), name("envios"))]);
        let state = StatePartitions { deleting, ..Default::default() };
        let state = state.with_initializing(&BTreeMap::from([(topic_id(0), partitions("pagos", &[0]))]));
        assert_eq!(state.deleting.keys().copied().collect::<Vec<_>>(), vec![topic_id(1)]);
    }

    #[test]
    fn everything_that_was_ever_asked_for_is_deleted() {
        let metadata = TestMetadata::of(&[("pagos", 3), ("envios", 2)]);
        let name = ByteString::from_static;
        let state = StatePartitions {
            initializing: BTreeMap::from([(topic_id(0), partitions("pagos", &[2]))]),
            initialized: BTreeMap::from([(topic_id(0), partitions("pagos", &[0]))]),
            deleting: BTreeMap::from([(topic_id(1), name("envios")), (topic_id(9), name("nada"))]),
        };
        let expected =
            [(topic_id(0), partitions("pagos", &[0, 2])), (topic_id(1), partitions("envios", &[0, 1]))];
        assert_eq!(state.deletable(&metadata), BTreeMap::from(expected));
        let state = state.without_topics(&BTreeSet::from([topic_id(0), topic_id(9)]));
        assert!(state.initializing.is_empty() && state.initialized.is_empty());
        assert_eq!(state.deleting.len(), 1);
    }
}

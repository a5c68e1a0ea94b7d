use std::sync::Arc;

use bytestring::ByteString;

use super::classic::ClassicGroup;
use super::consumer::{ConsumerGroup, ExistingGroup};
use super::share::{ShareGroup, ShareGroupLookup};
use super::streams::StreamsGroup;
use super::{GroupRecord, GroupType};

/// A group of whatever protocol.
#[derive(Debug, Clone)]
pub enum Group {
    /// Of the classic protocol, or without members and with offsets only.
    Classic(Arc<ClassicGroup>),
    /// Of the consumer protocol (KIP-848).
    Consumer(Arc<ConsumerGroup>),
    /// Whose members share partitions (KIP-932).
    Share(Arc<ShareGroup>),
    /// Of a Kafka Streams application (KIP-1071).
    Streams(Arc<StreamsGroup>),
}

impl Group {
    /// The protocol that the group uses.
    pub fn group_type(&self) -> GroupType {
        match self {
            Self::Classic(_) => GroupType::Classic,
            Self::Consumer(_) => GroupType::Consumer,
            Self::Share(_) => GroupType::Share,
            Self::Streams(_) => GroupType::Streams,
        }
    }

    /// Kafka's name of the state that the group is in.
    pub fn state_name(&self) -> &'static str {
        match self {
            Self::Classic(group) => group.state().name(),
            Self::Consumer(group) => group.state().name(),
            Self::Share(group) => group.state().name(),
            Self::Streams(group) => group.state().name(),
        }
    }

    /// Whether the group has no members.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty(),
            Self::Consumer(group) => group.is_empty(),
            Self::Share(group) => group.is_empty(),
            Self::Streams(group) => group.is_empty(),
        }
    }

    /// Whether the group reads the topic, or may do so for all we know.
    pub fn is_subscribed_to(&self, topic: &ByteString) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer(group) => group.is_subscribed_to(topic),
            Self::Share(group) => group.subscribed_topics().contains(topic),
            Self::Streams(group) => group.is_subscribed_to_topic(topic),
        }
    }

    /// The records that delete the group itself; its offsets have their own.
    pub fn tombstones(&self) -> Vec<GroupRecord> {
        match self {
            Self::Classic(group) => vec![GroupRecord::group_tombstone(group.group_id())],
            Self::Consumer(group) => group.tombstones().into_iter().map(GroupRecord::Consumer).collect(),
            Self::Share(group) => group.tombstones().into_iter().map(GroupRecord::Share).collect(),
            Self::Streams(group) => group.tombstones().into_iter().map(GroupRecord::Streams).collect(),
        }
    }

    /// The group as requests for consumer groups see it.
    pub(crate) fn as_consumer(group: Option<&Self>) -> ExistingGroup<'_> {
        match group {
            None => ExistingGroup::None,
            Some(Self::Classic(group)) => ExistingGroup::Classic(group),
            Some(Self::Consumer(group)) => ExistingGroup::Consumer(group),
            Some(Self::Share(_) | Self::Streams(_)) => ExistingGroup::Other,
        }
    }

    /// The group as requests for share groups see it.
    pub(crate) fn as_share(group: Option<&Self>) -> ShareGroupLookup<'_> {
        match group {
            None => ShareGroupLookup::Absent,
            Some(Self::Share(group)) => ShareGroupLookup::Share(group),
            Some(Self::Classic(_) | Self::Consumer(_) | Self::Streams(_)) => ShareGroupLookup::OtherType,
        }
    }
}

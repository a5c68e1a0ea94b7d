use std::sync::Arc;

use bytestring::ByteString;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::consumer::ConsumerGroupOverrides;
use super::share::ShareGroupOverrides;
use super::streams::{StreamsGroupConfigOverrides, StreamsGroupSoftStates};
use crate::metadata::{CoordinatorMetadata, NoTopics};

/// What a group's own configuration says (`kafka-configs --entity-type groups`).
#[derive(Debug, Clone, Default)]
pub struct GroupOverrides {
    /// As a consumer group.
    pub consumer: ConsumerGroupOverrides,
    /// As a share group.
    pub share: ShareGroupOverrides,
    /// As a streams group.
    pub streams: StreamsGroupConfigOverrides,
}

/// What a shard knows beside its log: the cluster around it, and what is under way. A new coordinator finds it
/// out again.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) metadata: Arc<dyn CoordinatorMetadata>,
    /// The version of the newest metadata in which there was a topic that there was not before.
    pub(crate) new_topics_version: i64,
    /// Groups whose regular expressions somebody is resolving.
    pub(crate) resolving: RedBlackTreeSetSync<ByteString>,
    pub(crate) streams: StreamsGroupSoftStates,
    overrides: RedBlackTreeMapSync<ByteString, Arc<GroupOverrides>>,
    no_overrides: Arc<GroupOverrides>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            metadata: Arc::new(NoTopics),
            new_topics_version: -1,
            resolving: RedBlackTreeSetSync::new_sync(),
            streams: StreamsGroupSoftStates::default(),
            overrides: RedBlackTreeMapSync::new_sync(),
            no_overrides: Arc::default(),
        }
    }
}

impl Surroundings {
    /// What this group's own configuration says.
    pub(crate) fn overrides(&self, group_id: &ByteString) -> &GroupOverrides {
        self.overrides.get(group_id).unwrap_or(&self.no_overrides)
    }

    /// The group has other configurations now; none of its own when `None`.
    pub(crate) fn set_overrides(&mut self, group_id: ByteString, overrides: Option<Arc<GroupOverrides>>) {
        match overrides {
            Some(overrides) => self.overrides.insert_mut(group_id, overrides),
            None => {
                self.overrides.remove_mut(&group_id);
            }
        }
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use thiserror::Error;

use super::{MemberAssignment, SubscriptionType};
use crate::metadata::CoordinatorMetadata;

/// What every member is to have, by member id. Members that are missing get nothing.
pub type GroupAssignment = BTreeMap<ByteString, MemberAssignment>;

/// What an assignor is told about a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberSpec {
    /// Where it runs. Kafka's own assignors of 4.4 take no note of it.
    pub rack_id: Option<ByteString>,
    /// The id that its configuration gave it.
    pub instance_id: Option<ByteString>,
    /// The topics that it reads, as far as they exist.
    pub subscribed_topic_ids: Arc<BTreeSet<Uuid>>,
    /// What it was to have so far.
    pub assignment: Arc<MemberAssignment>,
}

/// What an assignor is told about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSpec {
    /// The members, by id.
    pub members: BTreeMap<ByteString, MemberSpec>,
    /// Whether they all read the same.
    pub subscription_type: SubscriptionType,
    /// The partitions that may be assigned; `None` for all. Only share groups leave some out.
    pub assignable: Option<BTreeMap<Uuid, BTreeSet<i32>>>,
}

impl GroupSpec {
    /// Whether somebody may be given this partition.
    pub fn is_assignable(&self, topic_id: Uuid, partition: i32) -> bool {
        let Some(assignable) = &self.assignable else { return true };
        assignable.get(&topic_id).is_some_and(|partitions| partitions.contains(&partition))
    }
}

/// Divides the partitions of a group's topics among its members.
pub trait PartitionAssignor: Debug + Send + Sync {
    /// The name that members choose it by.
    fn name(&self) -> &'static str;

    /// What every member is to have.
    fn assign(
        &self,
        group: &GroupSpec,
        metadata: &dyn CoordinatorMetadata,
    ) -> Result<GroupAssignment, PartitionAssignorError>;
}

/// Why an assignor could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PartitionAssignorError {
    /// A member reads a topic that is gone.
    #[error("a member reads topic {0}, which does not exist")]
    UnknownTopic(Uuid),
}

/// How many partitions a topic has that an assignor was told of.
pub fn num_partitions(
    metadata: &dyn CoordinatorMetadata,
    topic_id: Uuid,
) -> Result<i32, PartitionAssignorError> {
    let topic = metadata.topic_by_id(topic_id).ok_or(PartitionAssignorError::UnknownTopic(topic_id))?;
    Ok(topic.num_partitions.max(0))
}

/// Finds the ids of topics by their names, each name once. Members that read the same share one set.
#[derive(Debug)]
pub struct TopicIdResolver<'a> {
    metadata: &'a dyn CoordinatorMetadata,
    ids: BTreeMap<ByteString, Option<Uuid>>,
    last: Option<(BTreeSet<ByteString>, Arc<BTreeSet<Uuid>>)>,
}

impl<'a> TopicIdResolver<'a> {
    /// Finds topics in here.
    pub fn new(metadata: &'a dyn CoordinatorMetadata) -> Self {
        Self { metadata, ids: BTreeMap::new(), last: None }
    }

    /// The ids of those topics that exist.
    pub fn resolve(&mut self, names: &BTreeSet<ByteString>) -> Arc<BTreeSet<Uuid>> {
        if let Some((last_names, last_ids)) = &self.last
            && last_names == names
        {
            return Arc::clone(last_ids);
        }
        let mut ids = BTreeSet::new();
        for name in names {
            let id = match self.ids.get(name) {
                Some(id) => *id,
                None => {
                    let id = self.metadata.topic(name).map(|topic| topic.id);
                    self.ids.insert(name.clone(), id);
                    id
                }
            };
            ids.extend(id);
        }
        let ids = Arc::new(ids);
        self.last = Some((names.clone(), Arc::clone(&ids)));
        ids
    }
}

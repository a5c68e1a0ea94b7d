//! Descriptions of streams groups' topologies (KIP-1331): what their members say that their applications look like,
//! for people to see.
//!
//! They are kept by a [`TopologyDescriptionPlugin`], outside of the log; a group's records say whether there is one.
//! Nobody can write to both at once. So a group is marked first as one whose description may or may not be kept, then
//! the plugin is asked, then the mark gives way to what came of it: see the shard's own words on
//! `topology_description_update`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use bytestring::ByteString;
use ottla_apis::context::BoxFuture;
use ottla_coordinator::group::streams::{
    StreamsDecision, StreamsGroup, StreamsGroupConfigOverrides, StreamsGroupContext, StreamsGroupSoftState,
    TopologyDescriptionError,
};
use ottla_coordinator::group::{Group, GroupChange, GroupCoordinatorShard, GroupRecord, GroupResult};
use ottla_coordinator::metadata::NoTopics;
use ottla_protocol::messages::streams_group_topology_description_update_request::TopologyDescription;
use thiserror::Error;

/// Kafka's name of the plugin that it brings along.
pub const IN_MEMORY_PLUGIN_CLASS: &str = "org.apache.kafka.server.streams.InMemoryTopologyDescriptionPlugin";

/// Why a description was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreTopologyDescriptionError {
    /// It never will be: nobody is asked for it again.
    #[error("{0}")]
    Permanent(String),
    /// It may be another time.
    #[error("{0}")]
    Transient(String),
}

/// Keeps descriptions of topologies, one for each group.
pub trait TopologyDescriptionPlugin: Debug + Send + Sync {
    /// Keeps the description of this epoch's topology in place of what there was.
    fn set_topology(
        &self,
        group_id: ByteString,
        topology_epoch: i32,
        description: TopologyDescription,
    ) -> BoxFuture<'_, Result<(), StoreTopologyDescriptionError>>;

    /// Forgets a group. To forget it again is no error.
    fn delete_topology(&self, group_id: ByteString) -> BoxFuture<'_, Result<(), TopologyDescriptionError>>;

    /// The description of this epoch's topology, if it is there.
    fn get_topology(
        &self,
        group_id: ByteString,
        topology_epoch: i32,
    ) -> BoxFuture<'_, Result<Option<TopologyDescription>, TopologyDescriptionError>>;
}

/// Keeps descriptions in memory, until the broker stops.
#[derive(Debug, Default)]
pub struct InMemoryTopologyDescriptions {
    by_group: Mutex<BTreeMap<ByteString, (i32, TopologyDescription)>>,
}

impl TopologyDescriptionPlugin for InMemoryTopologyDescriptions {
    fn set_topology(
        &self,
        group_id: ByteString,
        topology_epoch: i32,
        description: TopologyDescription,
    ) -> BoxFuture<'_, Result<(), StoreTopologyDescriptionError>> {
        let mut by_group = self.by_group.lock().unwrap_or_else(PoisonError::into_inner);
        by_group.insert(group_id, (topology_epoch, description));
        Box::pin(std::future::ready(Ok(())))
    }

    fn delete_topology(&self, group_id: ByteString) -> BoxFuture<'_, Result<(), TopologyDescriptionError>> {
        self.by_group.lock().unwrap_or_else(PoisonError::into_inner).remove(&group_id);
        Box::pin(std::future::ready(Ok(())))
    }

    fn get_topology(
        &self,
        group_id: ByteString,
        topology_epoch: i32,
    ) -> BoxFuture<'_, Result<Option<TopologyDescription>, TopologyDescriptionError>> {
        let by_group = self.by_group.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = by_group.get(&group_id).filter(|(epoch, _)| *epoch == topology_epoch);
        let description = kept.map(|(_, description)| description.clone());
        Box::pin(std::future::ready(Ok(description)))
    }
}

/// The streams group of this id.
pub(super) fn streams_group<'a>(
    shard: &'a GroupCoordinatorShard,
    group_id: &ByteString,
) -> Option<&'a StreamsGroup> {
    match shard.group(group_id)? {
        Group::Streams(group) => Some(group),
        Group::Classic(_) | Group::Consumer(_) | Group::Share(_) => None,
    }
}

/// Asks something about the description of a group's topology, for which neither topics nor the group's own
/// configuration matter.
pub(super) fn about_description<T>(
    shard: &GroupCoordinatorShard,
    now_ms: i64,
    group_id: &ByteString,
    ask: impl FnOnce(&StreamsGroupContext<'_>) -> T,
) -> T {
    ask(&StreamsGroupContext {
        now_ms,
        config: &shard.config().streams.of_group(&StreamsGroupConfigOverrides::default()),
        metadata: &NoTopics,
        group: streams_group(shard, group_id),
        soft: &StreamsGroupSoftState::default(),
    })
}

/// A decision about a description, in the words of the shard. It starts no timers.
pub(super) fn folded<T>(decision: StreamsDecision<T>) -> GroupResult<T> {
    let StreamsDecision { records, response, timers, changes } = decision;
    debug_assert!(timers.is_empty(), "descriptions have no timers");
    let mut result =
        GroupResult::with_records(records.into_iter().map(GroupRecord::Streams).collect(), response);
    result.changes = changes.into_iter().map(GroupChange::Streams).collect();
    result
}

//! Pushed, told and forgotten: descriptions of streams groups' topologies between members, groups and the plugin.

use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_coordinator::group::streams::{
    StreamsGroupHeartbeatResult, TopologyPushBackoff, attach_topology_description,
};
use ottla_coordinator::group::{GroupCoordinatorShard, GroupResult};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::streams_group_describe_response::DescribedGroup;
use ottla_protocol::messages::{
    StreamsGroupTopologyDescriptionUpdateRequest, StreamsGroupTopologyDescriptionUpdateResponse,
};
use tracing::warn;

use super::GroupCoordinatorService;
use super::refusal::Refusal;
use super::topology_descriptions::{StoreTopologyDescriptionError, about_description, folded, streams_group};

/// Of a stored description: there is none.
const NOT_STORED: i32 = -1;
/// Of a stored description: who knows. No topology has this epoch, so attempts to delete are counted under it.
const UNCERTAIN: i32 = -2;

const LOGGER: &str = "org.apache.kafka.coordinator.group.streams.StreamsGroupTopologyDescriptionManager";

/// Requests.
impl GroupCoordinatorService {
    /// A member says what its topology looks like.
    pub async fn streams_group_topology_description_update(
        &self,
        request: StreamsGroupTopologyDescriptionUpdateRequest,
    ) -> StreamsGroupTopologyDescriptionUpdateResponse {
        match self.update_topology_description(request).await {
            Ok(()) => StreamsGroupTopologyDescriptionUpdateResponse::default(),
            Err(Refusal { error, message }) => StreamsGroupTopologyDescriptionUpdateResponse {
                error_code: error.code(),
                error_message: message,
                ..Default::default()
            },
        }
    }

    async fn update_topology_description(
        &self,
        request: StreamsGroupTopologyDescriptionUpdateRequest,
    ) -> Result<(), Refusal> {
        let partition = self.partition_of(&request.group_id)?;
        let Some(plugin) = &self.partners.topology_descriptions else {
            let message = "The broker has no plugin that keeps descriptions of topologies.";
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
        };
        let (group_id, epoch) = (request.group_id.clone(), request.topology_epoch);
        let (now_ms, asked) = (self.time.now_ms(), request.clone());
        let validate = move |committed: &GroupCoordinatorShard, _: &GroupCoordinatorShard| {
            about_description(committed, now_ms, &asked.group_id, |streams| {
                streams.validate_topology_description_update(&asked).map_err(Refusal::from)
            })
        };
        self.read(partition, validate).await??;
        if !self.mark_before_set(partition, &group_id).await? {
            return Err(Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {group_id} not found.")));
        }
        match plugin.set_topology(group_id.clone(), epoch, request.topology_description).await {
            Ok(()) => self.note_stored(partition, group_id, epoch).await,
            Err(StoreTopologyDescriptionError::Permanent(message)) => {
                self.note_failed(partition, group_id, epoch).await?;
                Err(Refusal::new(ErrorCode::StreamsTopologyDescriptionUpdateFailed, message))
            }
            Err(StoreTopologyDescriptionError::Transient(message)) => {
                self.push_backoff().extend(self.time.now_ms(), rand::random(), &group_id, epoch);
                Err(Refusal::new(ErrorCode::StreamsTopologyDescriptionUpdateFailed, message))
            }
        }
    }

    /// Has the answer ask for a description that is wanted.
    pub(super) fn maybe_require_description(
        &self,
        api_version: i16,
        member_epoch: i32,
        group_id: &ByteString,
        result: &mut StreamsGroupHeartbeatResult,
    ) {
        if self.partners.topology_descriptions.is_some() {
            let (now_ms, random) = (self.time.now_ms(), rand::random());
            self.push_backoff().maybe_require_description(
                now_ms,
                random,
                api_version,
                member_epoch,
                group_id,
                result,
            );
        }
    }

    /// Adds the description of this epoch's topology to what is told of a group.
    pub(super) async fn attach_description(&self, group: &mut DescribedGroup, stored_epoch: i32) {
        let Some(plugin) = &self.partners.topology_descriptions else { return };
        let stored = plugin.get_topology(group.group_id.clone(), stored_epoch).await;
        if let Err(failure) = &stored {
            let group_id = &group.group_id;
            warn!(target: LOGGER, "Topology description plugin getTopology failed for group {group_id}: {failure}");
        }
        let stored = stored.as_ref().map(Option::as_ref).map_err(Clone::clone);
        attach_topology_description(group, stored);
    }

    fn push_backoff(&self) -> MutexGuard<'_, TopologyPushBackoff> {
        self.push_backoff.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What groups note.
impl GroupCoordinatorService {
    async fn mark_before_set(&self, partition: i32, group_id: &ByteString) -> Result<bool, Refusal> {
        let group_id = group_id.clone();
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            let mark = about_description(shard, now_ms, &group_id, |streams| {
                streams.mark_topology_description_before_set()
            });
            Ok(folded(mark))
        };
        self.write_or_refuse(partition, decide).await
    }

    async fn note_stored(&self, partition: i32, group_id: ByteString, epoch: i32) -> Result<(), Refusal> {
        let asked = group_id.clone();
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            let note = about_description(shard, now_ms, &asked, |streams| {
                streams.topology_description_stored(&asked, epoch)
            });
            note.map(folded).map_err(Refusal::from)
        };
        let noted = self.write_or_refuse(partition, decide).await;
        self.after_note(&group_id, epoch, noted)
    }

    async fn note_failed(&self, partition: i32, group_id: ByteString, epoch: i32) -> Result<(), Refusal> {
        let asked = group_id.clone();
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            let note = about_description(shard, now_ms, &asked, |streams| {
                streams.topology_description_failed(&asked, epoch)
            });
            note.map(folded).map_err(Refusal::from)
        };
        let noted = self.write_or_refuse(partition, decide).await;
        self.after_note(&group_id, epoch, noted)
    }

    /// When a group could not note what happened, it says that nobody knows: a member is asked again, later. Another
    /// coordinator asks on its own account.
    fn after_note(
        &self,
        group_id: &ByteString,
        epoch: i32,
        noted: Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut backoff = self.push_backoff();
        match noted.as_ref().map_err(|refusal| refusal.error) {
            Ok(()) => backoff.clear(group_id, epoch),
            Err(ErrorCode::GroupIdNotFound) => backoff.clear_group(group_id),
            Err(
                ErrorCode::NotCoordinator
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable,
            ) => {}
            Err(_) => backoff.extend(self.time.now_ms(), rand::random(), group_id, epoch),
        }
        noted
    }
}

/// Groups that go, and their descriptions with them.
impl GroupCoordinatorService {
    /// Has the plugin forget a group that has no members. `false`: there was nothing to forget, or the group came to
    /// life again.
    pub(super) async fn forget_description(
        &self,
        partition: i32,
        group_id: &ByteString,
    ) -> Result<bool, Refusal> {
        let Some(plugin) = &self.partners.topology_descriptions else { return Ok(false) };
        let asked = group_id.clone();
        let mark = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            let mark = about_description(shard, now_ms, &asked, |streams| {
                streams.mark_topology_description_before_delete()
            });
            Ok(folded(mark))
        };
        if !self.write_or_refuse(partition, mark).await? {
            return Ok(false);
        }
        if let Err(failure) = plugin.delete_topology(group_id.clone()).await {
            warn!(target: LOGGER, "Topology description plugin deleteTopology failed for group {group_id}: {failure}");
            let message = "Topology description plugin failed to delete the topology.";
            return Err(Refusal::new(ErrorCode::GroupDeletionFailed, message));
        }
        self.push_backoff().clear_group(group_id);
        let asked = group_id.clone();
        let note = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            let note =
                about_description(shard, now_ms, &asked, |streams| streams.topology_description_deleted());
            Ok::<GroupResult<()>, Refusal>(folded(note))
        };
        self.write_or_refuse(partition, note).await?;
        Ok(true)
    }

    /// Before a classic member may make a streams group without members its own, the group's description must go. An
    /// error asks the member to try again.
    pub(super) async fn forget_description_before_join(
        &self,
        partition: i32,
        group_id: &ByteString,
    ) -> Result<(), ErrorCode> {
        if self.partners.topology_descriptions.is_none() {
            return Ok(());
        }
        let asked = group_id.clone();
        let look = move |_: &GroupCoordinatorShard, newest: &GroupCoordinatorShard| {
            streams_group(newest, &asked).is_some_and(|group| {
                group.is_empty() && group.stored_description_topology_epoch() != NOT_STORED
            })
        };
        if !self.read(partition, look).await? {
            return Ok(());
        }
        let again = ErrorCode::RebalanceInProgress;
        // Classic members try again at once, which is too often for a plugin that fails.
        if self.push_backoff().is_active(self.time.now_ms(), group_id, UNCERTAIN) {
            return Err(again);
        }
        match self.forget_description(partition, group_id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(again),
            Err(_) => {
                let mut backoff = self.push_backoff();
                // Nobody is left who could be asked for a description.
                backoff.clear_group(group_id);
                backoff.extend(self.time.now_ms(), rand::random(), group_id, UNCERTAIN);
                Err(again)
            }
        }
    }

    /// Begins to look, as often as for offsets that expired, for groups that nothing is left of but a description. It
    /// ends with the service.
    pub fn start_topology_description_cleanup(self: &Arc<Self>) {
        if self.partners.topology_descriptions.is_none() {
            return;
        }
        let interval_ms = self.config.offsets_retention_check_interval_ms.max(1);
        let interval = Duration::from_millis(u64::try_from(interval_ms).unwrap_or(u64::MAX));
        let service = Arc::downgrade(self);
        self.tasks.spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(service) = Weak::upgrade(&service) else { return };
                service.clean_up_topology_descriptions().await;
            }
        });
    }

    pub(super) async fn clean_up_topology_descriptions(&self) {
        for partition in self.runtime().led_partitions() {
            let look = |committed: &GroupCoordinatorShard, _: &GroupCoordinatorShard| left_overs(committed);
            // A partition that is loading or moved on is cleaned up another time.
            for group_id in self.read(partition, look).await.unwrap_or_default() {
                // What fails is tried again the next time.
                let _ = self.forget_description(partition, &group_id).await;
            }
        }
    }
}

/// Streams groups of which nothing is left but, maybe, a description.
fn left_overs(committed: &GroupCoordinatorShard) -> Vec<ByteString> {
    let is_left_over = |group_id: &ByteString| {
        let group = streams_group(committed, group_id);
        group.is_some_and(|group| {
            group.is_empty()
                && group.stored_description_topology_epoch() != NOT_STORED
                && !has_offsets(committed, group_id)
        })
    };
    committed
        .groups()
        .map(|(group_id, _)| group_id)
        .filter(|group_id| is_left_over(group_id))
        .cloned()
        .collect()
}

fn has_offsets(committed: &GroupCoordinatorShard, group_id: &ByteString) -> bool {
    let all = OffsetFetchRequestGroup { group_id: group_id.clone(), topics: None, ..Default::default() };
    committed.fetch_offsets(&all, false).is_ok_and(|response| !response.topics.is_empty())
}

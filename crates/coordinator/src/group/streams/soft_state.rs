use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytestring::ByteString;
use ottla_protocol::messages::streams_group_heartbeat_request::TaskOffset;
use rpds::RedBlackTreeMapSync;

use super::error::StreamsGroupError;
use super::group::StreamsGroup;
use super::record::StreamsGroupRecord;
use super::topics::ConfiguredTopology;
use crate::group::owned;

static NOTHING: LazyLock<StreamsGroupSoftState> = LazyLock::new(StreamsGroupSoftState::default);

/// What is known of a group without being in the log. A new coordinator starts without it: members tell
/// again, and topics are looked at again.
#[derive(Debug, Clone)]
pub struct StreamsGroupSoftState {
    pub(crate) configured: Option<Configured>,
    pub(crate) initial_rebalance_pending: bool,
    pub(crate) shutdown_requested_by: Option<ByteString>,
    pub(crate) endpoint_information_epoch: i32,
    pub(crate) task_offsets: RedBlackTreeMapSync<ByteString, Arc<MemberTaskOffsets>>,
}

/// The topics of a topology, as they were when the cluster's metadata had this version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Configured {
    pub(crate) metadata_version: i64,
    pub(crate) topology: Arc<ConfiguredTopology>,
}

/// How far the tasks of a member are behind, as it says: per subtopology and partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberTaskOffsets {
    /// The sum of the offsets up to which the task's state has the changelog topics.
    pub task_offsets: BTreeMap<ByteString, BTreeMap<i32, i64>>,
    /// The sum of those topics' end offsets.
    pub task_end_offsets: BTreeMap<ByteString, BTreeMap<i32, i64>>,
}

/// A change of what is known of a group without being in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamsGroupChange {
    /// The group.
    pub group_id: ByteString,
    pub(crate) change: SoftChange,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SoftChange {
    Configured(Configured),
    InitialRebalancePending(bool),
    ShutdownRequestedBy(ByteString),
    EndpointInformationEpoch(i32),
    TaskOffsets(ByteString, Arc<MemberTaskOffsets>),
}

/// The soft state of every streams group of a shard.
#[derive(Debug, Clone)]
pub struct StreamsGroupSoftStates {
    groups: RedBlackTreeMapSync<ByteString, Arc<StreamsGroupSoftState>>,
}

impl Default for StreamsGroupSoftState {
    fn default() -> Self {
        Self {
            configured: None,
            initial_rebalance_pending: false,
            shutdown_requested_by: None,
            endpoint_information_epoch: 0,
            task_offsets: RedBlackTreeMapSync::new_sync(),
        }
    }
}

impl Default for StreamsGroupSoftStates {
    fn default() -> Self {
        Self { groups: RedBlackTreeMapSync::new_sync() }
    }
}

impl StreamsGroupSoftStates {
    /// What is known of this group; nothing, when it was never talked about.
    pub fn of(&self, group_id: &ByteString) -> &StreamsGroupSoftState {
        self.groups.get(group_id).map_or(&*NOTHING, |soft| &**soft)
    }

    /// Takes in a change.
    pub fn apply(&mut self, change: StreamsGroupChange) {
        let mut soft = StreamsGroupSoftState::clone(self.of(&change.group_id));
        match change.change {
            SoftChange::Configured(configured) => soft.configured = Some(configured),
            SoftChange::InitialRebalancePending(pending) => soft.initial_rebalance_pending = pending,
            // Whoever asked first is named.
            SoftChange::ShutdownRequestedBy(member_id) => {
                soft.shutdown_requested_by.get_or_insert(member_id);
            }
            SoftChange::EndpointInformationEpoch(epoch) => soft.endpoint_information_epoch = epoch,
            SoftChange::TaskOffsets(member_id, offsets) => soft.task_offsets.insert_mut(member_id, offsets),
        }
        self.put(&change.group_id, soft);
    }

    /// Follows a record, after which the group is this.
    pub fn on_replay(&mut self, record: &StreamsGroupRecord, group: Option<&StreamsGroup>) {
        let group_id = record.group_id();
        if !record.is_tombstone() || !self.groups.contains_key(group_id) {
            return;
        }
        let mut soft = StreamsGroupSoftState::clone(self.of(group_id));
        match group {
            None => soft = StreamsGroupSoftState::default(),
            Some(group) if group.is_empty() => soft.shutdown_requested_by = None,
            Some(_) => {}
        }
        if let StreamsGroupRecord::MemberMetadata { member_id, .. } = record {
            soft.task_offsets.remove_mut(member_id);
        }
        self.put(group_id, soft);
    }

    fn put(&mut self, group_id: &ByteString, soft: StreamsGroupSoftState) {
        match soft.is_nothing() {
            true => {
                self.groups.remove_mut(group_id);
            }
            false => self.groups.insert_mut(owned(group_id), Arc::new(soft)),
        }
    }
}

impl StreamsGroupSoftState {
    /// What this member said about its tasks.
    pub fn task_offsets(&self, member_id: &ByteString) -> Option<&MemberTaskOffsets> {
        self.task_offsets.get(member_id).map(|offsets| &**offsets)
    }

    /// Whether the first assignment of the group waits for more members.
    pub fn is_initial_rebalance_pending(&self) -> bool {
        self.initial_rebalance_pending
    }

    fn is_nothing(&self) -> bool {
        self.configured.is_none()
            && !self.initial_rebalance_pending
            && self.shutdown_requested_by.is_none()
            && self.endpoint_information_epoch == 0
            && self.task_offsets.is_empty()
    }
}

impl MemberTaskOffsets {
    /// What a member says now. Silence about one of the two means that it is what it was.
    pub(crate) fn updated(
        &self,
        offsets: Option<&[TaskOffset]>,
        end_offsets: Option<&[TaskOffset]>,
    ) -> Result<Self, StreamsGroupError> {
        Ok(Self {
            task_offsets: offsets.map_or_else(|| Ok(self.task_offsets.clone()), per_task)?,
            task_end_offsets: end_offsets.map_or_else(|| Ok(self.task_end_offsets.clone()), per_task)?,
        })
    }
}

fn per_task(offsets: &[TaskOffset]) -> Result<BTreeMap<ByteString, BTreeMap<i32, i64>>, StreamsGroupError> {
    let mut tasks: BTreeMap<ByteString, BTreeMap<i32, i64>> = BTreeMap::new();
    for TaskOffset { subtopology_id, partition, offset, .. } in offsets {
        let partitions = tasks.entry(owned(subtopology_id)).or_default();
        if partitions.insert(*partition, *offset).is_some() {
            let reason = format!("task {subtopology_id}_{partition} has two offsets");
            return Err(StreamsGroupError::InvalidRequest(reason));
        }
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use super::super::testing::GROUP;
    use super::*;

    fn change(change: SoftChange) -> StreamsGroupChange {
        StreamsGroupChange { group_id: GROUP.into(), change }
    }

    #[test]
    fn what_nobody_talks_about_takes_no_room() {
        let mut states = StreamsGroupSoftStates::default();
        states.apply(change(SoftChange::InitialRebalancePending(true)));
        assert!(states.of(&GROUP.into()).is_initial_rebalance_pending());
        states.apply(change(SoftChange::InitialRebalancePending(false)));
        assert!(states.groups.is_empty());
    }

    #[test]
    fn whoever_asked_for_a_shutdown_first_is_named_until_the_group_is_empty() {
        let mut states = StreamsGroupSoftStates::default();
        states.apply(change(SoftChange::ShutdownRequestedBy("a".into())));
        states.apply(change(SoftChange::ShutdownRequestedBy("b".into())));
        states.apply(change(SoftChange::EndpointInformationEpoch(4)));
        assert_eq!(states.of(&GROUP.into()).shutdown_requested_by, Some("a".into()));
        let group = StreamsGroup::new(GROUP.into());
        let gone = StreamsGroupRecord::member_tombstone(&GROUP.into(), &"a".into());
        states.on_replay(&gone, Some(&group));
        assert_eq!(states.of(&GROUP.into()).shutdown_requested_by, None);
        assert_eq!(states.of(&GROUP.into()).endpoint_information_epoch, 4);
        states.on_replay(&gone, None);
        assert!(states.groups.is_empty());
    }

    #[test]
    fn a_task_has_one_offset() {
        let offset = |partition, offset| TaskOffset {
            subtopology_id: "0".into(),
            partition,
            offset,
            ..Default::default()
        };
        let first = MemberTaskOffsets::default().updated(Some(&[offset(0, 5), offset(1, 6)]), None).unwrap();
        let second = first.updated(None, Some(&[offset(0, 9)])).unwrap();
        assert_eq!(second.task_offsets, first.task_offsets, "not said again");
        assert_eq!(second.task_end_offsets["0"], BTreeMap::from([(0, 9)]));
        assert!(second.updated(Some(&[offset(0, 1), offset(0, 1)]), None).is_err());
    }
}

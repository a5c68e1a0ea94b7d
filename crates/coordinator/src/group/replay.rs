use std::sync::Arc;

use bytestring::ByteString;
use ottla_protocol::records::group::{GroupMetadataValue, OffsetCommitKey, OffsetCommitValue};

use super::classic::ClassicGroup;
use super::consumer::{ConsumerGroup, ConsumerGroupRecord};
use super::share::{self, ShareGroupRecord};
use super::streams::{StreamsGroup, StreamsGroupRecord};
use super::{Group, GroupCoordinatorShard, GroupRecord, owned};

/// Taking in the records of the log.
impl GroupCoordinatorShard {
    pub(super) fn replay_record(&mut self, offset: i64, producer_id: i64, record: &GroupRecord) {
        match record {
            GroupRecord::OffsetCommit { key, value } => {
                self.replay_offset(offset, producer_id, key, value.as_ref());
            }
            GroupRecord::GroupMetadata { key, value } => self.replay_classic(&key.group, value.as_ref()),
            GroupRecord::Consumer(record) => self.replay_consumer(record),
            GroupRecord::Share(record) => self.replay_share(record),
            GroupRecord::Streams(record) => self.replay_streams(record),
        }
    }

    fn replay_classic(&mut self, group_id: &ByteString, value: Option<&GroupMetadataValue>) {
        match value {
            Some(value) => {
                let group = ClassicGroup::from_record(group_id, value);
                self.groups.insert_mut(owned(group_id), Group::Classic(Arc::new(group)));
            }
            // The tombstone of a classic group says nothing about a group of another type that took its place.
            None if matches!(self.groups.get(group_id), Some(Group::Classic(_))) => {
                self.groups.remove_mut(group_id);
            }
            None => {}
        }
    }

    fn replay_consumer(&mut self, record: &ConsumerGroupRecord) {
        let group_id = record.group_id();
        let mut group = match self.groups.get(group_id) {
            Some(Group::Consumer(group)) => Arc::clone(group),
            // A group of offsets only turns out to be more; a tombstone of nothing is nothing.
            Some(Group::Classic(_)) | None if !record.is_tombstone() => {
                Arc::new(ConsumerGroup::new(owned(group_id)))
            }
            Some(Group::Classic(_) | Group::Share(_) | Group::Streams(_)) | None => return,
        };
        let is_left = Arc::make_mut(&mut group).replay(record);
        self.put_or_remove(group_id, is_left.then_some(Group::Consumer(group)));
    }

    fn replay_share(&mut self, record: &ShareGroupRecord) {
        let group_id = record.group_id();
        let group = match self.groups.get(group_id) {
            Some(Group::Share(group)) => Some(Arc::clone(group)),
            Some(Group::Classic(_)) | None => None,
            Some(Group::Consumer(_) | Group::Streams(_)) => return,
        };
        let was_share = group.is_some();
        let after = share::replay(group, record);
        if was_share || after.is_some() {
            self.put_or_remove(group_id, after.map(Group::Share));
        }
    }

    fn replay_streams(&mut self, record: &StreamsGroupRecord) {
        let group_id = record.group_id();
        let group = match self.groups.get(group_id) {
            Some(Group::Streams(group)) => Some(Arc::clone(group)),
            Some(Group::Classic(_)) | None => None,
            Some(Group::Consumer(_) | Group::Share(_)) => return,
        };
        let after = StreamsGroup::replay(group.as_deref(), record);
        self.surroundings.streams.on_replay(record, after.as_ref());
        if group.is_some() || after.is_some() {
            self.put_or_remove(group_id, after.map(|group| Group::Streams(Arc::new(group))));
        }
    }

    fn replay_offset(
        &mut self,
        offset: i64,
        producer_id: i64,
        key: &OffsetCommitKey,
        value: Option<&OffsetCommitValue>,
    ) {
        if value.is_some() && !self.groups.contains_key(&key.group) {
            // Offsets without a group make a simple one.
            let group = ClassicGroup::new(owned(&key.group), None);
            self.groups.insert_mut(owned(&key.group), Group::Classic(Arc::new(group)));
        }
        self.offsets.replay(offset, producer_id, key, value);
    }

    fn put_or_remove(&mut self, group_id: &ByteString, group: Option<Group>) {
        match group {
            Some(group) => self.groups.insert_mut(owned(group_id), group),
            None => {
                self.groups.remove_mut(group_id);
            }
        }
    }
}

//! What the rest of the cluster tells the shard: which topics there are, and how groups are configured.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;

use crate::group::{Group, GroupChange, GroupCoordinatorShard, GroupOverrides, GroupResult};
use crate::metadata::CoordinatorMetadata;

impl GroupCoordinatorShard {
    /// The cluster has these topics now. `changed` are those that are new, gone, or have other partitions or
    /// racks; groups that read them look at their topics with their next heartbeat.
    pub fn on_new_metadata(
        &self,
        metadata: Arc<dyn CoordinatorMetadata>,
        changed: BTreeSet<ByteString>,
    ) -> GroupResult<()> {
        let known = &self.surroundings.metadata;
        let has_new_topics =
            changed.iter().any(|name| known.topic(name).is_none() && metadata.topic(name).is_some());
        changed_by(GroupChange::Metadata { metadata, has_new_topics, changed })
    }

    /// A group's own configuration is this now; none when `None`.
    pub fn on_new_overrides(
        &self,
        group_id: ByteString,
        overrides: Option<GroupOverrides>,
    ) -> GroupResult<()> {
        changed_by(GroupChange::Overrides(group_id, overrides.map(Arc::new)))
    }

    pub(in crate::group) fn take_metadata(
        &mut self,
        metadata: Arc<dyn CoordinatorMetadata>,
        has_new_topics: bool,
        changed: &BTreeSet<ByteString>,
    ) {
        if has_new_topics {
            self.surroundings.new_topics_version = metadata.version();
        }
        self.surroundings.metadata = metadata;
        let reads = |group: &Group| changed.iter().any(|topic| group.is_subscribed_to(topic));
        let readers = self.groups.iter().filter(|(_, group)| reads(group));
        let readers: Vec<ByteString> = readers.map(|(group_id, _)| group_id.clone()).collect();
        for group_id in readers {
            match self.groups.get_mut(&group_id) {
                Some(Group::Consumer(group)) => Arc::make_mut(group).request_metadata_refresh(),
                Some(Group::Share(group)) => Arc::make_mut(group).request_metadata_refresh(),
                // Classic groups know nothing of topics, and streams groups look whenever there is other metadata.
                Some(Group::Classic(_) | Group::Streams(_)) | None => {}
            }
        }
    }
}

fn changed_by(change: GroupChange) -> GroupResult<()> {
    let mut result = GroupResult::of(());
    result.changes.push(change);
    result
}

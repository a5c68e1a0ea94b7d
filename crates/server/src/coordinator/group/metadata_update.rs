//! What the metadata log tells the group coordinator: which topics there are, and how groups are configured.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_coordinator::group::{GroupCoordinatorShard, GroupOverrides};
use ottla_coordinator::metadata::CoordinatorMetadata;

use super::GroupCoordinatorService;

impl GroupCoordinatorService {
    /// The cluster has these topics now. `changed` are those that are new, gone, or have other partitions or racks.
    pub async fn on_new_metadata(
        &self,
        metadata: Arc<dyn CoordinatorMetadata>,
        changed: BTreeSet<ByteString>,
    ) {
        // First the state that a loading shard looks at when it is done.
        self.runtime().kind().set_metadata(Arc::clone(&metadata));
        let tell = move |shard: &GroupCoordinatorShard| {
            shard.on_new_metadata(Arc::clone(&metadata), changed.clone())
        };
        self.runtime().tell_all(tell).await;
    }

    /// A group's own configuration is this now; none when `None`.
    pub async fn on_new_overrides(&self, group_id: ByteString, overrides: Option<GroupOverrides>) {
        self.runtime().kind().set_overrides(group_id.clone(), overrides.clone());
        let tell =
            move |shard: &GroupCoordinatorShard| shard.on_new_overrides(group_id.clone(), overrides.clone());
        self.runtime().tell_all(tell).await;
    }

    /// Topics are no more: their offsets are forgotten in every partition that is led here, and share groups do not
    /// have them any more. The share coordinator learns of it by itself.
    ///
    /// A partition that is loading, or moved on, sees the deletion in no log: as in Kafka, offsets of a topic that
    /// is made again are told apart by its id.
    pub async fn on_topics_deleted(&self, topics: &[(ByteString, Uuid)]) {
        let topic_ids: BTreeSet<Uuid> = topics.iter().map(|(_, topic_id)| *topic_id).collect();
        for partition in self.runtime().led_partitions() {
            for (topic, topic_id) in topics.iter().cloned() {
                let forget =
                    move |_: i64, shard: &GroupCoordinatorShard| shard.on_topic_deleted(&topic, topic_id);
                let _ = self.runtime().tell(partition, forget).await;
            }
            let topic_ids = topic_ids.clone();
            let clean_up = move |now_ms: i64, shard: &GroupCoordinatorShard| {
                shard.cleanup_share_group_state(now_ms, &topic_ids)
            };
            let _ = self.runtime().tell(partition, clean_up).await;
        }
    }
}

use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::time::Time;
use ottla_common::{ErrorCode, Uuid};
use ottla_coordinator::group::{
    GroupCoordinatorConfig, GroupCoordinatorShard, GroupError, GroupOverrides, GroupResult,
};
use ottla_coordinator::metadata::CoordinatorMetadata;
use ottla_record::Compression;
use tokio::runtime::Handle;

use super::kind::GroupCoordinators;
use crate::coordinator::runtime::{CoordinatorRuntime, PartitionLog};

/// The group coordinator of this broker: every partition of `__consumer_offsets` that it leads.
#[derive(Debug)]
pub struct GroupCoordinatorService {
    pub(super) config: Arc<GroupCoordinatorConfig>,
    runtime: CoordinatorRuntime<GroupCoordinators>,
}

impl GroupCoordinatorService {
    /// A coordinator that refuses everything until it is started up. Its tasks run on `runtime`. `compression` is what
    /// `offsets.topic.compression.codec` says.
    pub fn new(
        config: GroupCoordinatorConfig,
        compression: Compression,
        time: Arc<dyn Time>,
        log: Arc<dyn PartitionLog>,
        runtime: Handle,
    ) -> Self {
        let config = Arc::new(config);
        let kind = Arc::new(GroupCoordinators::new(Arc::clone(&config), compression));
        Self { config, runtime: CoordinatorRuntime::new(kind, time, log, runtime) }
    }

    /// The tasks behind the service: elections and resignations go there.
    pub fn runtime(&self) -> &CoordinatorRuntime<GroupCoordinators> {
        &self.runtime
    }

    /// The cluster has these topics now. `changed` are those that are new, gone, or have other partitions or racks.
    pub async fn on_new_metadata(&self, metadata: Arc<dyn CoordinatorMetadata>, changed: BTreeSet<ByteString>) {
        // First the state that a loading shard looks at when it is done.
        self.runtime.kind().set_metadata(Arc::clone(&metadata));
        let tell = move |shard: &GroupCoordinatorShard| {
            shard.on_new_metadata(Arc::clone(&metadata), changed.clone())
        };
        self.runtime.tell_all(tell).await;
    }

    /// A group's own configuration is this now; none when `None`.
    pub async fn on_new_overrides(&self, group_id: ByteString, overrides: Option<GroupOverrides>) {
        self.runtime.kind().set_overrides(group_id.clone(), overrides.clone());
        let tell =
            move |shard: &GroupCoordinatorShard| shard.on_new_overrides(group_id.clone(), overrides.clone());
        self.runtime.tell_all(tell).await;
    }

    /// Topics are no more: their offsets are forgotten, in every partition that is led here.
    pub async fn on_topics_deleted(&self, topics: &[(ByteString, Uuid)]) {
        for partition in self.runtime.led_partitions() {
            for (topic, topic_id) in topics.iter().cloned() {
                let decide =
                    move |_, shard: &GroupCoordinatorShard| Ok(shard.on_topic_deleted(&topic, topic_id));
                // A partition that is loading, or moved on, sees the deletion in no log: as in Kafka,
                // offsets of a topic that is made again are told apart by its id.
                let _ = self.write(partition, decide).await;
            }
        }
    }

    /// Decides something, writes it down, and answers once that is committed.
    pub(super) async fn write<T, F>(&self, partition: i32, decide: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(i64, &GroupCoordinatorShard) -> Result<GroupResult<T>, GroupError> + Send + 'static,
    {
        self.runtime.write(partition, move |now_ms, shard| decide(now_ms, shard).map_err(GroupError::code)).await
    }

    /// Reads something off the committed state, and off the newest one.
    pub(super) async fn read<T, F>(&self, partition: i32, look: F) -> Result<T, ErrorCode>
    where
        T: Send + 'static,
        F: FnOnce(&GroupCoordinatorShard, &GroupCoordinatorShard) -> T + Send + 'static,
    {
        self.runtime.read(partition, look).await
    }

    pub(super) fn partition_of(&self, group_id: &str) -> Result<i32, ErrorCode> {
        self.runtime.partition_of(group_id)
    }
}

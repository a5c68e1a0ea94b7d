use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::internal_topics::GROUP_METADATA_TOPIC;
use ottla_coordinator::group::{
    GroupCoordinatorConfig, GroupCoordinatorShard, GroupOverrides, GroupRecord, GroupResult, RecordError,
    append_error,
};
use ottla_coordinator::metadata::{CoordinatorMetadata, NoTopics};
use ottla_coordinator::runtime::{AppendLinger, CoordinatorShard};
use ottla_record::Compression;

use crate::coordinator::runtime::{CoordinatorKind, Source, Undecodable};

/// What is particular about group coordinators, and what their shards know of the cluster.
#[derive(Debug)]
pub struct GroupCoordinators {
    config: Arc<GroupCoordinatorConfig>,
    /// `offsets.topic.compression.codec`
    compression: Compression,
    cluster: RwLock<Cluster>,
}

/// The newest that is known. Shards that load begin with it, the others are told.
#[derive(Debug, Clone)]
struct Cluster {
    metadata: Arc<dyn CoordinatorMetadata>,
    overrides: BTreeMap<ByteString, GroupOverrides>,
}

impl GroupCoordinators {
    pub(super) fn new(config: Arc<GroupCoordinatorConfig>, compression: Compression) -> Self {
        let cluster = Cluster { metadata: Arc::new(NoTopics), overrides: BTreeMap::new() };
        Self { config, compression, cluster: RwLock::new(cluster) }
    }

    /// The newest topics.
    pub(super) fn metadata(&self) -> Arc<dyn CoordinatorMetadata> {
        Arc::clone(&self.cluster.read().unwrap_or_else(PoisonError::into_inner).metadata)
    }

    pub(super) fn set_metadata(&self, metadata: Arc<dyn CoordinatorMetadata>) {
        self.cluster.write().unwrap_or_else(PoisonError::into_inner).metadata = metadata;
    }

    pub(super) fn set_overrides(&self, group_id: ByteString, overrides: Option<GroupOverrides>) {
        let mut cluster = self.cluster.write().unwrap_or_else(PoisonError::into_inner);
        match overrides {
            Some(overrides) => drop(cluster.overrides.insert(group_id, overrides)),
            None => drop(cluster.overrides.remove(&group_id)),
        }
    }

    /// Tells a shard everything. Groups look at their topics anew, which costs each a heartbeat's work.
    fn everything(&self, shard: &GroupCoordinatorShard) -> GroupResult<()> {
        let Cluster { metadata, overrides } =
            self.cluster.read().unwrap_or_else(PoisonError::into_inner).clone();
        let names = metadata.topic_names().collect();
        let mut result = shard.on_new_metadata(metadata, names);
        for (group_id, overrides) in overrides {
            result.changes.extend(shard.on_new_overrides(group_id, Some(overrides)).changes);
        }
        result
    }
}

impl CoordinatorKind for GroupCoordinators {
    type Shard = GroupCoordinatorShard;

    const TOPIC: &'static str = GROUP_METADATA_TOPIC;

    fn new_shard(&self, _leader_epoch: i32) -> GroupCoordinatorShard {
        let mut shard = GroupCoordinatorShard::new(Arc::clone(&self.config));
        for change in self.everything(&shard).changes {
            shard.apply(change);
        }
        shard
    }

    fn decode(key: Bytes, value: Option<Bytes>) -> Result<GroupRecord, Undecodable> {
        GroupRecord::decode(key, value).map_err(|error| match error {
            RecordError::UnknownType(kind) => Undecodable::UnknownType(kind),
            error => Undecodable::Broken(error.to_string()),
        })
    }

    fn compression(&self) -> Compression {
        self.compression
    }

    fn append_linger(&self) -> AppendLinger {
        AppendLinger::from_config(self.config.append_linger_ms)
    }

    fn write_timeout_ms(&self) -> i64 {
        i64::from(self.config.offset_commit_timeout_ms)
    }

    fn append_error(error: ErrorCode) -> ErrorCode {
        append_error(error)
    }

    fn catch_up(&self, shard: &GroupCoordinatorShard) -> Option<GroupResult<()>> {
        Some(self.everything(shard))
    }

    fn run(&self, _source: Source, effect: Infallible) {
        match effect {}
    }
}

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_common::ErrorCode;
use ottla_common::internal_topics::SHARE_GROUP_STATE_TOPIC;
use ottla_coordinator::group::append_error;
use ottla_coordinator::runtime::AppendLinger;
use ottla_coordinator::share_state::{
    ShareCoordinatorConfig, ShareCoordinatorShard, ShareStateRecord, ShareStateRecordError, ShareStateResult,
};
use ottla_record::Compression;

use crate::coordinator::metadata::ImageMetadata;
use crate::coordinator::runtime::{CoordinatorKind, Source, Undecodable};

/// What is particular about share coordinators.
#[derive(Debug)]
pub struct ShareCoordinators {
    config: Arc<ShareCoordinatorConfig>,
    /// `share.coordinator.state.topic.compression.codec`
    compression: Compression,
    /// `share.coordinator.append.linger.ms`
    append_linger: AppendLinger,
    metadata: Arc<MetadataCache>,
}

impl ShareCoordinators {
    pub(super) fn new(
        config: Arc<ShareCoordinatorConfig>,
        compression: Compression,
        append_linger: AppendLinger,
        metadata: Arc<MetadataCache>,
    ) -> Self {
        Self { config, compression, append_linger, metadata }
    }

    /// The topics as they are now. Shards keep none of them: each request is checked against the newest.
    pub(super) fn metadata(&self) -> ImageMetadata {
        ImageMetadata(Arc::clone(&self.metadata.image()))
    }
}

impl CoordinatorKind for ShareCoordinators {
    type Shard = ShareCoordinatorShard;

    const TOPIC: &'static str = SHARE_GROUP_STATE_TOPIC;

    fn new_shard(&self, _leader_epoch: i32) -> ShareCoordinatorShard {
        ShareCoordinatorShard::new(Arc::clone(&self.config))
    }

    fn decode(key: Bytes, value: Option<Bytes>) -> Result<ShareStateRecord, Undecodable> {
        ShareStateRecord::decode(key, value).map_err(|error| match error {
            ShareStateRecordError::UnknownType(kind) => Undecodable::UnknownType(kind),
            error => Undecodable::Broken(error.to_string()),
        })
    }

    fn compression(&self) -> Compression {
        self.compression
    }

    fn append_linger(&self) -> AppendLinger {
        self.append_linger
    }

    fn write_timeout_ms(&self) -> i64 {
        i64::from(self.config.write_timeout_ms)
    }

    fn append_error(error: ErrorCode) -> ErrorCode {
        append_error(error)
    }

    /// Nothing: topics that were deleted meanwhile are left to the groups, which delete their states one by one.
    fn catch_up(&self, _shard: &ShareCoordinatorShard) -> Option<ShareStateResult<()>> {
        None
    }

    fn run(&self, _source: Source, effect: Infallible) {
        match effect {}
    }
}

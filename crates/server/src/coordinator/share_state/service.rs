use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytestring::ByteString;
use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_common::Uuid;
use ottla_common::time::Time;
use ottla_coordinator::runtime::AppendLinger;
use ottla_coordinator::share_state::requests::{
    delete_parts, delete_refused, delete_response, initialize_parts, initialize_refused, initialize_response,
    read_parts, read_refused, read_response, read_summary_parts, read_summary_refused, read_summary_response,
    write_parts, write_refused, write_response,
};
use ottla_coordinator::share_state::{ShareCoordinatorConfig, ShareCoordinatorShard, ShareStateResult};
use ottla_metadata::Feature;
use ottla_metadata::image::FeaturesImage;
use ottla_protocol::messages::{
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, ReadShareGroupStateRequest, ReadShareGroupStateResponse,
    ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
};
use ottla_record::Compression;
use tokio::runtime::Handle;

use super::kind::ShareCoordinators;
use super::parts::{self, StateApi};
use super::prune::{PrunedOffsets, StateRecords, prune};
use crate::coordinator::runtime::{CoordinatorRuntime, PartitionLog};

/// What a share coordinator is made of.
#[derive(Debug)]
pub struct ShareCoordinatorParts {
    /// `share.coordinator.*`
    pub config: ShareCoordinatorConfig,
    /// `share.coordinator.state.topic.compression.codec`
    pub compression: Compression,
    /// `share.coordinator.append.linger.ms`
    pub append_linger: AppendLinger,
    /// The topics that states may be of.
    pub metadata: Arc<MetadataCache>,
    /// Where states are written.
    pub log: Arc<dyn PartitionLog>,
    /// Where states are deleted that nobody needs any more.
    pub records: Arc<dyn StateRecords>,
    /// The clock.
    pub time: Arc<dyn Time>,
    /// Where its tasks run.
    pub runtime: Handle,
}

/// The share coordinator of this broker: every partition of `__share_group_state` that it leads.
///
/// No request asks for `share.version`: while that is 0 no broker has anything to ask for.
#[derive(Debug)]
pub struct ShareCoordinatorService {
    runtime: CoordinatorRuntime<ShareCoordinators>,
    records: Arc<dyn StateRecords>,
    pruned: PrunedOffsets,
    prune_interval: Duration,
    share_groups_enabled: AtomicBool,
}

impl ShareCoordinatorService {
    /// A coordinator that refuses everything until it is started up.
    pub fn new(parts: ShareCoordinatorParts) -> Self {
        let ShareCoordinatorParts {
            config,
            compression,
            append_linger,
            metadata,
            log,
            records,
            time,
            runtime,
        } = parts;
        let prune_interval =
            Duration::from_millis(u64::from(config.state_topic_prune_interval_ms.max(1).unsigned_abs()));
        let kind = Arc::new(ShareCoordinators::new(Arc::new(config), compression, append_linger, metadata));
        Self {
            runtime: CoordinatorRuntime::new(kind, time, log, runtime),
            records,
            pruned: PrunedOffsets::default(),
            prune_interval,
            share_groups_enabled: AtomicBool::new(false),
        }
    }

    /// The tasks behind the service: elections and resignations go there.
    pub fn runtime(&self) -> &CoordinatorRuntime<ShareCoordinators> {
        &self.runtime
    }

    /// Prunes the topic from time to time, until the service is dropped.
    pub fn start_pruning(self: &Arc<Self>, runtime: &Handle) {
        runtime.spawn(prune_for_ever(Arc::downgrade(self), self.prune_interval));
    }

    /// The cluster has these features now. Nothing is pruned without share groups.
    pub fn on_new_features(&self, features: &FeaturesImage) {
        self.share_groups_enabled.store(features.level(Feature::ShareVersion) >= 1, Ordering::Release);
    }

    /// Topics are no more: what groups knew of them is forgotten, in every partition that is led here.
    pub async fn on_topics_deleted(&self, topics: &[(ByteString, Uuid)]) {
        let topic_ids: Arc<BTreeSet<Uuid>> = Arc::new(topics.iter().map(|(_, topic_id)| *topic_id).collect());
        let forget = move |shard: &ShareCoordinatorShard| shard.cleanup_deleted_topics(&topic_ids);
        self.runtime.tell_all(forget).await;
    }

    /// Deletes the records that the committed states do not need any more.
    pub async fn prune(&self) {
        prune(&self.runtime, &*self.records, &self.pruned).await;
    }

    /// Groups begin with partitions, or begin anew.
    pub async fn initialize_state(
        &self,
        request: InitializeShareGroupStateRequest,
    ) -> InitializeShareGroupStateResponse {
        let api = StateApi {
            action: "initialize share group state",
            decide: ShareCoordinatorShard::initialize_state,
            refuse: initialize_refused,
        };
        initialize_response(parts::run(&self.runtime, api, initialize_parts(request)).await)
    }

    /// Leaders take share-partitions over.
    pub async fn read_state(&self, request: ReadShareGroupStateRequest) -> ReadShareGroupStateResponse {
        let api = StateApi {
            action: "read share group state",
            decide: ShareCoordinatorShard::read_state,
            refuse: read_refused,
        };
        read_response(parts::run(&self.runtime, api, read_parts(request)).await)
    }

    /// Leaders say what became of records.
    pub async fn write_state(&self, request: WriteShareGroupStateRequest) -> WriteShareGroupStateResponse {
        let api = StateApi {
            action: "write share group state",
            decide: ShareCoordinatorShard::write_state,
            refuse: write_refused,
        };
        write_response(parts::run(&self.runtime, api, write_parts(request)).await)
    }

    /// Groups are done with partitions.
    pub async fn delete_state(&self, request: DeleteShareGroupStateRequest) -> DeleteShareGroupStateResponse {
        let api = StateApi {
            action: "delete share group state",
            decide: |shard, _, metadata, key, _| shard.delete_state(metadata, key),
            refuse: delete_refused,
        };
        delete_response(parts::run(&self.runtime, api, delete_parts(request)).await)
    }

    /// How far groups are. The answer waits until all that it is made of is committed.
    pub async fn read_state_summary(
        &self,
        request: ReadShareGroupStateSummaryRequest,
    ) -> ReadShareGroupStateSummaryResponse {
        let api = StateApi {
            action: "read share group state summary",
            decide: |shard, _, metadata, key, _| {
                ShareStateResult::of(shard.read_state_summary(metadata, key))
            },
            refuse: read_summary_refused,
        };
        read_summary_response(parts::run(&self.runtime, api, read_summary_parts(request)).await)
    }
}

async fn prune_for_ever(service: Weak<ShareCoordinatorService>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(service) = service.upgrade() else { return };
        if service.runtime.is_active() && service.share_groups_enabled.load(Ordering::Acquire) {
            service.prune().await;
        }
    }
}

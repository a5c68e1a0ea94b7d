use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::time::Time;
use ottla_coordinator::runtime::EndTransaction;
use ottla_metadata::image::MetadataImage;
use ottla_protocol::messages::*;
use ottla_replica::ReplicaManager;
use ottla_replica::share::SharePartitionManager;

use crate::Call;
use crate::support::auto_topic_creation::AutoTopicCreationManager;
use crate::support::fetch_session::FetchManager;
use crate::support::metadata_cache::MetadataCache;

/// A future that a trait object can answer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything the handlers of a broker use.
#[derive(Debug)]
pub struct BrokerContext {
    /// The few settings that handlers read.
    pub settings: BrokerSettings,
    /// The cluster as the newest image has it.
    pub metadata: Arc<MetadataCache>,
    /// The partitions that live here.
    pub replicas: Arc<ReplicaManager>,
    /// Groups whose coordinator this broker is.
    pub groups: Arc<dyn GroupCoordinator>,
    /// Transactions whose coordinator this broker is.
    pub transactions: Arc<dyn TransactionCoordinator>,
    /// How far share groups are, as far as this broker coordinates that.
    pub share_coordinator: Arc<dyn ShareCoordinator>,
    /// Records in flight of share groups, at the partitions that this broker leads.
    pub share: Arc<SharePartitionManager>,
    /// Where changes of the cluster are decided.
    pub controller: Arc<dyn Controller>,
    /// What is known of configuration keys.
    pub configs: Arc<dyn ConfigRepository>,
    /// Blocks of producer ids.
    pub producer_ids: Arc<dyn ProducerIdManager>,
    /// Topics that are made by asking for them.
    pub auto_topics: Arc<AutoTopicCreationManager>,
    /// Incremental fetch sessions.
    pub fetch: FetchManager,
    /// The clock.
    pub time: Arc<dyn Time>,
}

/// The few settings that handlers read.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// `node.id`.
    pub node_id: i32,
    /// The cluster's id, from `meta.properties`.
    pub cluster_id: ByteString,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `auto.create.topics.enable`.
    pub auto_create_topics_enable: bool,
    /// `max.request.partition.size.limit` (KIP-966).
    pub max_request_partition_size_limit: i32,
    /// `request.timeout.ms`: patience with other replicas where the request has none of its own.
    pub request_timeout_ms: i32,
    /// `unstable.api.versions.enable`.
    pub unstable_api_versions_enable: bool,
}

macro_rules! forwarded {
    (
        $(#[$doc:meta])* $trait:ident { $($(#[$m:meta])* $method:ident($request:ty) -> $response:ty;)* }
        $(and { $($more:tt)* })?
    ) => {
        $(#[$doc])*
        pub trait $trait: fmt::Debug + Send + Sync {
            $($(#[$m])* fn $method<'a>(&'a self, call: &'a Call, request: $request) -> BoxFuture<'a, $response>;)*
            $($($more)*)?
        }
    };
}

forwarded! {
    /// Where changes of the cluster are decided: the active controller, here or elsewhere.
    Controller {
        /// Makes topics.
        create_topics(CreateTopicsRequest) -> CreateTopicsResponse;
        /// Removes topics, by name or id.
        delete_topics(DeleteTopicsRequest) -> DeleteTopicsResponse;
        /// Adds partitions to topics.
        create_partitions(CreatePartitionsRequest) -> CreatePartitionsResponse;
        /// Sets or deletes single keys.
        incremental_alter_configs(IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse;
        /// Replaces whole configurations.
        alter_configs(AlterConfigsRequest) -> AlterConfigsResponse;
        /// The state of the metadata quorum.
        describe_quorum(DescribeQuorumRequest) -> DescribeQuorumResponse;
        /// Changes finalized feature levels.
        update_features(UpdateFeaturesRequest) -> UpdateFeaturesResponse;
    }
}

forwarded! {
    /// The coordinator of the groups whose `__consumer_offsets` partitions this broker leads.
    GroupCoordinator {
        /// A member wants in.
        join_group(JoinGroupRequest) -> JoinGroupResponse;
        /// A member asks for (or the leader brings) the assignment.
        sync_group(SyncGroupRequest) -> SyncGroupResponse;
        /// A member is alive.
        heartbeat(HeartbeatRequest) -> HeartbeatResponse;
        /// Members go.
        leave_group(LeaveGroupRequest) -> LeaveGroupResponse;
        /// A member stores how far it read.
        offset_commit(OffsetCommitRequest) -> OffsetCommitResponse;
        /// How far groups have read.
        offset_fetch(OffsetFetchRequest) -> OffsetFetchResponse;
        /// Forgets offsets of a group.
        offset_delete(OffsetDeleteRequest) -> OffsetDeleteResponse;
        /// What groups there are.
        list_groups(ListGroupsRequest) -> ListGroupsResponse;
        /// State and members of groups.
        describe_groups(DescribeGroupsRequest) -> DescribeGroupsResponse;
        /// Removes empty groups.
        delete_groups(DeleteGroupsRequest) -> DeleteGroupsResponse;
        /// A transaction's producer stores how far a group read.
        txn_offset_commit(TxnOffsetCommitRequest) -> TxnOffsetCommitResponse;
        /// A member of a consumer group is alive, and says what it reads and has.
        consumer_group_heartbeat(ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse;
        /// State and members of consumer groups.
        consumer_group_describe(ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse;
        /// A member of a share group is alive, and says what it reads.
        share_group_heartbeat(ShareGroupHeartbeatRequest) -> ShareGroupHeartbeatResponse;
        /// State and members of share groups.
        share_group_describe(ShareGroupDescribeRequest) -> ShareGroupDescribeResponse;
        /// How far share groups are.
        describe_share_group_offsets(DescribeShareGroupOffsetsRequest) -> DescribeShareGroupOffsetsResponse;
        /// Has an empty share group begin anew at other offsets.
        alter_share_group_offsets(AlterShareGroupOffsetsRequest) -> AlterShareGroupOffsetsResponse;
        /// Has an empty share group forget topics.
        delete_share_group_offsets(DeleteShareGroupOffsetsRequest) -> DeleteShareGroupOffsetsResponse;
        /// A member of a streams group is alive, and tells of its topology and its tasks.
        streams_group_heartbeat(StreamsGroupHeartbeatRequest) -> StreamsGroupHeartbeatResponse;
        /// State and members of streams groups.
        streams_group_describe(StreamsGroupDescribeRequest) -> StreamsGroupDescribeResponse;
        /// What a streams group's topology looks like.
        streams_group_topology_description_update(
            StreamsGroupTopologyDescriptionUpdateRequest
        ) -> StreamsGroupTopologyDescriptionUpdateResponse;
    }
    and {
        /// Ends a transaction in which offsets were committed in this partition of `__consumer_offsets`; answers once
        /// the marker is committed.
        fn complete_transaction(
            &self,
            partition: i32,
            end: EndTransaction,
        ) -> BoxFuture<'_, Result<(), ErrorCode>>;
    }
}

forwarded! {
    /// The coordinator of the transactions whose `__transaction_state` partitions this broker leads.
    TransactionCoordinator {
        /// A transactional producer begins.
        init_producer_id(InitProducerIdRequest) -> InitProducerIdResponse;
        /// Adds or verifies partitions; both ways in the words of version 4 and later.
        add_partitions_to_txn(AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse;
        /// Adds a group's offsets.
        add_offsets_to_txn(AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse;
        /// Commits or aborts.
        end_txn(EndTxnRequest) -> EndTxnResponse;
        /// What transactions there are.
        list_transactions(ListTransactionsRequest) -> ListTransactionsResponse;
        /// What transactional ids are doing.
        describe_transactions(DescribeTransactionsRequest) -> DescribeTransactionsResponse;
    }
}

forwarded! {
    /// The share coordinator of the `__share_group_state` partitions that this broker leads.
    ShareCoordinator {
        /// A group begins with partitions.
        initialize_state(InitializeShareGroupStateRequest) -> InitializeShareGroupStateResponse;
        /// A leader takes share-partitions over.
        read_state(ReadShareGroupStateRequest) -> ReadShareGroupStateResponse;
        /// What became of records.
        write_state(WriteShareGroupStateRequest) -> WriteShareGroupStateResponse;
        /// A group is done with partitions.
        delete_state(DeleteShareGroupStateRequest) -> DeleteShareGroupStateResponse;
        /// How far a group is.
        read_state_summary(ReadShareGroupStateSummaryRequest) -> ReadShareGroupStateSummaryResponse;
    }
}

/// What is known of configuration keys, and what is set.
pub trait ConfigRepository: fmt::Debug + Send + Sync {
    /// Answers DescribeConfigs from the image and this broker's own settings.
    fn describe(&self, image: &MetadataImage, request: &DescribeConfigsRequest) -> DescribeConfigsResponse;
}

/// Hands out producer ids that no other producer of the cluster has.
pub trait ProducerIdManager: fmt::Debug + Send + Sync {
    /// The next id.
    fn generate(&self) -> BoxFuture<'_, Result<i64, ErrorCode>>;
}

/// The partition of `__consumer_offsets` that holds a group.
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    let hash = group_id.encode_utf16().fold(0i32, |h, c| h.wrapping_mul(31).wrapping_add(i32::from(c)));
    // Java's `Utils.abs` maps the one value without a positive twin to zero.
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % partitions.max(1)
}

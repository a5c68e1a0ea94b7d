//! Which codes each API of the coordinators is documented to answer with, and where its tests are.
//!
//! Without an authorizer nothing is refused for lack of rights, so those codes are not here yet.

use super::codes::{Api, Kernel};

const GROUP_SERVICE: &str = "server/src/coordinator/group/service_test.rs";
const MEMBERS: &str = "coordinator/src/group/op/consumer_group_classic_test.rs";
const JOINS: &str = "coordinator/src/group/op/consumer_group_join_test.rs";
const COMMITS: &str = "coordinator/src/group/op/consumer_group_offsets_test.rs";

/// Every API of a coordinator, and those of share sessions.
pub const APIS: &[Api] = &[
    Api {
        name: "JoinGroup",
        tests: &["coordinator/src/group/op/join_group_test.rs", JOINS, GROUP_SERVICE],
        codes: &[
            "CoordinatorNotAvailable",
            "NotCoordinator",
            "InconsistentGroupProtocol",
            "InvalidGroupId",
            "UnknownMemberId",
            "InvalidSessionTimeout",
            "MemberIdRequired",
            "GroupMaxSizeReached",
            "FencedInstanceId",
            "UnknownServerError",
        ],
    },
    Api {
        name: "SyncGroup",
        tests: &["coordinator/src/group/op/sync_group_test.rs", MEMBERS, GROUP_SERVICE],
        codes: &[
            "CoordinatorNotAvailable",
            "IllegalGeneration",
            "InconsistentGroupProtocol",
            "InvalidGroupId",
            "UnknownMemberId",
            "RebalanceInProgress",
            "FencedInstanceId",
        ],
    },
    Api {
        name: "Heartbeat",
        tests: &["coordinator/src/group/op/heartbeat_test.rs", MEMBERS, GROUP_SERVICE],
        codes: &[
            "IllegalGeneration",
            "InvalidGroupId",
            "UnknownMemberId",
            "RebalanceInProgress",
            "FencedInstanceId",
        ],
    },
    Api {
        name: "LeaveGroup",
        tests: &["coordinator/src/group/op/leave_group_test.rs", MEMBERS, GROUP_SERVICE],
        codes: &["UnknownMemberId", "InvalidGroupId", "FencedInstanceId"],
    },
    Api {
        name: "DescribeGroups",
        tests: &["coordinator/src/group/op/describe_groups_test.rs", GROUP_SERVICE],
        codes: &["GroupIdNotFound"],
    },
    Api {
        name: "DeleteGroups",
        tests: &["coordinator/src/group/op/delete_groups_test.rs", GROUP_SERVICE],
        codes: &["NonEmptyGroup", "GroupIdNotFound", "InvalidGroupId"],
    },
    Api {
        name: "OffsetCommit",
        tests: &["coordinator/src/group/op/offset_commit_test.rs", COMMITS],
        codes: &[
            "IllegalGeneration",
            "UnknownMemberId",
            "RebalanceInProgress",
            "FencedInstanceId",
            "OffsetMetadataTooLarge",
            "GroupIdNotFound",
            "StaleMemberEpoch",
            "UnsupportedVersion",
        ],
    },
    Api {
        name: "OffsetFetch",
        tests: &["coordinator/src/group/op/offset_fetch_test.rs", COMMITS],
        codes: &["UnstableOffsetCommit", "StaleMemberEpoch", "UnknownMemberId"],
    },
    Api {
        name: "OffsetDelete",
        tests: &["coordinator/src/group/op/offset_delete_test.rs"],
        codes: &["GroupSubscribedToTopic", "NonEmptyGroup", "GroupIdNotFound"],
    },
    Api {
        name: "TxnOffsetCommit",
        tests: &[
            "coordinator/src/group/op/txn_offset_commit_test.rs",
            "server/src/coordinator/group/transactions_test.rs",
            "apis/src/broker/txn_offset_commit_test.rs",
        ],
        codes: &[
            "InvalidGroupId",
            "NotCoordinator",
            "CoordinatorNotAvailable",
            "CoordinatorLoadInProgress",
            "IllegalGeneration",
            "UnknownMemberId",
            "FencedInstanceId",
            "StaleMemberEpoch",
            "GroupIdNotFound",
            "OffsetMetadataTooLarge",
            "InvalidProducerEpoch",
            "InvalidTxnState",
            "TransactionAbortable",
            "UnknownTopicId",
            "UnknownTopicOrPartition",
        ],
    },
    Api {
        name: "ConsumerGroupHeartbeat",
        tests: &[
            "coordinator/src/group/op/consumer_group_heartbeat_test.rs",
            "coordinator/src/group/op/consumer_group_regex_test.rs",
        ],
        codes: &[
            "InvalidRequest",
            "GroupIdNotFound",
            "UnknownMemberId",
            "FencedMemberEpoch",
            "UnsupportedAssignor",
            "UnreleasedInstanceId",
            "FencedInstanceId",
            "GroupMaxSizeReached",
            "InvalidRegularExpression",
            "UnknownServerError",
        ],
    },
    Api {
        name: "ConsumerGroupDescribe",
        tests: &[
            "coordinator/src/group/op/consumer_group_describe_test.rs",
            "server/src/coordinator/group/consumer_groups_test.rs",
        ],
        codes: &["InvalidGroupId", "GroupIdNotFound"],
    },
    Api {
        name: "ShareGroupHeartbeat",
        tests: &["coordinator/src/group/op/share_group_heartbeat_test.rs"],
        codes: &[
            "InvalidRequest",
            "GroupIdNotFound",
            "UnknownMemberId",
            "FencedMemberEpoch",
            "GroupMaxSizeReached",
        ],
    },
    Api {
        name: "ShareGroupDescribe",
        tests: &["coordinator/src/group/op/share_group_describe_test.rs"],
        codes: &["InvalidGroupId", "GroupIdNotFound"],
    },
    Api {
        name: "DescribeShareGroupOffsets",
        tests: &["coordinator/src/group/op/share_group_describe_offsets_test.rs"],
        codes: &["NotCoordinator", "NotLeaderOrFollower"],
    },
    Api {
        name: "AlterShareGroupOffsets",
        tests: &["coordinator/src/group/op/share_group_alter_offsets_test.rs"],
        codes: &[
            "InvalidGroupId",
            "GroupIdNotFound",
            "NonEmptyGroup",
            "UnknownTopicOrPartition",
            "CoordinatorNotAvailable",
            "FencedStateEpoch",
        ],
    },
    Api {
        name: "DeleteShareGroupOffsets",
        tests: &["coordinator/src/group/op/share_group_delete_offsets_test.rs"],
        codes: &[
            "InvalidGroupId",
            "GroupIdNotFound",
            "NonEmptyGroup",
            "UnknownTopicOrPartition",
            "NotCoordinator",
        ],
    },
    Api {
        name: "ShareFetch",
        tests: &[
            "share/src/session_cache_test.rs",
            "share/src/share_partition/load_test.rs",
            "apis/src/broker/share_fetch.rs",
        ],
        codes: &[
            "ShareSessionNotFound",
            "InvalidShareSessionEpoch",
            "ShareSessionLimitReached",
            "UnknownTopicOrPartition",
            "UnknownTopicId",
            "NotLeaderOrFollower",
            "LeaderNotAvailable",
            "InvalidRecordState",
            "InvalidRequest",
            "UnknownServerError",
        ],
    },
    Api {
        name: "ShareAcknowledge",
        tests: &[
            "share/src/session_cache_test.rs",
            "share/src/share_partition/acknowledge_test.rs",
            "apis/src/broker/share_acknowledge.rs",
        ],
        codes: &[
            "ShareSessionNotFound",
            "InvalidShareSessionEpoch",
            "UnknownTopicOrPartition",
            "UnknownTopicId",
            "NotLeaderOrFollower",
            "InvalidRecordState",
            "InvalidRequest",
        ],
    },
    Api {
        name: "InitializeShareGroupState",
        tests: &["coordinator/src/share_state/op/initialize_state_test.rs"],
        codes: &["FencedStateEpoch", "InvalidRequest", "UnknownTopicOrPartition"],
    },
    Api {
        name: "ReadShareGroupState",
        tests: &["coordinator/src/share_state/op/read_state_test.rs"],
        codes: &["FencedLeaderEpoch", "InvalidRequest", "UnknownTopicOrPartition"],
    },
    Api {
        name: "WriteShareGroupState",
        tests: &["coordinator/src/share_state/op/write_state_test.rs"],
        codes: &["FencedLeaderEpoch", "FencedStateEpoch", "InvalidRequest", "UnknownTopicOrPartition"],
    },
    Api {
        name: "DeleteShareGroupState",
        tests: &["coordinator/src/share_state/op/delete_state_test.rs"],
        codes: &["InvalidRequest", "UnknownTopicOrPartition"],
    },
    Api {
        name: "ReadShareGroupStateSummary",
        tests: &["coordinator/src/share_state/op/read_state_summary_test.rs"],
        codes: &["InvalidRequest", "UnknownTopicOrPartition"],
    },
    Api {
        name: "StreamsGroupHeartbeat",
        tests: &[
            "coordinator/src/group/op/streams_group_heartbeat_test.rs",
            "coordinator/src/group/op/streams_group_leave_test.rs",
            "coordinator/src/group/op/streams_group_assignment_test.rs",
            "coordinator/src/group/streams/topics/configure_test.rs",
        ],
        codes: &[
            "InvalidRequest",
            "GroupIdNotFound",
            "UnknownMemberId",
            "FencedMemberEpoch",
            "UnreleasedInstanceId",
            "FencedInstanceId",
            "GroupMaxSizeReached",
            "StreamsInvalidTopology",
        ],
    },
    Api {
        name: "StreamsGroupDescribe",
        tests: &[
            "coordinator/src/group/op/streams_group_describe_test.rs",
            "server/src/coordinator/group/streams_groups_test.rs",
        ],
        codes: &["InvalidGroupId", "GroupIdNotFound"],
    },
    Api {
        name: "StreamsGroupTopologyDescriptionUpdate",
        tests: &["coordinator/src/group/op/streams_group_topology_description_update_test.rs"],
        codes: &["GroupIdNotFound", "InvalidRequest", "UnknownMemberId", "UnsupportedVersion"],
    },
    Api {
        name: "InitProducerId",
        tests: &["coordinator/src/transaction/op/init_producer_id_test.rs"],
        codes: &[
            "InvalidRequest",
            "InvalidTransactionTimeout",
            "ConcurrentTransactions",
            "ProducerFenced",
            "InvalidProducerEpoch",
            "TransactionalIdAuthorizationFailed",
            "CoordinatorLoadInProgress",
            "CoordinatorNotAvailable",
            "NotCoordinator",
            "UnsupportedVersion",
            "UnknownServerError",
        ],
    },
    Api {
        name: "AddPartitionsToTxn",
        tests: &[
            "coordinator/src/transaction/op/add_partitions_to_txn_test.rs",
            "apis/src/broker/add_partitions_to_txn.rs",
        ],
        codes: &[
            "InvalidRequest",
            "InvalidProducerIdMapping",
            "ProducerFenced",
            "InvalidProducerEpoch",
            "ConcurrentTransactions",
            "TransactionAbortable",
            "NotCoordinator",
            "UnknownTopicOrPartition",
            "OperationNotAttempted",
        ],
    },
    Api {
        name: "AddOffsetsToTxn",
        tests: &["coordinator/src/transaction/op/add_offsets_to_txn_test.rs"],
        codes: &[
            "InvalidRequest",
            "InvalidProducerIdMapping",
            "ProducerFenced",
            "InvalidProducerEpoch",
            "ConcurrentTransactions",
            "CoordinatorNotAvailable",
        ],
    },
    Api {
        name: "EndTxn",
        tests: &["coordinator/src/transaction/op/end_txn_test.rs"],
        codes: &[
            "InvalidRequest",
            "InvalidProducerIdMapping",
            "ProducerFenced",
            "InvalidProducerEpoch",
            "InvalidTxnState",
            "ConcurrentTransactions",
            "CoordinatorNotAvailable",
            "CoordinatorLoadInProgress",
            "UnsupportedVersion",
        ],
    },
    Api {
        name: "DescribeTransactions",
        tests: &["coordinator/src/transaction/op/describe_transactions_test.rs"],
        codes: &["InvalidRequest", "TransactionalIdNotFound"],
    },
    Api {
        name: "WriteTxnMarkers",
        tests: &[
            "apis/src/broker/write_txn_markers_test.rs",
            "coordinator/src/transaction/marker_channel_test.rs",
        ],
        codes: &[
            "UnknownTopicOrPartition",
            "NotLeaderOrFollower",
            "InvalidProducerEpoch",
            "TransactionCoordinatorFenced",
        ],
    },
];

/// The kernels and their error enums.
pub const KERNELS: &[Kernel] = &[
    Kernel {
        name: "classic groups",
        errors: "coordinator/src/group/error.rs",
        tests: &["coordinator/src/group/op"],
    },
    Kernel {
        name: "consumer groups",
        errors: "coordinator/src/group/consumer/error.rs",
        tests: &["coordinator/src/group/op", "coordinator/src/group/consumer"],
    },
    Kernel {
        name: "share groups",
        errors: "coordinator/src/group/share/error.rs",
        tests: &["coordinator/src/group/op", "coordinator/src/group/share"],
    },
    Kernel {
        name: "streams groups",
        errors: "coordinator/src/group/streams/error.rs",
        tests: &["coordinator/src/group/op", "coordinator/src/group/streams"],
    },
    Kernel {
        name: "transactions",
        errors: "coordinator/src/transaction/error.rs",
        tests: &["coordinator/src/transaction"],
    },
    Kernel {
        name: "the state of share groups",
        errors: "coordinator/src/share_state/error.rs",
        tests: &["coordinator/src/share_state"],
    },
    Kernel { name: "share partitions and sessions", errors: "share/src/error.rs", tests: &["share/src"] },
];

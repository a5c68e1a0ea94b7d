//! Names of the topics that the brokers keep for themselves.

/// Offsets and group state (classic, consumer, share and streams groups).
pub const GROUP_METADATA_TOPIC: &str = "__consumer_offsets";
/// State of transactions.
pub const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";
/// State of share partitions (KIP-932).
pub const SHARE_GROUP_STATE_TOPIC: &str = "__share_group_state";
/// The KRaft log of the cluster's metadata.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Whether the brokers own this topic, so that clients see it flagged as internal.
pub fn is_internal(topic: &str) -> bool {
    matches!(topic, GROUP_METADATA_TOPIC | TRANSACTION_STATE_TOPIC | SHARE_GROUP_STATE_TOPIC)
}

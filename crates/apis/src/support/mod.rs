//! What several handlers share.

pub mod authorized_operations;
pub mod auto_topic_creation;
pub mod fetch_session;
pub mod metadata_cache;
pub mod response_cache;
pub mod topic_name;

//! The broker role: partitions, coordinators, and the requests of clients.

pub mod config_schema;
pub mod controller_requests;
pub mod coordinators;
pub mod dead_letters;
pub mod directories;
pub mod groups;
pub mod inter_broker;
pub mod lifecycle;
pub mod live_config;
pub mod log_tasks;
pub mod metadata_publisher;
pub mod producer_ids;
pub mod request_handler;
pub mod share_configs;
pub mod share_persister;
pub mod transaction_verifier;
pub mod transactions;

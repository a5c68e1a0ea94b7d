//! Producer, consumer and admin.
//!
//! [`NetworkClient`] knows the cluster and its connections; [`admin::Admin`],
//! [`producer::KafkaProducer`], [`consumer::KafkaConsumer`] and
//! [`share_consumer::KafkaShareConsumer`] stand on it. Properties have Kafka's names, defaults and
//! values ([`ClientConfig`]).

#![allow(
    clippy::needless_update,
    reason = "messages without tagged fields today may have some in the next release"
)]

pub mod admin;
mod config;
mod connection;
pub mod consumer;
mod error;
mod group_member;
mod group_protocol;
mod metadata;
mod network_client;
mod partitions;
pub mod producer;
pub mod share_consumer;

pub use config::{ClientConfig, CommonSettings};
pub use connection::{BrokerConnection, PendingAnswer};
pub use error::ClientError;
pub use metadata::{Metadata, Node, PartitionMetadata, TopicMetadata};
pub use network_client::{CoordinatorType, NetworkClient};

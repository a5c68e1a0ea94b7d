//! Topics that come to be because somebody asks for them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytestring::ByteString;
use ottla_common::internal_topics::{GROUP_METADATA_TOPIC, SHARE_GROUP_STATE_TOPIC, TRANSACTION_STATE_TOPIC};
use ottla_protocol::messages::CreateTopicsRequest;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use tracing::{info, warn};

use crate::context::Controller;
use crate::{Call, support::topic_name};

/// Shape of one internal topic, from its own configuration keys.
#[derive(Debug, Clone)]
pub struct InternalTopicShape {
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of each.
    pub replication_factor: i16,
    /// Configuration that its coordinator needs.
    pub configs: Vec<(String, String)>,
}

/// Shapes of the topics that are made on demand.
#[derive(Debug, Clone)]
pub struct AutoTopicShapes {
    /// `offsets.topic.*`.
    pub offsets: InternalTopicShape,
    /// `transaction.state.log.*`.
    pub transactions: InternalTopicShape,
    /// `share.coordinator.state.topic.*`.
    pub share_state: InternalTopicShape,
}

/// Creates missing topics once, however many requests ask for them meanwhile.
#[derive(Debug)]
pub struct AutoTopicCreationManager {
    controller: Arc<dyn Controller>,
    shapes: AutoTopicShapes,
    in_flight: Arc<Mutex<HashSet<String>>>,
    /// `request.timeout.ms` of the creation.
    timeout_ms: i32,
}

impl AutoTopicCreationManager {
    /// Sends creations to `controller`.
    pub fn new(controller: Arc<dyn Controller>, shapes: AutoTopicShapes, timeout_ms: i32) -> Self {
        Self { controller, shapes, in_flight: Arc::default(), timeout_ms }
    }

    /// Starts the creation of a topic and does not wait: the client asks again anyway. Answers false
    /// when no topic may have this name.
    pub fn create(&self, name: &str, call: &Call) -> bool {
        if !topic_name::is_valid(name) {
            return false;
        }
        let first = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        if first {
            self.spawn_creation(name.to_owned(), call.clone());
        }
        true
    }

    fn spawn_creation(&self, name: String, call: Call) {
        let controller = self.controller.clone();
        let in_flight = self.in_flight.clone();
        let request = CreateTopicsRequest {
            topics: vec![self.creatable(&name)],
            timeout_ms: self.timeout_ms,
            ..Default::default()
        };
        tokio::spawn(async move {
            let call = Call { version: 7, ..call };
            let response = controller.create_topics(&call, request).await;
            in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            for topic in response.topics.iter() {
                match topic.error_code {
                    // Made by somebody else meanwhile is as good.
                    0 | 36 => {
                        info!(logger = "kafka.server.DefaultAutoTopicCreationManager", "Created topic {name}")
                    }
                    code => warn!(
                        logger = "kafka.server.DefaultAutoTopicCreationManager",
                        "Cannot create topic {name}: error {code} {}",
                        topic.error_message.as_deref().unwrap_or_default()
                    ),
                }
            }
        });
    }

    fn creatable(&self, name: &str) -> CreatableTopic {
        let shape = match name {
            GROUP_METADATA_TOPIC => Some(&self.shapes.offsets),
            TRANSACTION_STATE_TOPIC => Some(&self.shapes.transactions),
            SHARE_GROUP_STATE_TOPIC => Some(&self.shapes.share_state),
            _ => None,
        };
        let config = |(name, value): &(String, String)| CreatableTopicConfig {
            name: name.as_str().into(),
            value: Some(value.as_str().into()),
            ..Default::default()
        };
        CreatableTopic {
            name: ByteString::from(name),
            // -1 leaves both numbers to the controller's defaults (KIP-464).
            num_partitions: shape.map_or(-1, |s| s.partitions),
            replication_factor: shape.map_or(-1, |s| s.replication_factor),
            configs: shape.map(|s| s.configs.iter().map(config).collect()).unwrap_or_default(),
            ..Default::default()
        }
    }
}

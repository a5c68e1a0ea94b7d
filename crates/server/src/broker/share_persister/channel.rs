use std::sync::Arc;

use bytestring::ByteString;
use ottla_apis::Call;
use ottla_apis::support::auto_topic_creation::AutoTopicCreationManager;
use ottla_common::ErrorCode;
use ottla_common::internal_topics::SHARE_GROUP_STATE_TOPIC;
use ottla_coordinator::share_state::SharePartitionKey;
use ottla_protocol::Request;

use super::client::StateChannel;
use crate::broker::inter_broker::{ChannelError, InterBrokerChannel};

/// The oldest version of each request that will do.
const OLDEST_VERSION: i16 = 0;

/// The channel between brokers.
#[derive(Debug)]
pub struct BrokerStateChannel {
    channel: Arc<InterBrokerChannel>,
    auto_topics: Arc<AutoTopicCreationManager>,
    /// In whose name the coordinators' topic is made.
    call: Call,
}

impl BrokerStateChannel {
    /// Asks over `channel`; makes `__share_group_state` through `auto_topics`. `listener` is the one between brokers.
    pub fn new(
        channel: Arc<InterBrokerChannel>,
        auto_topics: Arc<AutoTopicCreationManager>,
        listener: &str,
    ) -> Self {
        let client_host = ByteString::from_static("/127.0.0.1");
        let call = Call {
            version: 0,
            listener: listener.into(),
            connection_id: "".into(),
            client_id: None,
            client_host,
        };
        Self { channel, auto_topics, call }
    }
}

impl StateChannel for BrokerStateChannel {
    fn coordinator_of(&self, key: &SharePartitionKey) -> Option<i32> {
        if self.channel.metadata().topic_id(SHARE_GROUP_STATE_TOPIC).is_zero() {
            self.auto_topics.create(SHARE_GROUP_STATE_TOPIC, &self.call);
            return None;
        }
        self.channel.coordinator_of(SHARE_GROUP_STATE_TOPIC, &key.to_string())
    }

    async fn send<Q: Request>(&self, node_id: i32, request: Q) -> Result<Q::Response, ErrorCode> {
        self.channel.send(node_id, OLDEST_VERSION, &request).await.map_err(error_code)
    }
}

/// The words of Kafka's client for what went wrong on the way.
pub(in crate::broker) fn error_code(error: ChannelError) -> ErrorCode {
    match error {
        ChannelError::Disconnected => ErrorCode::NetworkException,
        ChannelError::UnsupportedVersion => ErrorCode::UnsupportedVersion,
        ChannelError::AuthenticationFailed(code) => code,
    }
}

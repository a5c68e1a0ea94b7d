//! DescribeConfigs (32), versions 1-4: keys, values, where each comes from, and what it means
//! (KIP-133, KIP-226, KIP-569).
//!
//! Errors per resource: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, INVALID_REQUEST.

use ottla_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use crate::{BrokerContext, Call};

/// Answers from the image and from this broker's own settings.
pub async fn handle(
    broker: &BrokerContext,
    _: &Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let image = broker.metadata.image();
    broker.configs.describe(&image, &request)
}

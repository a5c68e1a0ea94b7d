//! FindCoordinator (10), versions 0-6: which broker coordinates a group, a transaction (KIP-98), or a share group's
//! share of a partition (KIP-932, from version 6); several keys at once from version 4 on (KIP-699).
//!
//! Errors: COORDINATOR_NOT_AVAILABLE while the coordinator's topic is being made or has no leader, INVALID_REQUEST
//! for kinds of coordinators that do not exist and for keys that name no share-partition.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_common::internal_topics::{GROUP_METADATA_TOPIC, SHARE_GROUP_STATE_TOPIC, TRANSACTION_STATE_TOPIC};
use ottla_coordinator::share_state::SharePartitionKey;
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use crate::context::partition_for;
use crate::support::metadata_cache::alive_endpoint;
use crate::{BrokerContext, Call};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// From this version on clients may ask for share coordinators.
const SHARE_MIN_VERSION: i16 = 6;

/// Answers one key up to version 3, a list of keys from 4 on.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if call.version >= 4 {
        let coordinators = request
            .coordinator_keys
            .into_iter()
            .map(|key| find(broker, call, request.key_type, key))
            .collect();
        return FindCoordinatorResponse { coordinators, ..Default::default() };
    }
    let found = find(broker, call, request.key_type, request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

fn find(broker: &BrokerContext, call: &Call, key_type: i8, key: ByteString) -> Coordinator {
    let failed = |key, error: ErrorCode, message: Option<&'static str>| Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code: error.code(),
        error_message: message.map(ByteString::from_static),
        ..Default::default()
    };
    let place = match Place::of(call.version, key_type, &key) {
        Ok(place) => place,
        Err(message) => return failed(key, ErrorCode::InvalidRequest, Some(message)),
    };
    let image = broker.metadata.image();
    let Some(topic) = image.topics.topic_by_name(place.topic) else {
        broker.auto_topics.create(place.topic, call);
        return failed(key, ErrorCode::CoordinatorNotAvailable, None);
    };
    let num_partitions = i32::try_from(topic.partitions.size()).unwrap_or(i32::MAX);
    let partition = topic.partitions.get(&partition_for(&place.key, num_partitions));
    let endpoint =
        partition.and_then(|p| Some((p.leader, alive_endpoint(&image, p.leader, &call.listener)?)));
    match endpoint {
        None => failed(key, ErrorCode::CoordinatorNotAvailable, None),
        Some((node_id, endpoint)) => Coordinator {
            key,
            node_id,
            host: endpoint.host.as_str().into(),
            port: i32::from(endpoint.port),
            ..Default::default()
        },
    }
}

/// Where a coordinator keeps what a key names.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    topic: &'static str,
    /// What the partition of the topic follows from.
    key: String,
}

impl Place {
    fn of(version: i16, key_type: i8, key: &str) -> Result<Self, &'static str> {
        let in_topic = |topic| Ok(Self { topic, key: key.to_owned() });
        match key_type {
            GROUP => in_topic(GROUP_METADATA_TOPIC),
            TRANSACTION => in_topic(TRANSACTION_STATE_TOPIC),
            SHARE if version >= SHARE_MIN_VERSION => {
                let key: SharePartitionKey =
                    key.parse().map_err(|_| "The key must be of the form groupId:topicId:partition.")?;
                Ok(Self { topic: SHARE_GROUP_STATE_TOPIC, key: key.to_string() })
            }
            SHARE => Err("Share coordinators can be found from version 6 on."),
            _ => Err("There is no such kind of coordinator."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE_KEY: &str = "mi:grupo:AAAAAAAAAAAAAAAAAAAAAQ:3";

    #[test]
    fn every_kind_of_coordinator_has_a_topic() {
        let place = |key_type, key| Place::of(6, key_type, key).map(|place| (place.topic, place.key));
        assert_eq!(place(GROUP, "g"), Ok(("__consumer_offsets", "g".to_owned())));
        assert_eq!(place(TRANSACTION, "t"), Ok(("__transaction_state", "t".to_owned())));
        assert_eq!(place(SHARE, SHARE_KEY), Ok(("__share_group_state", SHARE_KEY.to_owned())));
        // Old clients may ask with an empty name.
        assert_eq!(Place::of(0, GROUP, "").map(|place| place.key), Ok(String::new()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for key in [
            "",
            "g",
            "g:AAAAAAAAAAAAAAAAAAAAAQ",
            "g:topic:1",
            "g:AAAAAAAAAAAAAAAAAAAAAQ:x",
            ":AAAAAAAAAAAAAAAAAAAAAQ:1",
        ] {
            assert!(Place::of(6, SHARE, key).is_err(), "{key}");
        }
        assert!(Place::of(5, SHARE, SHARE_KEY).is_err(), "before version 6 nobody knows of them");
        assert!(Place::of(6, 3, "g").is_err());
        assert!(Place::of(6, -1, "g").is_err());
    }
}

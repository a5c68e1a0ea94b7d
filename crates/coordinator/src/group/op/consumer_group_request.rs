//! What a ConsumerGroupHeartbeat must look like before anybody looks at the group.

use bytestring::ByteString;
use ottla_protocol::messages::ConsumerGroupHeartbeatRequest;

use crate::group::consumer::{ConsumerGroupConfig, ConsumerGroupError};
use crate::group::modern::{LEAVE_GROUP_MEMBER_EPOCH, LEAVE_GROUP_STATIC_MEMBER_EPOCH};

/// From this version on clients choose their member ids (KIP-1082).
const GENERATED_MEMBER_ID_MIN_VERSION: i16 = 1;
/// The longest text that a record's key can hold.
const KEY_TEXT_MAX_BYTES: usize = i16::MAX as usize;
const NOT_GIVEN: i32 = -1;

/// Checks a heartbeat by itself.
pub(super) fn validate_heartbeat(
    config: &ConsumerGroupConfig,
    api_version: i16,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), ConsumerGroupError> {
    let epoch = request.member_epoch;
    let knows_its_id =
        api_version >= GENERATED_MEMBER_ID_MIN_VERSION || epoch > 0 || epoch == LEAVE_GROUP_MEMBER_EPOCH;
    check(!knows_its_id || !is_blank(&request.member_id), "the member id must not be empty")?;
    check(request.member_id.len() <= KEY_TEXT_MAX_BYTES, "the member id is too long")?;
    check(!is_blank(&request.group_id), "the group id must not be empty")?;
    check(!request.instance_id.as_ref().is_some_and(is_blank), "the instance id must not be empty")?;
    check(!request.rack_id.as_ref().is_some_and(is_blank), "the rack id must not be empty")?;
    match epoch {
        0 => validate_join(request)?,
        LEAVE_GROUP_STATIC_MEMBER_EPOCH => {
            check(request.instance_id.is_some(), "the instance id must be given")?;
        }
        _ => check(epoch > LEAVE_GROUP_STATIC_MEMBER_EPOCH, "the member epoch is not valid")?,
    }
    match &request.server_assignor {
        Some(name) if config.assignor(name).is_none() => {
            Err(ConsumerGroupError::UnsupportedAssignor(name.clone()))
        }
        Some(_) | None => Ok(()),
    }
}

/// Who joins must say everything about itself. To read nothing is fine.
fn validate_join(request: &ConsumerGroupHeartbeatRequest) -> Result<(), ConsumerGroupError> {
    let subscribes = request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let has_nothing = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
    check(request.rebalance_timeout_ms != NOT_GIVEN, "who joins must give a rebalance timeout")?;
    check(has_nothing, "who joins must have no partitions, and say so")?;
    check(subscribes, "who joins must subscribe to topic names or to a regular expression")
}

fn check(holds: bool, or_else: &'static str) -> Result<(), ConsumerGroupError> {
    if holds { Ok(()) } else { Err(ConsumerGroupError::InvalidRequest(or_else)) }
}

/// Whether there is nothing to see in the text, in Java's sense: only blanks and control characters.
fn is_blank(text: &ByteString) -> bool {
    text.chars().all(|c| c <= ' ')
}

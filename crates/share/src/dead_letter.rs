//! The dead-letter queue (KIP-1191): where the records go that a share group gives up on.
//!
//! For each record, a record is written to the topic that the group names, with headers that tell where
//! it comes from and why. Key and value go along if the group wants that and they can still be read.
//! Nothing of this holds up the group: a record that cannot be written there is archived all the same.
//!
//! A range of records may need several produce requests. For each of them: read what is to be copied into
//! [`Copies`], make a batch with [`next_batch`], send it, go on behind its last offset.

mod batch;
mod copies;

use ottla_common::ErrorCode;
use thiserror::Error;

pub use self::batch::{DeadLetterBatch, DeadLetterSource, next_batch};
pub use self::copies::Copies;

/// Header: the topic that the record is from.
pub const HEADER_TOPIC: &str = "__dlq.errors.topic";
/// Header: the partition that the record is from.
pub const HEADER_PARTITION: &str = "__dlq.errors.partition";
/// Header: the record's offset.
pub const HEADER_OFFSET: &str = "__dlq.errors.offset";
/// Header: the group that gave it up.
pub const HEADER_GROUP: &str = "__dlq.errors.group";
/// Header: how often it was handed out.
pub const HEADER_DELIVERY_COUNT: &str = "__dlq.errors.delivery.count";
/// Header: why it was given up.
pub const HEADER_MESSAGE: &str = "__dlq.errors.message";

/// Configurations of a dead-letter topic that the broker creates by itself. The timestamps of records there
/// tell when they were given up, so the broker must not write its own over them.
pub const CREATED_TOPIC_CONFIGS: [(&str, &str); 2] =
    [("errors.deadletterqueue.group.enable", "true"), ("message.timestamp.type", "CreateTime")];

/// Bytes of one read of records to copy.
pub const MAX_FETCH_BYTES: i32 = 1024 * 1024;
/// How often a request is sent before it is given up.
pub const MAX_REQUEST_ATTEMPTS: u32 = 5;
/// Pause before a request is sent again; it doubles each time.
pub const REQUEST_BACKOFF_MS: i64 = 1_000;
/// The longest of these pauses.
pub const REQUEST_BACKOFF_MAX_MS: i64 = 30_000;

/// What is known of the topic that a group names as its dead-letter queue.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterTopic<'a> {
    /// The group's `errors.deadletterqueue.topic.name`, if it has one.
    pub name: Option<&'a str>,
    /// The broker's `errors.deadletterqueue.topic.name.prefix`.
    pub prefix: &'a str,
    /// Whether there is such a topic.
    pub exists: bool,
    /// The topic's `errors.deadletterqueue.group.enable`.
    pub enabled: bool,
    /// The broker's `errors.deadletterqueue.auto.create.topics.enable`.
    pub auto_create: bool,
}

/// Why a group's dead-letter queue cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DeadLetterError {
    /// The group names none.
    #[error("the share group has no dead-letter queue topic")]
    NotConfigured,
    /// Names of this kind are for internal topics.
    #[error("the name of the dead-letter queue topic begins with __")]
    InternalName,
    /// The topic does not want to be one.
    #[error("the topic is not enabled as a dead-letter queue")]
    NotEnabled,
    /// There is no such topic, and it may not be created.
    #[error("the dead-letter queue topic does not exist and is not created automatically")]
    Missing,
    /// The broker wants another name.
    #[error("the name of the dead-letter queue topic does not begin with the broker's prefix")]
    WrongPrefix,
}

impl DeadLetterTopic<'_> {
    /// Whether the queue may be used. To be asked before anything is read and before each request, for
    /// configurations change.
    pub fn check(&self) -> Result<(), DeadLetterError> {
        let name = self.name.filter(|name| !name.is_empty()).ok_or(DeadLetterError::NotConfigured)?;
        if name.starts_with("__") {
            return Err(DeadLetterError::InternalName);
        }
        if self.exists && !self.enabled {
            return Err(DeadLetterError::NotEnabled);
        }
        if !self.exists && !self.auto_create {
            return Err(DeadLetterError::Missing);
        }
        if !name.starts_with(self.prefix) {
            return Err(DeadLetterError::WrongPrefix);
        }
        Ok(())
    }
}

/// The partition of the queue for records of this partition, if the queue has any.
pub fn destination_partition(source_partition: i32, num_partitions: i32) -> Option<i32> {
    source_partition.checked_rem(num_partitions).filter(|partition| *partition >= 0)
}

/// Whether a produce request to the queue is worth another attempt.
pub fn is_retriable_produce_error(error: ErrorCode) -> bool {
    matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::NetworkException | ErrorCode::RequestTimedOut)
}

/// Whether the creation of the queue's topic is worth another attempt: somebody else may be creating it.
pub fn is_retriable_create_error(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::TopicAlreadyExists
            | ErrorCode::ThrottlingQuotaExceeded
            | ErrorCode::NetworkException
            | ErrorCode::RequestTimedOut
    )
}

/// The pause after so many failed attempts; nothing if there were enough.
pub fn backoff_ms(failed_attempts: u32) -> Option<i64> {
    if failed_attempts >= MAX_REQUEST_ATTEMPTS {
        return None;
    }
    let doublings = failed_attempts.saturating_sub(1).min(16);
    Some((REQUEST_BACKOFF_MS << doublings).min(REQUEST_BACKOFF_MAX_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> DeadLetterTopic<'static> {
        DeadLetterTopic {
            name: Some("dlq.envios"),
            prefix: "dlq.",
            exists: true,
            enabled: true,
            auto_create: false,
        }
    }

    #[test]
    fn a_topic_that_is_named_and_enabled_is_a_queue() {
        assert_eq!(topic().check(), Ok(()));
        let to_create = DeadLetterTopic { exists: false, enabled: false, auto_create: true, ..topic() };
        assert_eq!(to_create.check(), Ok(()));
        assert_eq!(DeadLetterTopic { prefix: "", name: Some("perdidos"), ..topic() }.check(), Ok(()));
    }

    #[test]
    fn whatever_else_is_none() {
        let refused = [
            (DeadLetterTopic { name: None, ..topic() }, DeadLetterError::NotConfigured),
            (DeadLetterTopic { name: Some(""), ..topic() }, DeadLetterError::NotConfigured),
            (DeadLetterTopic { name: Some("__dlq"), ..topic() }, DeadLetterError::InternalName),
            (DeadLetterTopic { enabled: false, ..topic() }, DeadLetterError::NotEnabled),
            (DeadLetterTopic { exists: false, ..topic() }, DeadLetterError::Missing),
            (DeadLetterTopic { name: Some("perdidos"), ..topic() }, DeadLetterError::WrongPrefix),
        ];
        for (topic, error) in refused {
            assert_eq!(topic.check(), Err(error));
        }
    }

    #[test]
    fn partitions_go_round() {
        assert_eq!(destination_partition(7, 3), Some(1));
        assert_eq!(destination_partition(7, 0), None);
        assert_eq!(destination_partition(-7, 3), None);
    }

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<_> = (1..=5).map(backoff_ms).collect();
        assert_eq!(pauses, [Some(1_000), Some(2_000), Some(4_000), Some(8_000), None]);
    }
}

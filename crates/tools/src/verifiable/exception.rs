//! Errors under the names that the Java clients have for them: tests look for the class.

use ottla_clients::ClientError;
use ottla_common::ErrorCode;

/// `class org.apache.kafka.common.errors.TimeoutException`, as Java prints a class.
pub(super) fn class(error: &ClientError) -> String {
    let name = match error {
        ClientError::Api { code, .. } => {
            return format!("class org.apache.kafka.common.errors.{}", exception(*code));
        }
        ClientError::Connect { .. } | ClientError::RequestTimeout { .. } | ClientError::Timeout { .. } => {
            "org.apache.kafka.common.errors.TimeoutException"
        }
        ClientError::Disconnected { .. } => "org.apache.kafka.common.errors.NetworkException",
        ClientError::UnsupportedVersion { .. } => {
            "org.apache.kafka.common.errors.UnsupportedVersionException"
        }
        ClientError::Config { .. } => "org.apache.kafka.common.config.ConfigException",
        ClientError::Closed | ClientError::IllegalState(_) => "java.lang.IllegalStateException",
        _ => "org.apache.kafka.common.KafkaException",
    };
    format!("class {name}")
}

/// What went wrong, without what was asked.
pub(super) fn message(error: &ClientError) -> String {
    match error {
        ClientError::Api { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// The exception of a code. Most have the code's name.
fn exception(code: ErrorCode) -> String {
    let name = match code {
        ErrorCode::UnknownServerError => "UnknownServerException",
        ErrorCode::CorruptMessage => "CorruptRecordException",
        ErrorCode::RequestTimedOut => "TimeoutException",
        ErrorCode::MessageTooLarge => "RecordTooLargeException",
        ErrorCode::NetworkException => "NetworkException",
        ErrorCode::InvalidTopicException => "InvalidTopicException",
        ErrorCode::RecordListTooLarge => "RecordBatchTooLargeException",
        ErrorCode::TopicAuthorizationFailed => "TopicAuthorizationException",
        ErrorCode::GroupAuthorizationFailed => "GroupAuthorizationException",
        ErrorCode::ClusterAuthorizationFailed => "ClusterAuthorizationException",
        ErrorCode::TransactionalIdAuthorizationFailed => "TransactionalIdAuthorizationException",
        ErrorCode::SaslAuthenticationFailed => "SaslAuthenticationException",
        ErrorCode::TopicAlreadyExists => "TopicExistsException",
        ErrorCode::InvalidConfig => "InvalidConfigurationException",
        ErrorCode::OutOfOrderSequenceNumber => "OutOfOrderSequenceException",
        ErrorCode::DuplicateSequenceNumber => "DuplicateSequenceException",
        ErrorCode::InvalidProducerIdMapping => "InvalidPidMappingException",
        ErrorCode::InvalidTransactionTimeout => "InvalidTxnTimeoutException",
        ErrorCode::KafkaStorageError => "KafkaStorageException",
        other => return format!("{other:?}Exception"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_javas() {
        let api = |code| class(&ClientError::api("topic t", code, None));
        assert_eq!(
            api(ErrorCode::UnknownTopicOrPartition),
            "class org.apache.kafka.common.errors.UnknownTopicOrPartitionException"
        );
        assert_eq!(
            api(ErrorCode::MessageTooLarge),
            "class org.apache.kafka.common.errors.RecordTooLargeException"
        );
        assert_eq!(class(&ClientError::Closed), "class java.lang.IllegalStateException");
    }

    #[test]
    fn messages_leave_out_what_was_asked() {
        let error = ClientError::api("topic t", ErrorCode::RequestTimedOut, Some("too slow"));
        assert_eq!(message(&error), "too slow");
    }
}

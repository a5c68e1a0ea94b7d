//! What a topic may be called.

use ottla_common::ErrorCode;

use crate::result::ApiError;

const MAX_NAME_LENGTH: usize = 249;

/// Checks a topic's name as Kafka does.
pub(super) fn validate(name: &str) -> Result<(), ApiError> {
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        _ if name.encode_utf16().count() > MAX_NAME_LENGTH => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_NAME_LENGTH}")
        }
        _ if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ),
        _ => return Ok(()),
    };
    Err(ApiError::new(ErrorCode::InvalidTopicException, format!("Topic name is invalid: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::validate;

    #[test]
    fn names_kafka_takes() {
        for name in ["a", "A.b_c-9", "__consumer_offsets", "...", &"x".repeat(249)] {
            assert!(validate(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a b", "ñ", "a/b", "a\0", &"x".repeat(250)] {
            assert!(validate(name).is_err(), "{name}");
        }
    }
}

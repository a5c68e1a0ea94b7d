use std::fmt;

use crate::ErrorCode;

/// Why a configuration was refused. The text is Kafka's, because scripts and people search for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    code: ErrorCode,
    message: String,
}

impl ConfigError {
    /// A setting that cannot stand, for a reason that names it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::InvalidConfig, message: message.into() }
    }

    /// A request about configuration that makes no sense.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::InvalidRequest, message: message.into() }
    }

    /// The value of one key is not allowed.
    pub fn value(name: &str, value: &str, reason: impl fmt::Display) -> Self {
        Self::new(format!("Invalid value {value} for configuration {name}: {reason}"))
    }

    /// The same text with another error code for the wire.
    pub fn with_code(self, code: ErrorCode) -> Self {
        Self { code, ..self }
    }

    /// The code that the client sees.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The text that the client sees.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

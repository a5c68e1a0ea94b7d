//! What deciding gives: records to write, and what to say once they are committed.

use ottla_common::ErrorCode;
use ottla_metadata::ApiMessageAndVersion;

/// The outcome of a decision. Nothing has changed yet: the records change things when they are replayed.
#[derive(Debug, Clone, PartialEq)]
pub struct ControllerResult<T> {
    /// Records to append. They may be none.
    pub records: Vec<ApiMessageAndVersion>,
    /// What to answer when the records are committed.
    pub response: T,
    /// Whether the records must become visible together.
    pub is_atomic: bool,
}

impl<T> ControllerResult<T> {
    /// Records that may become visible one after the other.
    pub fn of(records: Vec<ApiMessageAndVersion>, response: T) -> Self {
        Self { records, response, is_atomic: false }
    }

    /// Records that must become visible together.
    pub fn atomic_of(records: Vec<ApiMessageAndVersion>, response: T) -> Self {
        Self { records, response, is_atomic: true }
    }

    /// The same answer without its records: what a request that only validates gets.
    pub fn without_records(self) -> Self {
        Self { records: Vec::new(), ..self }
    }

    /// The same records with another answer.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> ControllerResult<U> {
        ControllerResult { records: self.records, response: f(self.response), is_atomic: self.is_atomic }
    }
}

/// An error as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {}", message.as_deref().unwrap_or_default())]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// More words, where Kafka has some.
    pub message: Option<String>,
}

impl ApiError {
    /// A bare code.
    pub fn code(code: ErrorCode) -> Self {
        Self { code, message: None }
    }

    /// A code with words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::code(code)
    }
}

/// Splits a result into the code and message of a response.
pub fn code_and_message<T>(result: &Result<T, ApiError>) -> (i16, Option<bytestring::ByteString>) {
    match result {
        Ok(_) => (ErrorCode::None.code(), None),
        Err(error) => (error.code.code(), error.message.as_deref().map(Into::into)),
    }
}

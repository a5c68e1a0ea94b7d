use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_coordinator::group::GroupError;
use ottla_coordinator::group::consumer::ConsumerGroupError;
use ottla_coordinator::group::share::ShareGroupError;
use ottla_coordinator::group::streams::StreamsGroupError;

/// Why a request is refused: a code, and words where there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: ErrorCode,
    pub(super) message: Option<ByteString>,
}

impl Refusal {
    pub(super) fn new(error: ErrorCode, message: impl Into<ByteString>) -> Self {
        Self { error, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Self {
        Self { error, message: None }
    }
}

impl From<GroupError> for Refusal {
    fn from(error: GroupError) -> Self {
        Self::from(error.code())
    }
}

impl From<ConsumerGroupError> for Refusal {
    fn from(error: ConsumerGroupError) -> Self {
        Self::new(error.code(), error.message())
    }
}

impl From<ShareGroupError> for Refusal {
    fn from(error: ShareGroupError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<StreamsGroupError> for Refusal {
    fn from(error: StreamsGroupError) -> Self {
        Self::new(error.code(), error.message())
    }
}

use thiserror::Error;

/// Why a tool ended without doing what was asked.
#[derive(Debug, Error)]
pub(crate) enum ToolError {
    /// The arguments make no sense; the message is followed by the list of options.
    #[error("{0}")]
    Usage(String),
    /// The arguments make no sense, and one sentence says it all.
    #[error("{0}")]
    Arguments(String),
    /// Something that the tool asked for was refused or did not happen.
    #[error("{0}")]
    Failed(String),
    /// Everything has been said already; only the exit status is left.
    #[error("exit status {0}")]
    Exit(i32),
}

impl From<std::io::Error> for ToolError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What most functions of a tool return.
pub(crate) type Result<T = ()> = std::result::Result<T, ToolError>;

/// A failure with this message.
pub(crate) fn failed<T>(message: impl Into<String>) -> Result<T> {
    Err(ToolError::Failed(message.into()))
}

/// Wrong arguments, with this message and the list of options.
pub(crate) fn usage<T>(message: impl Into<String>) -> Result<T> {
    Err(ToolError::Usage(message.into()))
}

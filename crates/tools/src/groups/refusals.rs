//! How the tools of groups say no.

use ottla_clients::ClientError;
use ottla_common::ErrorCode;

use crate::cluster::refusal;
use crate::error::ToolError;
use crate::output::outln;

/// As in Kafka the errors of these tools stand on standard output, after an empty line.
pub(crate) fn print_error(message: &str) {
    outln!("\nError: {message}");
}

/// What a cluster said no with, behind the name of the class that Java prints here.
pub(crate) fn refusal_with_class(error: ClientError) -> ToolError {
    let class = match &error {
        ClientError::Timeout { .. } => "Timeout".to_owned(),
        ClientError::UnsupportedVersion { .. } => "UnsupportedVersion".to_owned(),
        ClientError::Api { code, .. } => match code {
            ErrorCode::NonEmptyGroup => "GroupNotEmpty".to_owned(),
            ErrorCode::RequestTimedOut => "Timeout".to_owned(),
            ErrorCode::UnknownServerError => "UnknownServer".to_owned(),
            ErrorCode::KafkaStorageError => "KafkaStorage".to_owned(),
            code => {
                let class = format!("{code:?}").replace("AuthorizationFailed", "Authorization");
                class.strip_suffix("Exception").map(str::to_owned).unwrap_or(class)
            }
        },
        ClientError::IllegalState(message) => {
            return ToolError::Failed(format!("java.lang.IllegalStateException: {message}"));
        }
        _ => return refusal(error),
    };
    ToolError::Failed(format!("org.apache.kafka.common.errors.{class}Exception: {}", refusal(error)))
}

/// The same where Java prints the class that carries the failure, too.
pub(crate) fn refusal_of_future(error: ClientError) -> ToolError {
    ToolError::Failed(format!("java.util.concurrent.ExecutionException: {}", refusal_with_class(error)))
}

/// Kafka's own sentence about a group that was refused as a whole; `None` for other codes.
pub(crate) fn group_sentence(code: ErrorCode) -> Option<&'static str> {
    let is_about_the_group = matches!(
        code,
        ErrorCode::InvalidGroupId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::NonEmptyGroup
    );
    is_about_the_group.then(|| ClientError::explain(code))
}

/// `'a', 'b'`.
pub(crate) fn quoted<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_javas_names() {
        let text = |code| refusal_with_class(ClientError::api("x", code, Some("No."))).to_string();
        let name = |class: &str| format!("org.apache.kafka.common.errors.{class}: No.");
        assert_eq!(text(ErrorCode::NonEmptyGroup), name("GroupNotEmptyException"));
        assert_eq!(text(ErrorCode::GroupIdNotFound), name("GroupIdNotFoundException"));
        assert_eq!(text(ErrorCode::GroupAuthorizationFailed), name("GroupAuthorizationException"));
        assert_eq!(text(ErrorCode::InvalidTopicException), name("InvalidTopicException"));
        assert_eq!(text(ErrorCode::UnknownServerError), name("UnknownServerException"));
        let wrapped = refusal_of_future(ClientError::IllegalState("odd".to_owned())).to_string();
        assert_eq!(wrapped, "java.util.concurrent.ExecutionException: java.lang.IllegalStateException: odd");
    }

    #[test]
    fn names_in_quotes() {
        assert_eq!(quoted(&["a".to_owned(), "b".to_owned()]), "'a', 'b'");
        assert_eq!(quoted(&[]), "");
    }
}

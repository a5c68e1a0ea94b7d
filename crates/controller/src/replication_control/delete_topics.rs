//! DeleteTopics.

use std::collections::HashSet;

use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::ApiMessageAndVersion;
use ottla_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use ottla_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use ottla_protocol::records::metadata::RemoveTopicRecord;

use crate::quorum_controller::{MAX_RECORDS_PER_USER_OP, QuorumController};
use crate::result::{ApiError, ControllerResult, code_and_message};

impl QuorumController {
    /// Decides a DeleteTopics request of any version, for a caller who may delete and describe what it
    /// names. Topics fail or succeed one by one.
    pub fn delete_topics(&self, request: &DeleteTopicsRequest) -> ControllerResult<DeleteTopicsResponse> {
        let by_name = request.topic_names.iter().map(|name| (Some(name.clone()), Uuid::ZERO));
        let by_either = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
        let mut records = Vec::new();
        let mut deleted = HashSet::new();
        let mut responses = Vec::new();
        for (name, id) in by_name.chain(by_either) {
            let found = self.find_deletable(name.as_deref(), id);
            let known_name = found.as_ref().ok().and_then(|id| self.image().topics.topic_name(*id));
            let shown_id = found.as_ref().map_or(id, |id| *id);
            let shown_name = known_name.map(|name| (&**name).into()).or(name);
            let result = found.and_then(|id| {
                if !deleted.insert(id) {
                    let what = if shown_name.is_some() { "topic name." } else { "topic id." };
                    return Err(ApiError::new(ErrorCode::InvalidRequest, format!("Duplicate {what}")));
                }
                if deleted.len() > MAX_RECORDS_PER_USER_OP {
                    let message = "Unable to perform excessively large batch operation.";
                    return Err(ApiError::new(ErrorCode::PolicyViolation, message));
                }
                let record = RemoveTopicRecord { topic_id: id, ..Default::default() };
                records.push(ApiMessageAndVersion::new(record, 0));
                Ok(())
            });
            let (error_code, error_message) = code_and_message(&result);
            responses.push(DeletableTopicResult {
                name: shown_name,
                topic_id: shown_id,
                error_code,
                error_message,
                ..Default::default()
            });
        }
        let response = DeleteTopicsResponse { responses, ..Default::default() };
        ControllerResult::atomic_of(records, response)
    }

    fn find_deletable(&self, name: Option<&str>, id: Uuid) -> Result<Uuid, ApiError> {
        let topics = &self.image().topics;
        match (name, id.is_zero()) {
            (None, true) => {
                Err(ApiError::new(ErrorCode::InvalidRequest, "Neither topic name nor id were specified."))
            }
            (Some(_), false) => Err(ApiError::new(
                ErrorCode::InvalidRequest,
                "You may not specify both topic name and topic id.",
            )),
            (Some(name), true) => {
                topics.topic_id(name).ok_or(ApiError::code(ErrorCode::UnknownTopicOrPartition))
            }
            (None, false) if topics.topic(id).is_some() => Ok(id),
            (None, false) => Err(ApiError::code(ErrorCode::UnknownTopicId)),
        }
    }
}

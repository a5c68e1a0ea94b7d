//! DeleteGroups, for groups of every type. Nobody says which type a group is of, so each goes through every step.

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_coordinator::group::share::first_delete_error;
use ottla_coordinator::group::{GroupCoordinatorShard, ShareGroupDeletion};
use ottla_protocol::messages::delete_groups_response::DeletableGroupResult;
use ottla_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::GroupCoordinatorService;
use super::refusal::Refusal;

impl GroupCoordinatorService {
    /// Deletes groups that have no members, with everything that is known of them.
    pub async fn delete_groups(&self, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let mut response = DeleteGroupsResponse::default();
        for group_id in request.groups_names {
            if !response.results.iter().any(|result| result.group_id == group_id) {
                let deleted = self.delete_group(&group_id).await;
                response.results.push(deleted.unwrap_or_else(|refusal| result(group_id, refusal)));
            }
        }
        response
    }

    async fn delete_group(&self, group_id: &ByteString) -> Result<DeletableGroupResult, Refusal> {
        let partition = self.partition_of(group_id)?;
        self.forget_share_state(partition, group_id.clone()).await?;
        // A group that nothing is kept of, or that is none, is for the last step to judge.
        self.forget_description(partition, group_id).await?;
        let asked = group_id.clone();
        let mut results = self.write(partition, move |_, shard| Ok(shard.delete_groups(&[asked]))).await?;
        results.pop().ok_or(ErrorCode::UnknownServerError.into())
    }

    /// A share group goes when the share coordinator has forgotten it: nobody could ask it to, afterwards. Should the
    /// group not go in the end, its partitions begin anew.
    async fn forget_share_state(&self, partition: i32, group_id: ByteString) -> Result<(), ErrorCode> {
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            Ok(shard.share_group_deletion(now_ms, &group_id))
        };
        match self.write(partition, decide).await? {
            ShareGroupDeletion::Proceed => Ok(()),
            ShareGroupDeletion::Refused(error) => Err(error),
            ShareGroupDeletion::Forget(request) => {
                let answer = self.partners.persister.delete_state(request).await?;
                match first_delete_error(&answer) {
                    ErrorCode::None => Ok(()),
                    error => Err(error),
                }
            }
        }
    }
}

fn result(group_id: ByteString, refusal: Refusal) -> DeletableGroupResult {
    let Refusal { error, message } = refusal;
    DeletableGroupResult { group_id, error_code: error.code(), error_message: message, ..Default::default() }
}

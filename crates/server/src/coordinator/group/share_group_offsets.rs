//! How far share groups are (KIP-932): told, set anew, forgotten. The share coordinator knows, and the group notes
//! what it was asked to do.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_coordinator::group::{AlteredOffsets, DeletedOffsets, GroupCoordinatorShard, altered_offsets};
use ottla_protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use ottla_protocol::messages::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup;
use ottla_protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse,
    InitializeShareGroupStateResponse, ReadShareGroupStateSummaryResponse,
};

use super::GroupCoordinatorService;
use super::refusal::Refusal;

impl GroupCoordinatorService {
    /// How far groups are, and how much they have before them.
    pub async fn describe_share_group_offsets(
        &self,
        request: DescribeShareGroupOffsetsRequest,
    ) -> DescribeShareGroupOffsetsResponse {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            let group_id = group.group_id.clone();
            let described = self.describe_offsets_of(group).await;
            groups.push(described.unwrap_or_else(|error| not_described(group_id, error)));
        }
        DescribeShareGroupOffsetsResponse { groups, ..Default::default() }
    }

    /// Three steps: which partitions, how far the share coordinator says they are, and where they end.
    async fn describe_offsets_of(
        &self,
        group: DescribeShareGroupOffsetsRequestGroup,
    ) -> Result<DescribeShareGroupOffsetsResponseGroup, ErrorCode> {
        if group.topics.as_ref().is_some_and(Vec::is_empty) {
            let group_id = group.group_id;
            return Ok(DescribeShareGroupOffsetsResponseGroup { group_id, ..Default::default() });
        }
        let partition = self.partition_of(&group.group_id)?;
        let now_ms = self.time.now_ms();
        let look = move |committed: &GroupCoordinatorShard, _: &GroupCoordinatorShard| {
            committed.describe_share_group_offsets(now_ms, &group)
        };
        let mut described = self.read(partition, look).await?;
        let summary = match described.read.take() {
            Some(request) => self.partners.persister.read_summary(request).await?,
            None => ReadShareGroupStateSummaryResponse::default(),
        };
        let partitions = described.partitions_to_list(&summary);
        let ends = match partitions.is_empty() {
            true => BTreeMap::new(),
            false => self.partners.partition_metadata.list_latest_offsets(partitions).await,
        };
        Ok(described.finish(&summary, &ends))
    }

    /// An empty group begins anew at other offsets.
    pub async fn alter_share_group_offsets(
        &self,
        request: AlterShareGroupOffsetsRequest,
    ) -> AlterShareGroupOffsetsResponse {
        let partition = match self.partition_of(&request.group_id) {
            Ok(partition) => partition,
            Err(error) => return not_altered(error.into()),
        };
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            shard.alter_share_group_offsets(now_ms, &request).map_err(Refusal::from)
        };
        match self.write_or_refuse(partition, decide).await {
            Ok(altered) => self.initialize_altered(partition, altered).await,
            Err(refusal) => not_altered(refusal),
        }
    }

    async fn initialize_altered(
        &self,
        partition: i32,
        altered: AlteredOffsets,
    ) -> AlterShareGroupOffsetsResponse {
        let AlteredOffsets { response, initialize } = altered;
        let Some(request) = initialize else { return response };
        let initialized = self.partners.persister.initialize_state(request.clone()).await;
        let mut response = altered_offsets(response, initialized.as_ref().map_err(|error| *error));
        match initialized {
            // As in Kafka, what the share coordinator refused stays noted as on its way: the group's next member has
            // it asked for again.
            Ok(initialized) if all_initialized(&initialized) => {
                self.initializer(partition).note(request, initialized).await;
            }
            Ok(_) => {}
            Err(_) => response.responses.clear(),
        }
        response
    }

    /// An empty group forgets topics.
    pub async fn delete_share_group_offsets(
        &self,
        request: DeleteShareGroupOffsetsRequest,
    ) -> DeleteShareGroupOffsetsResponse {
        let partition = match self.partition_of(&request.group_id) {
            Ok(partition) => partition,
            Err(error) => return not_deleted(error.into()),
        };
        let group_id = request.group_id.clone();
        let decide = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            shard.initiate_delete_share_group_offsets(now_ms, &request).map_err(Refusal::from)
        };
        match self.write_or_refuse(partition, decide).await {
            Ok(deleted) => self.complete_delete(partition, group_id, deleted).await,
            Err(refusal) => not_deleted(refusal),
        }
    }

    async fn complete_delete(
        &self,
        partition: i32,
        group_id: ByteString,
        deleted: DeletedOffsets,
    ) -> DeleteShareGroupOffsetsResponse {
        let DeletedOffsets { errors, delete } = deleted;
        let Some(request) = delete else {
            return DeleteShareGroupOffsetsResponse { responses: errors, ..Default::default() };
        };
        let answer = match self.partners.persister.delete_state(request).await {
            Ok(answer) => answer,
            Err(error) => return not_deleted(error.into()),
        };
        let complete = move |now_ms: i64, shard: &GroupCoordinatorShard| {
            Ok(shard.complete_delete_share_group_offsets(now_ms, &group_id, &answer, errors))
        };
        let completed = self.write(partition, complete).await;
        completed.unwrap_or_else(|error| not_deleted(error.into()))
    }
}

fn all_initialized(response: &InitializeShareGroupStateResponse) -> bool {
    let mut partitions = response.results.iter().flat_map(|topic| &topic.partitions);
    partitions.all(|partition| partition.error_code == ErrorCode::None.code())
}

fn not_described(group_id: ByteString, error: ErrorCode) -> DescribeShareGroupOffsetsResponseGroup {
    let error_message = Some(ByteString::from_static(error.name()));
    DescribeShareGroupOffsetsResponseGroup {
        group_id,
        error_code: error.code(),
        error_message,
        ..Default::default()
    }
}

fn not_altered(refusal: Refusal) -> AlterShareGroupOffsetsResponse {
    let Refusal { error, message } = refusal;
    let error_message = message.or_else(|| Some(ByteString::from_static(error.name())));
    AlterShareGroupOffsetsResponse { error_code: error.code(), error_message, ..Default::default() }
}

fn not_deleted(refusal: Refusal) -> DeleteShareGroupOffsetsResponse {
    let Refusal { error, message } = refusal;
    let error_message = message.or_else(|| Some(ByteString::from_static(error.name())));
    DeleteShareGroupOffsetsResponse { error_code: error.code(), error_message, ..Default::default() }
}

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::OffsetCommitRequest;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use tokio::time::{Instant, sleep};

use super::KafkaConsumer;
use super::membership::Health;
use crate::admin::OffsetAndMetadata;
use crate::admin::group_offsets::{NAMES_IN_COMMIT, fetch_offsets};
use crate::partitions::by_topic;
use crate::{ClientError, CoordinatorType};

impl KafkaConsumer {
    /// Commits the position of every partition.
    pub async fn commit(&mut self) -> Result<(), ClientError> {
        let offsets = self.partitions.iter().filter_map(|(tp, p)| Some((tp.clone(), p.offset?.into())));
        let offsets: BTreeMap<_, OffsetAndMetadata> = offsets.collect();
        self.commit_offsets(&offsets).await
    }

    /// Commits these offsets: each is the next record to read.
    pub async fn commit_offsets(
        &mut self,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<(), ClientError> {
        let Some(group) = self.settings.group_id.clone() else {
            return Err(ClientError::IllegalState("a group is needed to commit; set group.id".into()));
        };
        self.last_commit = Instant::now();
        if offsets.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + self.client.settings().api_timeout;
        let result = loop {
            let request = self.commit_request(&group, offsets);
            let result = self.exchange_commit(&request).await;
            // The coordinator gave a newer epoch, and its heartbeat is about to bring it.
            let stale = result.as_ref().is_err_and(|e| e.code() == Some(ErrorCode::StaleMemberEpoch));
            if !stale || self.member().is_none() || Instant::now() >= deadline {
                break result;
            }
            sleep(self.client.settings().retry_backoff).await;
        };
        if let (Err(error), Some(membership)) = (&result, &self.membership) {
            match error.code() {
                Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {
                    membership.pulse.set(Health::Lost);
                }
                Some(ErrorCode::RebalanceInProgress) => membership.pulse.set(Health::Rejoin),
                _ => {}
            }
        }
        result
    }

    fn commit_request(
        &self,
        group: &ByteString,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> OffsetCommitRequest {
        let topics =
            by_topic(offsets.iter(), |partition_index, o: &OffsetAndMetadata| OffsetCommitRequestPartition {
                partition_index,
                committed_offset: o.offset,
                committed_leader_epoch: o.leader_epoch.unwrap_or(-1),
                committed_metadata: Some(o.metadata.clone()),
                ..Default::default()
            });
        let topics = topics.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
            name,
            partitions,
            ..Default::default()
        });
        let member = self.member();
        let (member_id, generation) = member.clone().unwrap_or((ByteString::new(), -1));
        OffsetCommitRequest {
            group_id: group.clone(),
            generation_id_or_member_epoch: generation,
            member_id,
            group_instance_id: self.settings.group_instance_id.clone().filter(|_| member.is_some()),
            topics: topics.collect(),
            ..OffsetCommitRequest::default()
        }
    }

    async fn exchange_commit(&self, request: &OffsetCommitRequest) -> Result<(), ClientError> {
        let group = &request.group_id;
        self.client
            .retrying("OffsetCommit", || async {
                let coordinator = self.client.find_coordinator(CoordinatorType::Group, group).await?;
                let connection = self.client.node(coordinator).await?;
                let version = connection.version_up_to::<OffsetCommitRequest>(NAMES_IN_COMMIT)?;
                let patience = self.client.settings().request_timeout;
                let response = connection.send_version(request, version, patience).await?;
                for t in &response.topics {
                    for p in &t.partitions {
                        let what = format!("commit of {}-{} in group {group}", t.name, p.partition_index);
                        ClientError::check(what, p.error_code, None)?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// The committed offsets of partitions; those without one are left out.
    pub async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        let Some(group) = &self.settings.group_id else { return Ok(BTreeMap::new()) };
        self.client
            .retrying("OffsetFetch", || async {
                let coordinator = self.client.find_coordinator(CoordinatorType::Group, group).await?;
                // Offsets of open transactions are waited for (KIP-447).
                fetch_offsets(&self.client, coordinator, group, Some(partitions), true).await
            })
            .await
    }

    pub(super) async fn commit_if_due(&mut self) {
        let due = self.settings.auto_commit.is_some_and(|interval| self.last_commit.elapsed() >= interval);
        let member_or_assigned = self.membership.is_some() || self.joining.is_none();
        if due && member_or_assigned {
            self.auto_commit().await;
        }
    }

    pub(super) async fn commit_before_rebalance(&mut self) {
        if self.settings.auto_commit.is_some() {
            self.auto_commit().await;
        }
    }

    async fn auto_commit(&mut self) {
        if let Err(error) = self.commit().await {
            // The next interval tries again; the records would only be seen twice.
            tracing::debug!("Auto commit failed: {error}");
        }
    }
}

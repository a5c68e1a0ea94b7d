use std::collections::BTreeMap;

use ottla_common::time::{SystemTime, Time};
use ottla_common::{ErrorCode, TopicPartition};
use tokio::time::{Instant, timeout_at};

use super::{AutoOffsetReset, KafkaConsumer, Position};
use crate::admin::offsets::list_offsets;
use crate::admin::{Admin, ListedOffset, OffsetSpec, Outcomes};
use crate::{ClientError, TopicMetadata};

impl KafkaConsumer {
    /// Goes on with this offset.
    pub fn seek(&mut self, tp: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        let position = self.assigned(tp)?;
        position.offset = Some(offset);
        position.reset = None;
        self.ready.retain(|fetch| fetch.tp != *tp);
        Ok(())
    }

    /// Goes on with the first record.
    pub fn seek_to_beginning(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.seek_later(partitions, AutoOffsetReset::Earliest)
    }

    /// Goes on with the next record that comes.
    pub fn seek_to_end(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.seek_later(partitions, AutoOffsetReset::Latest)
    }

    /// The next offset this consumer will hand out, once it is known.
    pub fn position(&self, tp: &TopicPartition) -> Option<i64> {
        self.partitions.get(tp)?.offset
    }

    /// The first offsets of partitions.
    pub async fn beginning_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        self.offsets(partitions, OffsetSpec::Earliest).await
    }

    /// The offsets after the last record this consumer may see.
    pub async fn end_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        self.offsets(partitions, OffsetSpec::Latest).await
    }

    /// The first records at or after a time; partitions without one are left out.
    pub async fn offsets_for_times(
        &self,
        times: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, ListedOffset>, ClientError> {
        let wanted = times.iter().map(|(tp, time)| (tp.clone(), OffsetSpec::ForTimestamp(*time))).collect();
        let listed = self.list(wanted).await?;
        let mut found = BTreeMap::new();
        for (tp, outcome) in listed {
            let listed = outcome?;
            if listed.offset >= 0 {
                found.insert(tp, listed);
            }
        }
        Ok(found)
    }

    /// The partitions of a topic.
    pub async fn partitions_for(&self, topic: &str) -> Result<TopicMetadata, ClientError> {
        let admin = Admin::with_client(self.client.clone());
        let described = admin.describe_topics(&[topic]).await?.into_iter().next();
        let unknown = || ClientError::api(format!("topic {topic}"), ErrorCode::UnknownTopicOrPartition, None);
        described.ok_or_else(unknown)?.1
    }

    async fn offsets(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        let listed = self.list(partitions.iter().map(|tp| (tp.clone(), spec)).collect()).await?;
        listed.into_iter().map(|(tp, outcome)| Ok((tp, outcome?.offset))).collect()
    }

    async fn list(
        &self,
        wanted: Vec<(TopicPartition, OffsetSpec)>,
    ) -> Result<Outcomes<TopicPartition, ListedOffset>, ClientError> {
        let committed = self.settings.read_committed;
        self.client.retrying("ListOffsets", || list_offsets(&self.client, &wanted, committed)).await
    }

    fn seek_later(&mut self, partitions: &[TopicPartition], to: AutoOffsetReset) -> Result<(), ClientError> {
        for tp in partitions {
            let position = self.assigned(tp)?;
            position.offset = None;
            position.reset = Some(to);
        }
        Ok(())
    }

    fn assigned(&mut self, tp: &TopicPartition) -> Result<&mut Position, ClientError> {
        let missing = || ClientError::IllegalState(format!("{tp} is not assigned to this consumer"));
        self.partitions.get_mut(tp).ok_or_else(missing)
    }

    /// Finds out where to read partitions that have no position: where the group was, else as
    /// `auto.offset.reset` says.
    pub(super) async fn find_positions(&mut self, deadline: Instant) -> Result<(), ClientError> {
        if self.partitions.values().all(|p| p.offset.is_some()) {
            return Ok(());
        }
        // At least one exchange is let through, however short the poll.
        let deadline =
            deadline.max(Instant::now() + self.client.settings().request_timeout.min(PATIENCE_MIN));
        match timeout_at(deadline, self.find_positions_now()).await {
            Ok(Err(error)) if error.is_retriable() || is_timeout(&error) => {
                tracing::debug!("Positions are not known yet: {error}");
                self.not_before = Instant::now() + self.client.settings().retry_backoff;
                Ok(())
            }
            Ok(Err(error)) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                // The topic may be about to appear, as with Kafka's consumer.
                tracing::warn!("{error}; waiting for it");
                self.not_before = Instant::now() + self.client.settings().retry_backoff_max;
                Ok(())
            }
            Ok(result) => result,
            Err(_) => Ok(()),
        }
    }

    async fn find_positions_now(&mut self) -> Result<(), ClientError> {
        let open: Vec<_> =
            self.partitions.iter().filter(|(_, p)| p.offset.is_none() && p.reset.is_none()).collect();
        let open: Vec<_> = open.into_iter().map(|(tp, _)| tp.clone()).collect();
        if !open.is_empty() {
            let committed = self.committed(&open).await?;
            for tp in open {
                let Some(position) = self.partitions.get_mut(&tp) else { continue };
                match committed.get(&tp) {
                    Some(found) => position.offset = Some(found.offset),
                    None => position.reset = Some(self.settings.auto_offset_reset),
                }
            }
        }
        let mut wanted = Vec::new();
        for (tp, position) in &self.partitions {
            let spec = match position.reset.filter(|_| position.offset.is_none()) {
                Some(AutoOffsetReset::Earliest) => OffsetSpec::Earliest,
                Some(AutoOffsetReset::Latest) => OffsetSpec::Latest,
                Some(AutoOffsetReset::ByDuration(ms)) => {
                    OffsetSpec::ForTimestamp((SystemTime::default().now_ms() - ms).max(0))
                }
                Some(AutoOffsetReset::None) => {
                    let message = "no committed offset, and auto.offset.reset is none";
                    return Err(ClientError::IllegalState(format!("{tp}: {message}")));
                }
                None => continue,
            };
            wanted.push((tp.clone(), spec));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        for (tp, outcome) in self.list(wanted).await? {
            let listed = outcome?;
            let Some(position) = self.partitions.get_mut(&tp) else { continue };
            if listed.offset >= 0 {
                position.offset = Some(listed.offset);
                position.reset = None;
            } else {
                // No record is that young yet.
                position.reset = Some(AutoOffsetReset::Latest);
            }
        }
        Ok(())
    }
}

const PATIENCE_MIN: std::time::Duration = std::time::Duration::from_secs(5);

fn is_timeout(error: &ClientError) -> bool {
    matches!(error, ClientError::Timeout { .. })
}

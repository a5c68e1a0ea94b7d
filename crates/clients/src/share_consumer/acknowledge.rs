//! What the application says of records, and what brokers say to that.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_common::{ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::KafkaShareConsumer;
use super::acknowledgements::{AcknowledgeType, Acknowledgements};
use super::session::TopicIdPartition;
use super::settings::AcknowledgementMode;
use crate::ClientError;
use crate::consumer::ConsumerRecord;

/// Hears what brokers say to acknowledgements: the partition, its offsets as ranges, and the error.
pub type AcknowledgementCallback =
    Box<dyn FnMut(&TopicPartition, &[(i64, i64)], Result<(), &ClientError>) + Send>;

impl KafkaShareConsumer {
    /// Says what became of a record of the last poll, with explicit acknowledgement. Brokers are
    /// told with the next poll or commit.
    pub fn acknowledge(
        &mut self,
        record: &ConsumerRecord,
        acknowledgement: AcknowledgeType,
    ) -> Result<(), ClientError> {
        self.acknowledge_offset(&record.topic, record.partition, record.offset, acknowledgement)
    }

    /// The same, of a record known by its offset.
    pub fn acknowledge_offset(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        acknowledgement: AcknowledgeType,
    ) -> Result<(), ClientError> {
        if self.settings.acknowledgement_mode == AcknowledgementMode::Implicit {
            let message = "records are acknowledged by the next poll; to do it one by one, set \
                           share.acknowledgement.mode=explicit";
            return Err(ClientError::IllegalState(message.into()));
        }
        if self.in_flight.acknowledge(topic, partition, offset, acknowledgement) {
            return Ok(());
        }
        let message = format!("offset {offset} of {topic}-{partition} is not with this consumer");
        Err(ClientError::IllegalState(message))
    }

    /// Tells the brokers what became of records and waits for what they say, at most for
    /// `default.api.timeout.ms`. With implicit acknowledgement, all records of the last poll were
    /// processed.
    pub async fn commit_sync(
        &mut self,
    ) -> Result<BTreeMap<TopicPartition, Result<(), ClientError>>, ClientError> {
        let patience = self.client.settings().api_timeout;
        let deadline = Instant::now() + patience;
        self.take_in_finished()?;
        self.acknowledge_implicitly();
        self.queue_acknowledgements();
        self.outcomes = Some(BTreeMap::new());
        let waited = self.wait_for_acknowledgements(deadline).await;
        self.give_up_pending(patience);
        let outcomes = self.outcomes.take().unwrap_or_default();
        waited.map(|()| outcomes)
    }

    /// Tells the brokers what became of records, in the background.
    pub fn commit_async(&mut self) -> Result<(), ClientError> {
        self.take_in_finished()?;
        self.acknowledge_implicitly();
        self.queue_acknowledgements();
        self.launch_acknowledgements();
        Ok(())
    }

    /// Who hears what brokers say to acknowledgements, during calls of this consumer.
    pub fn set_acknowledgement_commit_callback(&mut self, callback: Option<AcknowledgementCallback>) {
        self.callback = callback;
    }

    /// Who polls again has processed what the poll before handed out.
    pub(super) fn acknowledge_implicitly(&mut self) {
        if self.settings.acknowledgement_mode == AcknowledgementMode::Implicit {
            self.in_flight.acknowledge_all(AcknowledgeType::Accept);
        }
    }

    /// What was said is to be told.
    pub(super) fn queue_acknowledgements(&mut self) {
        for (node, tip, acks) in self.in_flight.take() {
            self.queue(node, tip, acks);
        }
    }

    pub(super) fn queue(&mut self, node: i32, tip: TopicIdPartition, acks: Acknowledgements) {
        self.pending.entry(node).or_default().entry(tip).or_default().merge(acks);
    }

    /// A broker took acknowledgements, or will not.
    pub(super) fn settle(
        &mut self,
        node: i32,
        tip: &TopicIdPartition,
        acks: Acknowledgements,
        result: Result<(), ClientError>,
    ) {
        if self.outcomes.is_some() && result.as_ref().is_err_and(may_pass) {
            // Somebody waits, so it is worth another try.
            self.not_before = Instant::now() + self.client.settings().retry_backoff;
            return self.queue(node, tip.clone(), acks);
        }
        self.in_flight.settled(node, tip, &acks, result.is_ok());
        if let Err(error) = &result {
            tracing::warn!("Records of {} may be handed out again: {error}", tip.tp);
        }
        if let Some(callback) = &mut self.callback {
            callback(&tip.tp, &acks.offsets(), result.as_ref().copied());
        }
        if let Some(outcomes) = &mut self.outcomes {
            let outcome = outcomes.entry(tip.tp.clone()).or_insert(Ok(()));
            if outcome.is_ok() {
                *outcome = result;
            }
        }
    }

    async fn wait_for_acknowledgements(&mut self, deadline: Instant) -> Result<(), ClientError> {
        while Instant::now() < deadline {
            self.launch_acknowledgements();
            // A fetch on its way may carry acknowledgements as well.
            if self.pending.is_empty() && self.busy.is_empty() {
                break;
            }
            let pause = self.client.settings().retry_backoff.max(Duration::from_millis(10));
            self.wait(deadline.min(Instant::now() + pause)).await?;
        }
        Ok(())
    }

    pub(super) fn give_up_pending(&mut self, waited: Duration) {
        for (node, acks) in std::mem::take(&mut self.pending) {
            for (tip, of) in acks {
                let what = format!("acknowledgement of {}", tip.tp);
                let cause = "no answer; see default.api.timeout.ms".to_owned();
                self.settle(node, &tip, of, Err(ClientError::Timeout { what, waited, cause }));
            }
        }
    }
}

/// Whether the same broker may say something else in a moment, in the same session.
fn may_pass(error: &ClientError) -> bool {
    let elsewhere = [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::FencedLeaderEpoch,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::NetworkException,
        ErrorCode::ShareSessionNotFound,
        ErrorCode::InvalidShareSessionEpoch,
        ErrorCode::ShareSessionLimitReached,
    ];
    error.code().is_some_and(|code| code.is_retriable() && !elsewhere.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_not_tried_again() {
        let error = |code| ClientError::api("t-0", code, None);
        assert!(may_pass(&error(ErrorCode::CoordinatorLoadInProgress)));
        for code in [
            ErrorCode::InvalidRecordState,
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::ShareSessionNotFound,
            ErrorCode::NetworkException,
        ] {
            assert!(!may_pass(&error(code)), "{code}");
        }
        assert!(!may_pass(&ClientError::Closed));
    }
}

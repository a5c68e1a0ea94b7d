//! Which broker is asked for what, and what follows from the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytestring::ByteString;
use ottla_common::ErrorCode;
use tokio::time::Instant;

use super::KafkaShareConsumer;
use super::acknowledgements::Acknowledgements;
use super::completed_fetch::ShareCompletedFetch;
use super::exchange::{AcknowledgementMap, Answer, Exchange, Exchanged, PartitionAnswer, Work};
use super::session::{FINAL_EPOCH, TopicIdPartition};
use super::settings::AcquireMode;
use crate::ClientError;

impl KafkaShareConsumer {
    /// Asks every broker that is free: for records of the assigned partitions it leads, together
    /// with what is to be acknowledged there.
    pub(super) async fn launch_fetches(&mut self) {
        if Instant::now() < self.not_before {
            return self.launch_acknowledgements();
        }
        let mut by_node = self.assigned_by_leader().await;
        if self.settings.acquire_mode == AcquireMode::RecordLimit {
            self.keep_one(&mut by_node);
        }
        for (node, wanted) in by_node {
            if self.busy.contains_key(&node) || self.renews(node) {
                continue;
            }
            let acks = self.take_pending(node);
            let session = self.sessions.entry(node).or_default();
            let update = session.update(&wanted, acks.keys());
            let known = session.partitions().clone();
            self.launch(node, Work::Fetch { update, records: true }, acks, known);
        }
        self.launch_acknowledgements();
        self.tidy_sessions();
    }

    /// Tells brokers that are free what became of records.
    pub(super) fn launch_acknowledgements(&mut self) {
        if Instant::now() < self.not_before {
            return;
        }
        let nodes: Vec<_> = self.pending.keys().copied().collect();
        for node in nodes {
            if self.busy.contains_key(&node) {
                continue;
            }
            let acks = self.take_pending(node);
            if let Some(session) = self.sessions.get(&node).filter(|_| !acks.is_empty()) {
                let work = Work::Acknowledge { epoch: session.epoch() };
                self.launch(node, work, acks, BTreeSet::new());
            }
        }
    }

    /// Closes every session, with the last acknowledgements.
    pub(super) async fn close_sessions(&mut self) {
        let patience = self.client.settings().api_timeout;
        let deadline = Instant::now() + patience;
        while !self.busy.is_empty() && Instant::now() < deadline {
            if let Err(error) = self.wait(deadline).await {
                tracing::debug!("While closing: {error}");
            }
        }
        let nodes: BTreeSet<_> = self.sessions.keys().chain(self.pending.keys()).copied().collect();
        for node in nodes {
            let acks = self.take_pending(node);
            if self.sessions.get(&node).is_some_and(|session| !session.is_new()) {
                self.launch(node, Work::Acknowledge { epoch: FINAL_EPOCH }, acks, BTreeSet::new());
            }
        }
        while !self.busy.is_empty() && Instant::now() < deadline {
            if let Err(error) = self.wait(deadline).await {
                tracing::debug!("While closing: {error}");
            }
        }
        self.give_up_pending(patience);
        self.sessions.clear();
        self.ready.clear();
        self.in_flight.clear();
    }

    /// An answer, or none.
    pub(super) fn take_in(&mut self, exchanged: Exchanged) -> Result<(), ClientError> {
        let Exchanged { node, acks, fetched, closed, result } = exchanged;
        self.busy.remove(&node);
        let outcome = match result {
            Ok(answer) => self.take_in_answer(node, fetched, acks, answer),
            Err(error) => self.take_in_failure(node, acks, error),
        };
        if closed {
            self.sessions.remove(&node);
        }
        outcome
    }

    fn take_in_answer(
        &mut self,
        node: i32,
        fetched: bool,
        mut acks: AcknowledgementMap,
        answer: Answer,
    ) -> Result<(), ClientError> {
        if let Some(session) = self.sessions.get_mut(&node) {
            session.on_answer(answer.code);
        }
        if !answer.code.is_none() {
            let what = format!("share group {} at broker {node}", self.settings.group_id);
            let error = ClientError::api(what, answer.code, answer.message.as_deref());
            return self.refused(node, acks, error);
        }
        self.lock_timeout = answer.lock_timeout.or(self.lock_timeout);
        let mut outcome = Ok(());
        for partition in answer.partitions {
            if let Some(of) = acks.remove(&partition.tip) {
                let (code, message) = (partition.acknowledge_code, partition.acknowledge_message.as_deref());
                let what = format!("acknowledgement of {}", partition.tip.tp);
                let result = ClientError::check(what, code.code(), message);
                self.settle(node, &partition.tip, of, result);
            }
            if fetched && let Err(error) = self.take_in_partition(node, partition) {
                outcome = Err(error);
            }
        }
        for (tip, of) in acks {
            let what = format!("acknowledgement of {}", tip.tp);
            let message = Some("the broker's answer leaves it out");
            let error = ClientError::api(what, ErrorCode::InvalidRecordState, message);
            self.settle(node, &tip, of, Err(error));
        }
        outcome
    }

    fn take_in_partition(&mut self, node: i32, partition: PartitionAnswer) -> Result<(), ClientError> {
        let PartitionAnswer { tip, code, message, records, acquired, .. } = partition;
        match code {
            ErrorCode::None if acquired.is_empty() => Ok(()),
            ErrorCode::None => {
                let crcs = self.settings.check_crcs;
                self.ready.push_back(ShareCompletedFetch::new(node, tip, records, acquired, crcs));
                Ok(())
            }
            code if code.is_retriable() => {
                tracing::debug!("No records of {}: {code}", tip.tp);
                self.moved([&tip]);
                Ok(())
            }
            code => Err(ClientError::api(tip.tp.to_string(), code, message.as_deref())),
        }
    }

    /// Nobody knows what the broker heard, so the session begins anew.
    fn take_in_failure(
        &mut self,
        node: i32,
        acks: AcknowledgementMap,
        error: ClientError,
    ) -> Result<(), ClientError> {
        if let Some(session) = self.sessions.get_mut(&node) {
            session.lost();
        }
        self.refused(node, acks, error)
    }

    fn refused(
        &mut self,
        node: i32,
        acks: AcknowledgementMap,
        error: ClientError,
    ) -> Result<(), ClientError> {
        tracing::debug!("Request to broker {node} failed: {error}");
        for (tip, of) in acks {
            self.settle(node, &tip, of, Err(error.clone()));
        }
        let unknown_topic = error.code() == Some(ErrorCode::UnknownTopicId);
        let gone = error.code() == Some(ErrorCode::BrokerNotAvailable);
        if !error.is_retriable() && !unknown_topic && !gone {
            return Err(error);
        }
        let of_node = self.sessions.get(&node).map(|session| session.partitions().clone());
        self.moved(of_node.iter().flatten());
        Ok(())
    }

    /// Partitions are somewhere else, or will be back in a moment.
    fn moved<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicIdPartition>) {
        for tip in partitions {
            self.client.forget_topic(&tip.tp.topic);
        }
        self.not_before = Instant::now() + self.client.settings().retry_backoff;
    }

    /// The assigned partitions by who leads them; asks for metadata where nobody is known to.
    async fn assigned_by_leader(&mut self) -> BTreeMap<i32, BTreeSet<TopicIdPartition>> {
        let metadata = self.client.metadata();
        let mut by_node: BTreeMap<i32, BTreeSet<TopicIdPartition>> = BTreeMap::new();
        let mut leaderless = BTreeSet::new();
        for tip in &self.assignment {
            match metadata.leader(&tip.tp.topic, tip.tp.partition) {
                Some(node) => {
                    by_node.entry(node).or_default().insert(tip.clone());
                }
                None => {
                    leaderless.insert(ByteString::from(&*tip.tp.topic));
                }
            }
        }
        if !leaderless.is_empty() && Instant::now() >= self.next_lookup {
            self.next_lookup = Instant::now() + self.client.settings().retry_backoff;
            let topics: Vec<_> = leaderless.into_iter().collect();
            if let Err(error) = self.client.refresh_metadata(Some(&topics), false).await {
                tracing::debug!("Cannot refresh metadata: {error}");
            }
        }
        by_node
    }

    /// With a limit on records only one broker acquires some at a time.
    fn keep_one(&mut self, by_node: &mut BTreeMap<i32, BTreeSet<TopicIdPartition>>) {
        if self.busy.values().any(|fetches| *fetches) {
            by_node.clear();
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        let chosen = by_node.keys().nth(self.turn % by_node.len().max(1)).copied();
        by_node.retain(|node, _| Some(*node) == chosen);
    }

    /// Brokers that lead nothing for this consumer any more forget its partitions; once nothing of
    /// theirs is here, their sessions are closed.
    fn tidy_sessions(&mut self) {
        let metadata = self.client.metadata();
        let leads = |tip: &TopicIdPartition, node| {
            metadata.leader(&tip.tp.topic, tip.tp.partition).is_none_or(|leader| leader == node)
        };
        let holders = self.holders();
        let idle = self.sessions.iter().filter(|(node, session)| {
            let wanted = self.assignment.iter().any(|tip| leads(tip, **node));
            !wanted && !session.is_new() && !self.busy.contains_key(*node)
        });
        let idle: Vec<i32> = idle.map(|(node, _)| *node).collect();
        for node in idle {
            let Some(session) = self.sessions.get_mut(&node) else { continue };
            if !holders.contains(&node) {
                let work = Work::Acknowledge { epoch: FINAL_EPOCH };
                self.launch(node, work, AcknowledgementMap::new(), BTreeSet::new());
            } else if !session.partitions().is_empty() {
                let update = session.update(&BTreeSet::new(), std::iter::empty());
                let work = Work::Fetch { update, records: false };
                self.launch(node, work, AcknowledgementMap::new(), BTreeSet::new());
            }
        }
    }

    /// What a broker is to be told, where it can be: within a session it knows.
    fn take_pending(&mut self, node: i32) -> AcknowledgementMap {
        let acks = self.pending.remove(&node).unwrap_or_default();
        if self.sessions.get(&node).is_some_and(|session| !session.is_new()) {
            return acks;
        }
        for (tip, of) in acks {
            let what = format!("acknowledgement of {}", tip.tp);
            let message = Some("the session in which the record was handed out is lost");
            let error = ClientError::api(what, ErrorCode::NetworkException, message);
            self.settle(node, &tip, of, Err(error));
        }
        AcknowledgementMap::new()
    }

    /// Whether records of a broker are to be kept: such acknowledgements go on their own.
    fn renews(&self, node: i32) -> bool {
        let keeps = |acks: &Acknowledgements| acks.renewals().next().is_some();
        self.pending.get(&node).is_some_and(|acks| acks.values().any(keeps))
    }

    fn launch(&mut self, node: i32, work: Work, acks: AcknowledgementMap, known: BTreeSet<TopicIdPartition>) {
        let Some(membership) = &self.membership else { return };
        self.busy.insert(node, matches!(work, Work::Fetch { records: true, .. }));
        let exchange = Exchange {
            client: Arc::clone(&self.client),
            settings: Arc::clone(&self.settings),
            member_id: membership.id(),
            node,
            work,
            acks,
            known,
        };
        self.exchanges.spawn(exchange.run());
    }
}

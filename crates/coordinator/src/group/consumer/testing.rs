//! A consumer group on its own: what is decided about it happens at once, and goes through bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::Reader;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::{
    ConsumerGroup, ConsumerGroupConfig, ConsumerGroupContext, ConsumerGroupMember, ConsumerGroupRecord,
    ConsumerGroupResult, ConsumerGroupTimer, ConsumerGroupTimerEvent, Conversion, ExistingGroup,
    RegexResolution, resolve_regular_expressions,
};
use crate::group::classic::ClassicGroup;
use crate::group::modern::testing::{TestMetadata, topic_id};
use crate::group::op::consumer_group_heartbeat::consumer_group_heartbeat;
use crate::group::op::consumer_group_regex::on_regular_expressions_resolved;
use crate::group::op::consumer_group_timer::on_consumer_group_timer;
use crate::group::{GroupChange, GroupCoordinatorConfig, GroupReply, RequestContext};
use crate::runtime::{CoordinatorTimers, Token};

pub(crate) const GROUP: &str = "grupo";
pub(crate) const REBALANCE_TIMEOUT_MS: i32 = 30_000;

/// A group, its surroundings, and what the last decision brought.
pub(crate) struct TestGroup {
    pub(crate) config: ConsumerGroupConfig,
    pub(crate) classic_config: GroupCoordinatorConfig,
    pub(crate) metadata: TestMetadata,
    pub(crate) new_topics_version: i64,
    pub(crate) now_ms: i64,
    pub(crate) group: Option<ConsumerGroup>,
    pub(crate) classic: Option<ClassicGroup>,
    pub(crate) timers: CoordinatorTimers<ConsumerGroupTimer, ConsumerGroupTimerEvent>,
    pub(crate) records: Vec<ConsumerGroupRecord>,
    pub(crate) converted: Option<&'static str>,
    pub(crate) replies: Vec<(Token, GroupReply)>,
    pub(crate) resolve: Option<RegexResolution>,
    /// Everything that was written, as it stands in the log.
    pub(crate) log: Vec<(Bytes, Option<Bytes>)>,
    next: u128,
}

pub(crate) fn request_context(api_version: i16) -> RequestContext {
    RequestContext { api_version, client_id: "cliente".into(), client_host: "/127.0.0.1".into() }
}

pub(crate) fn names(topics: &[&'static str]) -> Vec<ByteString> {
    topics.iter().map(|topic| ByteString::from_static(topic)).collect()
}

/// A heartbeat that says nothing new.
pub(crate) fn alive(member_id: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member_id.into(),
        member_epoch,
        ..Default::default()
    }
}

/// A heartbeat of a member that says what it has.
pub(crate) fn owns(
    member_id: &str,
    member_epoch: i32,
    owned: &[(u128, &[i32])],
) -> ConsumerGroupHeartbeatRequest {
    let topic = |(n, partitions): &(u128, &[i32])| TopicPartitions {
        topic_id: topic_id(*n),
        partitions: partitions.to_vec(),
        ..Default::default()
    };
    ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(owned.iter().map(topic).collect()),
        ..alive(member_id, member_epoch)
    }
}

/// The first heartbeat of a member.
pub(crate) fn joins(member_id: &str, topics: &[&'static str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        subscribed_topic_names: Some(names(topics)),
        ..owns(member_id, 0, &[])
    }
}

/// The first heartbeat of a member with an expression.
pub(crate) fn joins_with_regex(member_id: &str, regex: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(regex.into()),
        ..joins(member_id, &[])
    }
}

pub(crate) fn is_static(
    request: ConsumerGroupHeartbeatRequest,
    instance_id: &str,
) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { instance_id: Some(instance_id.into()), ..request }
}

/// What a response says the member has: topic number to partitions. `None` when it says nothing.
pub(crate) fn assigned(response: &ConsumerGroupHeartbeatResponse) -> Option<BTreeMap<Uuid, Vec<i32>>> {
    let topics = response.assignment.as_ref()?.topic_partitions.iter();
    Some(topics.map(|topic| (topic.topic_id, topic.partitions.clone())).collect())
}

pub(crate) fn partitions(of: &[(u128, &[i32])]) -> BTreeMap<Uuid, Vec<i32>> {
    of.iter().map(|(n, partitions)| (topic_id(*n), partitions.to_vec())).collect()
}

impl TestGroup {
    /// A cluster with these topics, and no group yet. Target assignments need not wait.
    pub(crate) fn new(topics: &[(&'static str, i32)]) -> Self {
        let config = ConsumerGroupConfig { assignment_interval_ms: 0, ..Default::default() };
        Self {
            config,
            classic_config: GroupCoordinatorConfig::default(),
            metadata: TestMetadata::of(topics),
            new_topics_version: 0,
            now_ms: 1_000_000,
            group: None,
            classic: None,
            timers: CoordinatorTimers::default(),
            records: Vec::new(),
            converted: None,
            replies: Vec::new(),
            resolve: None,
            log: Vec::new(),
            next: 0,
        }
    }

    pub(crate) fn context(&self) -> ConsumerGroupContext<'_> {
        ConsumerGroupContext {
            now_ms: self.now_ms,
            config: &self.config,
            classic_config: &self.classic_config,
            metadata: &self.metadata,
            new_topics_version: self.new_topics_version,
            is_resolving: self.resolve.is_some(),
        }
    }

    pub(crate) fn existing(&self) -> ExistingGroup<'_> {
        match (&self.group, &self.classic) {
            (Some(group), _) => ExistingGroup::Consumer(group),
            (None, Some(classic)) => ExistingGroup::Classic(classic),
            (None, None) => ExistingGroup::None,
        }
    }

    pub(crate) fn group(&self) -> &ConsumerGroup {
        self.group.as_ref().expect("a consumer group")
    }

    pub(crate) fn member(&self, member_id: &str) -> &ConsumerGroupMember {
        self.group().member(&member_id.into()).expect("a member")
    }

    pub(crate) fn has_member(&self, member_id: &str) -> bool {
        self.group.as_ref().is_some_and(|group| group.member(&member_id.into()).is_some())
    }

    pub(crate) fn state(&self) -> &'static str {
        self.group().state().name()
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        self.next += 1;
        Uuid::from_u128(0xabc0_0000 + self.next)
    }

    /// Carries out what was decided.
    pub(crate) fn execute<T>(&mut self, result: ConsumerGroupResult<T>) -> T {
        let ConsumerGroupResult { decision, changes, replies, conversion, resolve } = result;
        for change in &changes {
            if let Some(group) = &mut self.group {
                group.apply(change);
            }
        }
        for timer in decision.timers {
            self.timers.change(timer);
        }
        self.replies = replies;
        if resolve.is_some() {
            self.resolve = resolve;
        }
        self.records.clone_from(&decision.records);
        for record in &decision.records {
            self.log.push(record.encode().unwrap());
        }
        self.converted = conversion.as_ref().map(|conversion| match conversion {
            Conversion::FromClassic => "from classic",
            Conversion::ToClassic(_) => "to classic",
        });
        match conversion {
            Some(Conversion::ToClassic(result)) => {
                let last = decision.records.last().map(|record| record.encode().unwrap().0[1]);
                assert_eq!(last, Some(3), "the group is deleted");
                self.group = None;
                for change in result.changes {
                    if let GroupChange::Put(group) = change {
                        self.classic = Some(*group);
                    }
                }
                assert!(self.classic.is_some(), "there is a classic group now");
            }
            Some(Conversion::FromClassic) => {
                self.classic = None;
                self.replay(&decision.records);
            }
            None => self.replay(&decision.records),
        }
        decision.response
    }

    fn replay(&mut self, records: &[ConsumerGroupRecord]) {
        for record in records {
            let (key, value) = record.encode().unwrap();
            let read = decoded(key, value);
            assert_eq!(&read, record, "what is written is read again");
            self.group = replayed(self.group.take(), &read);
        }
    }

    /// Another coordinator takes over, from the log alone.
    pub(crate) fn restart(&mut self) {
        self.group = None;
        for (key, value) in &self.log {
            self.group = replayed(self.group.take(), &decoded(key.clone(), value.clone()));
        }
    }

    pub(crate) fn heartbeat_version(
        &mut self,
        api_version: i16,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, ErrorCode> {
        let uuid = self.uuid();
        let context = self.context();
        let request_context = request_context(api_version);
        let result = consumer_group_heartbeat(&context, &request_context, self.existing(), request, uuid);
        match result {
            Ok(result) => Ok(self.execute(result)),
            Err(error) => {
                assert!(!error.message().is_empty());
                Err(error.code())
            }
        }
    }

    pub(crate) fn heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, ErrorCode> {
        self.heartbeat_version(1, request)
    }

    /// A heartbeat that is to go well.
    pub(crate) fn ok(&mut self, request: &ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        self.heartbeat(request).unwrap()
    }

    /// Does what the group asked for: looks for the topics of its expressions.
    pub(crate) fn resolve(&mut self) {
        let Some(resolution) = self.resolve.take() else { return };
        let resolved = resolve_regular_expressions(&resolution.regexes, &self.metadata, self.now_ms);
        let Some(group) = self.group.clone() else { return };
        let result = on_regular_expressions_resolved(&self.context(), &group, resolved);
        self.execute(result);
    }

    /// Lets time pass, stopping at every timer.
    pub(crate) fn advance(&mut self, by_ms: i64) {
        let until = self.now_ms + by_ms;
        while let Some(deadline) = self.timers.next_deadline().filter(|deadline| *deadline <= until) {
            self.now_ms = self.now_ms.max(deadline);
            let Some(event) = self.timers.pop_due(self.now_ms) else { break };
            let Some(group) = self.group.clone() else { continue };
            let result = on_consumer_group_timer(&self.context(), &group, &event);
            self.execute(result);
        }
        self.now_ms = until;
    }
}

fn decoded(key: Bytes, value: Option<Bytes>) -> ConsumerGroupRecord {
    let mut r = Reader::new(key);
    let kind = r.i16().unwrap();
    assert!(ConsumerGroupRecord::is_kind(kind));
    let record = ConsumerGroupRecord::decode(kind, &mut r, value).unwrap();
    r.expect_end().unwrap();
    record
}

fn replayed(group: Option<ConsumerGroup>, record: &ConsumerGroupRecord) -> Option<ConsumerGroup> {
    let mut group = match group {
        Some(group) => group,
        None if record.is_tombstone() => return None,
        None => ConsumerGroup::new(record.group_id().clone()),
    };
    group.replay(record).then_some(group)
}

/// Kinds of the records that the last decision wrote, by the numbers of their keys.
pub(crate) fn kinds(t: &TestGroup) -> Vec<u8> {
    t.records.iter().map(|record| record.encode().unwrap().0[1]).collect()
}

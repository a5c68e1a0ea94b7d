//! Share groups with a log and timers in memory, whose time goes only when told to, and a share
//! coordinator that answers when told to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::Reader;
use ottla_protocol::messages::delete_share_group_state_response as delete;
use ottla_protocol::messages::initialize_share_group_state_response as initialize;
use ottla_protocol::messages::{
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse,
};

use super::{
    ShareChange, ShareDecision, ShareGroup, ShareGroupConfig, ShareGroupError, ShareGroupLookup,
    ShareGroupManager, ShareGroupOverrides, ShareGroupRecord, ShareTimer, replay, schedule_on_load,
};
use crate::group::RequestContext;
use crate::group::modern::MemberAssignment;
use crate::group::modern::testing::TestMetadata;
use crate::runtime::CoordinatorTimers;

pub(in crate::group) const GROUP: &str = "cola";

pub(in crate::group) struct TestContext {
    pub(in crate::group) config: ShareGroupConfig,
    pub(in crate::group) overrides: ShareGroupOverrides,
    pub(in crate::group) metadata: TestMetadata,
    pub(in crate::group) now_ms: i64,
    pub(in crate::group) groups: BTreeMap<ByteString, Arc<ShareGroup>>,
    /// Ids of groups that are no share groups.
    pub(in crate::group) others: BTreeSet<ByteString>,
    pub(in crate::group) log: Vec<(Bytes, Option<Bytes>)>,
    /// The records of the newest decision.
    pub(in crate::group) written: Vec<ShareGroupRecord>,
    /// What the share coordinator was asked and did not answer.
    pub(in crate::group) initialize: Vec<InitializeShareGroupStateRequest>,
    timers: CoordinatorTimers<ShareTimer, ShareTimer>,
}

pub(in crate::group) fn group() -> ByteString {
    ByteString::from_static(GROUP)
}

/// A heartbeat; naming topics makes it a full one.
pub(in crate::group) fn heartbeat(
    member_id: &str,
    member_epoch: i32,
    topics: Option<&[&str]>,
) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest {
        group_id: group(),
        member_id: member_id.into(),
        member_epoch,
        subscribed_topic_names: topics.map(|topics| topics.iter().map(|name| (*name).into()).collect()),
        ..Default::default()
    }
}

/// What a heartbeat told a member to read, by the topics' ids.
pub(in crate::group) fn assigned(response: &ShareGroupHeartbeatResponse) -> Option<MemberAssignment> {
    let topics = response.assignment.as_ref()?.topic_partitions.iter();
    Some(topics.map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect())
}

/// The share coordinator's answer: the same error for every partition.
pub(in crate::group) fn initialize_answer(
    request: &InitializeShareGroupStateRequest,
    error: ErrorCode,
) -> InitializeShareGroupStateResponse {
    let results = request.topics.iter().map(|topic| initialize::InitializeStateResult {
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|data| initialize::PartitionResult {
                partition: data.partition,
                error_code: error.code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    InitializeShareGroupStateResponse { results: results.collect(), ..Default::default() }
}

/// The share coordinator's answer: the same error for every partition.
pub(in crate::group) fn delete_answer(
    request: &DeleteShareGroupStateRequest,
    error: ErrorCode,
) -> DeleteShareGroupStateResponse {
    let results = request.topics.iter().map(|topic| delete::DeleteStateResult {
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|data| delete::PartitionResult {
                partition: data.partition,
                error_code: error.code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    DeleteShareGroupStateResponse { results: results.collect(), ..Default::default() }
}

impl TestContext {
    /// With the topics `pedidos`, of 3 partitions, and `envios`, of 2.
    pub(in crate::group) fn new() -> Self {
        Self {
            config: ShareGroupConfig::default(),
            overrides: ShareGroupOverrides::default(),
            metadata: TestMetadata::of(&[("pedidos", 3), ("envios", 2)]),
            now_ms: 1_000_000,
            groups: BTreeMap::new(),
            others: BTreeSet::new(),
            log: Vec::new(),
            written: Vec::new(),
            initialize: Vec::new(),
            timers: CoordinatorTimers::default(),
        }
    }

    /// Another coordinator takes over, from the log alone.
    pub(in crate::group) fn restarted(mut self) -> Self {
        self.groups.clear();
        self.initialize.clear();
        self.timers = CoordinatorTimers::default();
        for (key, value) in std::mem::take(&mut self.log) {
            self.replay(&read(&key, &value));
            self.log.push((key, value));
        }
        for group in self.groups.values() {
            for timer in schedule_on_load(self.now_ms, &self.config, &self.overrides, group) {
                self.timers.change(timer);
            }
        }
        self
    }

    pub(in crate::group) fn manager(&self) -> ShareGroupManager<'_> {
        ShareGroupManager {
            now_ms: self.now_ms,
            config: &self.config,
            overrides: self.overrides,
            metadata: &self.metadata,
        }
    }

    pub(in crate::group) fn lookup(&self, group_id: &ByteString) -> ShareGroupLookup<'_> {
        match self.groups.get(group_id) {
            Some(group) => ShareGroupLookup::Share(group),
            None if self.others.contains(group_id) => ShareGroupLookup::OtherType,
            None => ShareGroupLookup::Absent,
        }
    }

    pub(in crate::group) fn group(&self) -> &ShareGroup {
        self.groups.get(&group()).expect("a group")
    }

    /// Carries out a decision.
    pub(in crate::group) fn execute<T>(&mut self, decision: ShareDecision<T>) -> T {
        self.written.clear();
        for record in decision.records {
            // What cannot be written and read again is no record.
            let (key, value) = record.encode().unwrap();
            let read = read(&key, &value);
            assert_eq!(read, record);
            self.replay(&read);
            self.log.push((key, value));
            self.written.push(read);
        }
        for timer in decision.timers {
            self.timers.change(timer);
        }
        decision.response
    }

    pub(in crate::group) fn apply(&mut self, change: Option<ShareChange>) {
        if let (Some(change), Some(group)) = (change, self.groups.get_mut(&group())) {
            Arc::make_mut(group).apply(change);
        }
    }

    pub(in crate::group) fn send(
        &mut self,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<ShareGroupHeartbeatResponse, ShareGroupError> {
        let context =
            RequestContext { api_version: 1, client_id: "cliente".into(), client_host: "/127.0.0.1".into() };
        let group = self.lookup(&request.group_id);
        let decision = self.manager().share_group_heartbeat(group, &context, request)?;
        let outcome = self.execute(decision);
        self.apply(outcome.change);
        self.initialize.extend(outcome.initialize);
        Ok(outcome.response)
    }

    pub(in crate::group) fn heartbeat(
        &mut self,
        member_id: &str,
        member_epoch: i32,
        topics: Option<&[&str]>,
    ) -> Result<ShareGroupHeartbeatResponse, ShareGroupError> {
        self.send(&heartbeat(member_id, member_epoch, topics))
    }

    /// The share coordinator answers everything that it was asked.
    pub(in crate::group) fn answer_initialize(&mut self, error: ErrorCode) {
        for request in std::mem::take(&mut self.initialize) {
            let response = initialize_answer(&request, error);
            let group = self.lookup(&request.group_id);
            let decision = self.manager().share_group_state_initialized(group, &response);
            assert_eq!(self.execute(decision), error);
        }
    }

    /// Lets time pass, stopping at every timer.
    pub(in crate::group) fn advance(&mut self, by_ms: i64) {
        let until = self.now_ms + by_ms;
        while let Some(deadline) = self.timers.next_deadline().filter(|deadline| *deadline <= until) {
            self.now_ms = self.now_ms.max(deadline);
            while let Some(event) = self.timers.pop_due(self.now_ms) {
                let group = self.lookup(event.group_id());
                let decision = self.manager().on_share_timer(group, &event);
                let change = self.execute(decision);
                self.apply(change);
            }
        }
        self.now_ms = until;
    }

    /// Members that joined, reading the same, with everything initialized and everything assigned. Gives
    /// the epoch that they are all in.
    pub(in crate::group) fn stable_group(&mut self, members: &[&str], topics: &[&str]) -> i32 {
        for member in members {
            self.heartbeat(member, 0, Some(topics)).unwrap();
            self.advance(1_000);
        }
        self.answer_initialize(ErrorCode::None);
        for _ in 0..3 {
            for member in members {
                let epoch = self.member_epoch(member);
                self.heartbeat(member, epoch, None).unwrap();
                self.advance(1_000);
            }
        }
        let epoch = self.group().epoch();
        for member in members {
            assert_eq!(self.member_epoch(member), epoch);
        }
        epoch
    }

    pub(in crate::group) fn member_epoch(&self, member_id: &str) -> i32 {
        self.group().member(&member_id.into()).expect("a member").member_epoch
    }

    /// The kinds of the records of the newest decision; negative for tombstones.
    pub(in crate::group) fn kinds(&self) -> Vec<i16> {
        let kind = |record: &ShareGroupRecord| {
            let (key, value) = record.encode().unwrap();
            let kind = Reader::new(key).i16().unwrap();
            if value.is_none() { -kind } else { kind }
        };
        self.written.iter().map(kind).collect()
    }

    fn replay(&mut self, record: &ShareGroupRecord) {
        let group_id = record.group_id().clone();
        if let Some(group) = replay(self.groups.remove(&group_id), record) {
            self.groups.insert(group_id, group);
        }
    }
}

fn read(key: &Bytes, value: &Option<Bytes>) -> ShareGroupRecord {
    let mut r = Reader::new(key.clone());
    let kind = r.i16().unwrap();
    ShareGroupRecord::decode(kind, &mut r, value.clone()).unwrap()
}

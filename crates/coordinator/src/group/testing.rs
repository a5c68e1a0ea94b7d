//! A coordinator on a log in memory, whose time goes only when told to.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, OffsetCommitRequest, SyncGroupRequest,
    SyncGroupResponse,
};

pub(crate) use super::testing_log::{Entry, MemoryLog};
use super::{
    GroupCoordinatorConfig, GroupCoordinatorShard, GroupRecord, GroupReply, GroupResult, RequestContext,
};
use crate::runtime::{CoordinatorContext, CoordinatorLoad, CoordinatorShard, Output, Token};

pub(crate) const SESSION_TIMEOUT_MS: i32 = 10_000;
pub(crate) const REBALANCE_TIMEOUT_MS: i32 = 30_000;
pub(crate) const GROUP: &str = "grupo";

pub(crate) struct TestContext {
    pub(crate) config: Arc<GroupCoordinatorConfig>,
    pub(crate) context: CoordinatorContext<GroupCoordinatorShard, u64>,
    pub(crate) log: MemoryLog,
    pub(crate) now_ms: i64,
    replies: BTreeMap<Token, GroupReply>,
    completed: BTreeMap<u64, Result<(), ErrorCode>>,
    next: u64,
}

pub(crate) fn context_of(api_version: i16) -> RequestContext {
    RequestContext { api_version, client_id: "cliente".into(), client_host: "/127.0.0.1".into() }
}

pub(crate) fn join_request(member_id: &ByteString) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        member_id: member_id.clone(),
        protocol_type: "consumer".into(),
        protocols: protocols(&["range"]),
        ..Default::default()
    }
}

pub(crate) fn static_join_request(member_id: &ByteString, instance_id: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(instance_id.into()), ..join_request(member_id) }
}

/// Protocols whose subscription, in the consumers' format, is the topic `pagos`.
pub(crate) fn protocols(names: &[&'static str]) -> Vec<JoinGroupRequestProtocol> {
    let subscription = Bytes::from_static(b"\0\x01\0\0\0\x01\0\x05pagos\xff\xff\xff\xff\0\0\0\0");
    let protocol = |name: &&'static str| JoinGroupRequestProtocol {
        name: ByteString::from_static(name),
        metadata: subscription.clone(),
        ..Default::default()
    };
    names.iter().map(protocol).collect()
}

pub(crate) fn commit_request(generation_id: i32, member_id: &ByteString) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: GROUP.into(),
        generation_id_or_member_epoch: generation_id,
        member_id: member_id.clone(),
        topics: vec![OffsetCommitRequestTopic {
            name: "pagos".into(),
            topic_id: Uuid::from_u128(7),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: 100,
                committed_leader_epoch: 3,
                committed_metadata: Some("nota".into()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

impl TestContext {
    pub(crate) fn new() -> Self {
        Self::with(GroupCoordinatorConfig::default())
    }

    pub(crate) fn with(config: GroupCoordinatorConfig) -> Self {
        Self::on(config, MemoryLog::default(), 1_000_000)
    }

    /// A coordinator that finds this log.
    pub(crate) fn on(config: GroupCoordinatorConfig, mut log: MemoryLog, now_ms: i64) -> Self {
        let config = Arc::new(config);
        let mut load = CoordinatorLoad::new(GroupCoordinatorShard::new(Arc::clone(&config)));
        for (offset, entry) in (0..).zip(&log.entries) {
            match entry {
                Entry::Record(producer_id, record) => load.replay(offset, *producer_id, record),
                Entry::Marker(producer_id, result) => {
                    load.replay_end_transaction_marker(*producer_id, *result)
                }
            }
            load.batch_done(offset, log.high_watermark);
        }
        let patience_ms = i64::from(config.offset_commit_timeout_ms);
        let context = load.finish(now_ms, patience_ms, &mut log);
        let (replies, completed) = (BTreeMap::new(), BTreeMap::new());
        Self { config, context, log, now_ms, replies, completed, next: 0 }
    }

    /// Another coordinator takes over, from the log alone.
    pub(crate) fn restarted(mut self) -> Self {
        self.log.high_watermark = self.log.entries.len() as i64;
        Self::on(GroupCoordinatorConfig::clone(&self.config), self.log, self.now_ms)
    }

    pub(crate) fn shard(&self) -> &GroupCoordinatorShard {
        self.context.shard()
    }

    pub(crate) fn state(&self) -> &'static str {
        self.shard().classic_group(&GROUP.into()).map_or("none", |group| group.state().name())
    }

    pub(crate) fn records(&self) -> Vec<GroupRecord> {
        let record = |entry: &Entry| match entry {
            Entry::Record(_, record) => Some(record.clone()),
            Entry::Marker(..) => None,
        };
        self.log.entries.iter().filter_map(record).collect()
    }

    pub(crate) fn token(&mut self) -> Token {
        self.next += 1;
        Token(self.next)
    }

    /// Carries out a decision; gives what to ask [`Self::outcome`] for.
    pub(crate) fn execute<T>(&mut self, result: GroupResult<T>) -> (T, u64) {
        let (result, response) = result.split_response();
        self.next += 1;
        let event = self.next;
        self.context.execute(self.now_ms, result, Some(event), &mut self.log);
        self.collect();
        (response, event)
    }

    pub(crate) fn outcome(&self, event: u64) -> Option<Result<(), ErrorCode>> {
        self.completed.get(&event).copied()
    }

    pub(crate) fn commit_all(&mut self) {
        self.log.high_watermark = self.log.entries.len() as i64;
        self.context.commit(self.now_ms, &mut self.log);
        self.collect();
    }

    /// Lets time pass, stopping at every timer.
    pub(crate) fn advance(&mut self, by_ms: i64) {
        let until = self.now_ms + by_ms;
        while let Some(deadline) = self.context.next_deadline().filter(|deadline| *deadline <= until) {
            self.now_ms = self.now_ms.max(deadline);
            self.context.on_time(self.now_ms, &mut self.log);
        }
        self.now_ms = until;
        self.collect();
    }

    pub(crate) fn join(&mut self, version: i16, request: &JoinGroupRequest) -> Token {
        let token = self.token();
        let uuid = Uuid::from_u128(u128::from(token.0));
        let shard = self.context.shard();
        let result = shard.classic_group_join(self.now_ms, &context_of(version), request, uuid, token);
        self.execute(result);
        token
    }

    /// The answer to a JoinGroup, if there is one.
    pub(crate) fn joined(&mut self, token: Token) -> Option<JoinGroupResponse> {
        match self.replies.remove(&token)? {
            GroupReply::Join(response) => Some(response),
            GroupReply::Sync(_) => panic!("a JoinGroup was answered as a SyncGroup"),
        }
    }

    pub(crate) fn join_now(&mut self, version: i16, request: &JoinGroupRequest) -> JoinGroupResponse {
        let token = self.join(version, request);
        self.joined(token).expect("an answer at once")
    }

    /// An id for a new member, as KIP-394 has it.
    pub(crate) fn new_member_id(&mut self) -> ByteString {
        let response = self.join_now(9, &join_request(&ByteString::new()));
        assert_eq!(ErrorCode::from_code(response.error_code), ErrorCode::MemberIdRequired);
        response.member_id
    }

    pub(crate) fn sync(&mut self, request: &SyncGroupRequest) -> Token {
        let token = self.token();
        let result = self.shard().classic_group_sync(self.now_ms, request, token);
        self.execute(result);
        token
    }

    /// The answer to a SyncGroup, if there is one.
    pub(crate) fn synced(&mut self, token: Token) -> Option<SyncGroupResponse> {
        match self.replies.remove(&token)? {
            GroupReply::Sync(response) => Some(response),
            GroupReply::Join(_) => panic!("a SyncGroup was answered as a JoinGroup"),
        }
    }

    pub(crate) fn sync_request(&self, member_id: &ByteString) -> SyncGroupRequest {
        let generation_id = self.shard().classic_group(&GROUP.into()).map_or(-1, |g| g.generation_id());
        SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.clone(),
            ..Default::default()
        }
    }

    /// A leader's request that gives each member its own id to do.
    pub(crate) fn leader_sync_request(
        &self,
        member_id: &ByteString,
        members: &[ByteString],
    ) -> SyncGroupRequest {
        let assign = |id: &ByteString| SyncGroupRequestAssignment {
            member_id: id.clone(),
            assignment: id.clone().into_bytes(),
            ..Default::default()
        };
        SyncGroupRequest { assignments: members.iter().map(assign).collect(), ..self.sync_request(member_id) }
    }

    pub(crate) fn heartbeat(&mut self, member_id: &ByteString, generation_id: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.clone(),
            ..Default::default()
        };
        match self.shard().classic_group_heartbeat(self.now_ms, &request) {
            Ok(result) => ErrorCode::from_code(self.execute(result).0.error_code),
            Err(error) => error.code(),
        }
    }

    /// A stable group of so many dynamic members; the first one leads.
    pub(crate) fn stable_group(&mut self, num_members: usize) -> Vec<ByteString> {
        let ids: Vec<_> = (0..num_members).map(|_| self.new_member_id()).collect();
        let tokens: Vec<_> = ids.iter().map(|id| self.join(9, &join_request(id))).collect();
        self.settle(&tokens)
    }

    /// Carries joins that are under way through to a stable group; the leader comes first.
    pub(crate) fn settle(&mut self, tokens: &[Token]) -> Vec<ByteString> {
        for _ in 0..20 {
            if self.state() == "CompletingRebalance" {
                break;
            }
            self.advance(3_000);
        }
        assert_eq!(self.state(), "CompletingRebalance");
        let mut members: Vec<_> = tokens.iter().map(|t| self.joined(*t).unwrap()).collect();
        members.sort_by_key(|response| response.members.is_empty());
        let ids: Vec<_> = members.into_iter().map(|response| response.member_id).collect();
        let request = self.leader_sync_request(&ids[0], &ids);
        let leader = self.sync(&request);
        assert_eq!(self.synced(leader).unwrap().error_code, 0);
        for id in &ids[1..] {
            let request = self.sync_request(id);
            let token = self.sync(&request);
            assert_eq!(self.synced(token).unwrap().assignment, id.clone().into_bytes());
        }
        assert_eq!(self.state(), "Stable");
        ids
    }

    pub(crate) fn commit_offset(
        &mut self,
        version: i16,
        request: &OffsetCommitRequest,
    ) -> Result<i16, ErrorCode> {
        match self.shard().commit_offset(self.now_ms, &context_of(version), request) {
            Ok(result) => Ok(self.execute(result).0.topics[0].partitions[0].error_code),
            Err(error) => Err(error.code()),
        }
    }

    /// The committed offset of `pagos-0`.
    pub(crate) fn committed(&self) -> i64 {
        let request = fetch_request("pagos");
        let response = self.context.committed().fetch_offsets(&request, false).unwrap();
        response.topics[0].partitions[0].committed_offset
    }

    /// A record of a transaction, as Kafka left it in the log.
    pub(crate) fn transactional_entry(producer_id: i64, offset: i64) -> Entry {
        let value = ottla_protocol::records::group::OffsetCommitValue { offset, ..Default::default() };
        Entry::Record(producer_id, GroupRecord::offset_commit(&GROUP.into(), &"pagos".into(), 0, value))
    }

    fn collect(&mut self) {
        for output in self.context.take_outputs() {
            match output {
                Output::Reply(token, reply) => {
                    let twice = self.replies.insert(token, reply);
                    assert!(twice.is_none(), "PARKED-ANSWERED-ONCE");
                }
                Output::Complete(event, outcome) => {
                    self.completed.insert(event, outcome);
                }
            }
        }
    }

    pub(crate) fn unloaded(self) -> Vec<(Token, GroupReply)> {
        self.context.shard().on_unloaded()
    }
}

pub(crate) fn fetch_request(topic: &'static str) -> OffsetFetchRequestGroup {
    OffsetFetchRequestGroup {
        group_id: GROUP.into(),
        topics: Some(vec![ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestTopics {
            name: ByteString::from_static(topic),
            partition_indexes: vec![0],
            ..Default::default()
        }]),
        ..Default::default()
    }
}

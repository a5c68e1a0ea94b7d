//! A streams group on a log in memory, the topics of a cluster, and applications that take part.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::Reader;
use ottla_protocol::messages::streams_group_heartbeat_request::{Subtopology, TaskIds, TopicInfo, Topology};
use ottla_protocol::messages::streams_group_heartbeat_response as response;
use ottla_protocol::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};

use super::tasks::{Tasks, TasksTuple, list};
use super::{
    StreamsDecision, StreamsGroup, StreamsGroupConfig, StreamsGroupContext, StreamsGroupError,
    StreamsGroupHeartbeatResult, StreamsGroupMember, StreamsGroupRecord, StreamsGroupSoftStates,
    StreamsGroupTimer,
};
use crate::group::RequestContext;
use crate::metadata::{CoordinatorMetadata, CoordinatorTopic};
use crate::runtime::CoordinatorTimers;

pub(crate) const GROUP: &str = "aplicacion";
pub(crate) const SOURCE: &str = "pedidos";
pub(crate) const CHANGELOG: &str = "aplicacion-almacen-changelog";
pub(crate) const PARTITIONS: i32 = 4;

/// The topics of a cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topics {
    topics: BTreeMap<ByteString, CoordinatorTopic>,
    version: i64,
}

impl Topics {
    pub(crate) fn put(&mut self, name: &str, num_partitions: i32) {
        self.version += 1;
        let id = Uuid::from_u128(1_000 + self.version as u128);
        let name = ByteString::from(name);
        self.topics.insert(name.clone(), CoordinatorTopic { id, name, num_partitions });
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.version += 1;
        self.topics.remove(name);
    }
}

impl CoordinatorMetadata for Topics {
    fn version(&self) -> i64 {
        self.version
    }

    fn topic(&self, name: &str) -> Option<CoordinatorTopic> {
        self.topics.get(name).cloned()
    }

    fn topic_by_id(&self, id: Uuid) -> Option<CoordinatorTopic> {
        self.topics.values().find(|topic| topic.id == id).cloned()
    }

    fn topic_names(&self) -> Box<dyn Iterator<Item = ByteString> + '_> {
        Box::new(self.topics.keys().cloned())
    }

    fn partition_racks(&self, _id: Uuid, _partition: i32) -> Vec<ByteString> {
        Vec::new()
    }
}

pub(crate) fn subtopology(id: &'static str, source_topics: &[&'static str]) -> Subtopology {
    let source_topics = source_topics.iter().map(|topic| ByteString::from(*topic)).collect();
    Subtopology { subtopology_id: ByteString::from_static(id), source_topics, ..Default::default() }
}

pub(crate) fn repartition(name: &'static str, partitions: i32) -> TopicInfo {
    TopicInfo { name: ByteString::from_static(name), partitions, ..Default::default() }
}

pub(crate) fn topology(epoch: i32, subtopologies: Vec<Subtopology>) -> Topology {
    Topology { epoch, subtopologies, ..Default::default() }
}

/// One subtopology with state.
pub(crate) fn usual_topology() -> Topology {
    let mut only = subtopology("0", &[SOURCE]);
    only.state_changelog_topics.push(repartition(CHANGELOG, 0));
    topology(1, vec![only])
}

/// The members of one process are `a1`, `a2` and so on.
pub(crate) fn join_request(member_id: &str) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member_id.into(),
        rebalance_timeout_ms: 30_000,
        topology: Some(usual_topology()),
        process_id: Some(member_id.chars().take(1).collect::<String>().into()),
        active_tasks: Some(Vec::new()),
        standby_tasks: Some(Vec::new()),
        warmup_tasks: Some(Vec::new()),
        ..Default::default()
    }
}

pub(crate) fn static_join_request(member_id: &str, instance_id: &str) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest { instance_id: Some(instance_id.into()), ..join_request(member_id) }
}

pub(crate) fn beat_request(member_id: &str, member_epoch: i32) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        group_id: GROUP.into(),
        member_id: member_id.into(),
        member_epoch,
        ..Default::default()
    }
}

/// A heartbeat that says what the member has.
pub(crate) fn full_request(
    member_id: &str,
    member_epoch: i32,
    tasks: &TasksTuple,
) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        active_tasks: Some(task_ids(&tasks.active)),
        standby_tasks: Some(task_ids(&tasks.standby)),
        warmup_tasks: Some(task_ids(&tasks.warmup)),
        ..beat_request(member_id, member_epoch)
    }
}

pub(crate) fn tasks(of: &[(&'static str, &[i32])]) -> Tasks {
    of.iter().map(|(id, partitions)| (ByteString::from(*id), partitions.iter().copied().collect())).collect()
}

fn task_ids(tasks: &Tasks) -> Vec<TaskIds> {
    list(tasks, |subtopology_id, partitions| TaskIds { subtopology_id, partitions, ..Default::default() })
}

/// What an answer says to do, if it says anything.
pub(crate) fn told(response: &StreamsGroupHeartbeatResponse) -> Option<TasksTuple> {
    let read = |ids: &Option<Vec<response::TaskIds>>| -> Option<Tasks> {
        let ids = ids.as_ref()?.iter();
        Some(super::tasks::collect(ids.map(|ids| (&ids.subtopology_id, ids.partitions.as_slice()))))
    };
    let (active, standby) = (read(&response.active_tasks)?, read(&response.standby_tasks)?);
    Some(TasksTuple { active, standby, warmup: read(&response.warmup_tasks)? })
}

pub(crate) fn status_codes(result: &StreamsGroupHeartbeatResult) -> Vec<i8> {
    result.response.status.iter().flatten().map(|status| status.status_code).collect()
}

/// A coordinator with one group, whose time goes only when told to.
pub(crate) struct World {
    pub(crate) config: StreamsGroupConfig,
    pub(crate) topics: Topics,
    pub(crate) now_ms: i64,
    pub(crate) group: Option<StreamsGroup>,
    pub(crate) soft: StreamsGroupSoftStates,
    pub(crate) timers: CoordinatorTimers<StreamsGroupTimer, StreamsGroupTimer>,
    pub(crate) log: Vec<StreamsGroupRecord>,
    /// Whether the log refuses what is written.
    pub(crate) refuse: bool,
    pub(crate) api_version: i16,
}

impl World {
    /// Everything is there, and nothing waits.
    pub(crate) fn new() -> Self {
        let config = StreamsGroupConfig {
            initial_rebalance_delay_ms: 0,
            assignment_interval_ms: 0,
            ..StreamsGroupConfig::default()
        };
        Self::with(config)
    }

    pub(crate) fn with(config: StreamsGroupConfig) -> Self {
        let mut topics = Topics::default();
        topics.put(SOURCE, PARTITIONS);
        topics.put(CHANGELOG, PARTITIONS);
        Self {
            config,
            topics,
            now_ms: 1_000_000,
            group: None,
            soft: StreamsGroupSoftStates::default(),
            timers: CoordinatorTimers::default(),
            log: Vec::new(),
            refuse: false,
            api_version: 1,
        }
    }

    pub(crate) fn cx(&self) -> StreamsGroupContext<'_> {
        StreamsGroupContext {
            now_ms: self.now_ms,
            config: &self.config,
            metadata: &self.topics,
            group: self.group.as_ref(),
            soft: self.soft.of(&GROUP.into()),
        }
    }

    /// What a heartbeat would do.
    pub(crate) fn decide(
        &self,
        request: &StreamsGroupHeartbeatRequest,
    ) -> Result<StreamsDecision<StreamsGroupHeartbeatResult>, StreamsGroupError> {
        let context = RequestContext {
            api_version: self.api_version,
            client_id: "cliente".into(),
            client_host: "/127.0.0.1".into(),
        };
        self.cx().streams_group_heartbeat(&context, request)
    }

    pub(crate) fn heartbeat(
        &mut self,
        request: &StreamsGroupHeartbeatRequest,
    ) -> Result<StreamsGroupHeartbeatResult, StreamsGroupError> {
        let decision = self.decide(request)?;
        Ok(self.carry_out(decision))
    }

    pub(crate) fn join(&mut self, member_id: &str) -> StreamsGroupHeartbeatResult {
        self.heartbeat(&join_request(member_id)).unwrap()
    }

    /// A heartbeat of a member that has what the group thinks it has, and gave up what it was to.
    pub(crate) fn beat(&mut self, member_id: &str) -> StreamsGroupHeartbeatResult {
        let member = self.member(member_id);
        let tasks = TasksTuple {
            active: super::tasks::without_epochs(&member.assigned_tasks.active),
            standby: member.assigned_tasks.standby.clone(),
            warmup: member.assigned_tasks.warmup.clone(),
        };
        self.heartbeat(&full_request(member_id, member.member_epoch, &tasks)).unwrap()
    }

    /// Everybody sends heartbeats until nothing changes.
    pub(crate) fn settle(&mut self) {
        for _ in 0..20 {
            let written = self.log.len();
            for member_id in self.member_ids() {
                self.beat(&member_id);
            }
            if self.log.len() == written {
                return;
            }
        }
        panic!("the group does not come to rest");
    }

    pub(crate) fn member_ids(&self) -> Vec<ByteString> {
        let members = self.group.iter().flat_map(StreamsGroup::members);
        members.map(|member| member.member_id.clone()).collect()
    }

    pub(crate) fn member(&self, member_id: &str) -> StreamsGroupMember {
        let member = self.group.as_ref().unwrap().member(&member_id.into()).unwrap();
        StreamsGroupMember::clone(member)
    }

    pub(crate) fn active(&self, member_id: &str) -> Tasks {
        super::tasks::without_epochs(&self.member(member_id).assigned_tasks.active)
    }

    pub(crate) fn state(&self) -> &'static str {
        self.group.as_ref().map_or("none", |group| group.state().name())
    }

    /// The number of the kind of every record from there on.
    pub(crate) fn kinds_from(&self, from: usize) -> Vec<u8> {
        self.log[from..].iter().map(|record| record.encode().unwrap().0[1]).collect()
    }

    pub(crate) fn carry_out<T>(&mut self, decision: StreamsDecision<T>) -> T {
        let StreamsDecision { records, response, timers, changes } = decision;
        for change in changes {
            self.soft.apply(change);
        }
        for timer in timers {
            self.timers.change(timer);
        }
        if !self.refuse {
            for record in records {
                self.write(record);
            }
        }
        response
    }

    fn write(&mut self, record: StreamsGroupRecord) {
        // What cannot be written and read again is no record.
        let (key, value) = record.encode().unwrap();
        let mut r = Reader::new(key);
        let kind = r.i16().unwrap();
        let read = StreamsGroupRecord::decode(kind, &mut r, value).unwrap();
        assert_eq!(read, record);
        self.group = StreamsGroup::replay(self.group.as_ref(), &read);
        self.soft.on_replay(&read, self.group.as_ref());
        self.log.push(read);
    }

    /// Lets time pass, stopping at every timer.
    pub(crate) fn advance(&mut self, by_ms: i64) {
        let until = self.now_ms + by_ms;
        while let Some(deadline_ms) = self.timers.next_deadline().filter(|deadline| *deadline <= until) {
            self.now_ms = self.now_ms.max(deadline_ms);
            while let Some(timer) = self.timers.pop_due(self.now_ms) {
                let decision = self.cx().on_timer(&timer);
                self.carry_out(decision);
            }
        }
        self.now_ms = until;
    }

    /// Another coordinator takes over, from the log alone.
    pub(crate) fn restart(&mut self) {
        self.soft = StreamsGroupSoftStates::default();
        self.timers = CoordinatorTimers::default();
        self.group = None;
        for record in &self.log {
            self.group = StreamsGroup::replay(self.group.as_ref(), record);
        }
        for timer in self.cx().on_loaded() {
            self.timers.change(timer);
        }
    }
}

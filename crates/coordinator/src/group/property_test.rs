//! Groups under whatever members, time and the log may do to them.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_common::ErrorCode;
use ottla_protocol::messages::LeaveGroupRequest;
use ottla_protocol::messages::leave_group_request::MemberIdentity;
use proptest::prelude::*;

use super::testing::{GROUP, TestContext, commit_request, join_request, protocols, static_join_request};
use super::{GroupCoordinatorConfig, GroupRecord};
use crate::runtime::Token;

const CLIENTS: usize = 5;
/// These have a `group.instance.id`.
const STATIC_CLIENTS: usize = 2;

#[derive(Debug, Clone)]
enum Op {
    Join { client: usize, forget_id: bool, version: i16, protocols: usize },
    Sync { client: usize },
    Heartbeat { client: usize },
    Leave { client: usize },
    Commit { client: usize },
    Advance { ms: i64 },
    Hold(bool),
    Refuse(bool),
    CommitAll,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    prop_oneof![
        10 => (client.clone(), prop::bool::weighted(0.2), 2i16..10, 0usize..3).prop_map(
            |(client, forget_id, version, protocols)| Op::Join { client, forget_id, version, protocols }
        ),
        8 => client.clone().prop_map(|client| Op::Sync { client }),
        4 => client.clone().prop_map(|client| Op::Heartbeat { client }),
        2 => client.clone().prop_map(|client| Op::Leave { client }),
        2 => client.prop_map(|client| Op::Commit { client }),
        8 => (0i64..12_000).prop_map(|ms| Op::Advance { ms }),
        1 => any::<bool>().prop_map(Op::Hold),
        1 => any::<bool>().prop_map(Op::Refuse),
        2 => Just(Op::CommitAll),
        1 => Just(Op::Restart),
    ]
}

#[derive(Debug, Default, Clone)]
struct Client {
    member_id: ByteString,
    generation_id: i32,
    leads: Vec<ByteString>,
}

#[derive(Debug, Default)]
struct Generation {
    leaders: BTreeSet<ByteString>,
    members: BTreeSet<ByteString>,
    told: BTreeSet<ByteString>,
}

struct World {
    t: TestContext,
    clients: Vec<Client>,
    joins: Vec<(usize, Token)>,
    syncs: Vec<(usize, Token)>,
    /// What members were told, by coordinator and generation.
    generations: BTreeMap<(u32, i32), Generation>,
    coordinator: u32,
    newest: i32,
}

impl World {
    fn new() -> Self {
        let config = GroupCoordinatorConfig { classic_group_max_size: 4, ..Default::default() };
        let clients = vec![Client::default(); CLIENTS];
        Self {
            t: TestContext::with(config),
            clients,
            joins: Vec::new(),
            syncs: Vec::new(),
            generations: BTreeMap::new(),
            coordinator: 0,
            newest: 0,
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Join { client, forget_id, version, protocols } => {
                self.join(client, forget_id, version, protocols)
            }
            Op::Sync { client } => self.sync(client),
            Op::Heartbeat { client } => {
                let Client { member_id, generation_id, .. } = self.clients[client].clone();
                self.t.heartbeat(&member_id, generation_id);
            }
            Op::Leave { client } => self.leave(client),
            Op::Commit { client } => {
                let Client { member_id, generation_id, .. } = self.clients[client].clone();
                let _ = self.t.commit_offset(9, &commit_request(generation_id, &member_id));
            }
            Op::Advance { ms } => self.t.advance(ms),
            Op::Hold(hold) => self.t.log.hold = hold,
            Op::Refuse(refuse) => self.t.log.refuse = refuse.then_some(ErrorCode::NotEnoughReplicas),
            Op::CommitAll => self.t.commit_all(),
            Op::Restart => self.restart(),
        }
        self.collect();
        self.check();
    }

    fn join(&mut self, client: usize, forget_id: bool, version: i16, wanted: usize) {
        let me = &mut self.clients[client];
        if forget_id {
            *me = Client::default();
        }
        let mut request = match client < STATIC_CLIENTS {
            true => static_join_request(&me.member_id, ["a", "b"][client]),
            false => join_request(&me.member_id),
        };
        request.protocols = protocols([&["range"][..], &["range", "sticky"], &["sticky", "range"]][wanted]);
        let token = self.t.join(version, &request);
        self.joins.push((client, token));
    }

    fn sync(&mut self, client: usize) {
        let me = self.clients[client].clone();
        let mut request = self.t.leader_sync_request(&me.member_id, &me.leads);
        request.generation_id = me.generation_id;
        let token = self.t.sync(&request);
        self.syncs.push((client, token));
    }

    fn leave(&mut self, client: usize) {
        let me = std::mem::take(&mut self.clients[client]);
        let members = vec![MemberIdentity { member_id: me.member_id, ..Default::default() }];
        let request = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
        let result = self.t.shard().classic_group_leave(self.t.now_ms, &request);
        self.t.execute(result);
    }

    /// Another coordinator takes over. It knows of the last generation that was written.
    fn restart(&mut self) {
        let log = std::mem::take(&mut self.t.log);
        let written = TestContext::on(GroupCoordinatorConfig::clone(&self.t.config), log, self.t.now_ms);
        self.t = written.restarted();
        self.t.log.refuse = None;
        (self.joins, self.syncs) = (Vec::new(), Vec::new());
        self.coordinator += 1;
        self.newest = 0;
    }

    fn collect(&mut self) {
        let mut waiting = Vec::new();
        for (client, token) in std::mem::take(&mut self.joins) {
            match self.t.joined(token) {
                None => waiting.push((client, token)),
                Some(response) => self.joined(client, &response),
            }
        }
        self.joins = waiting;
        let mut waiting = Vec::new();
        for (client, token) in std::mem::take(&mut self.syncs) {
            match self.t.synced(token) {
                None => waiting.push((client, token)),
                Some(response) if response.error_code == 0 && !response.assignment.is_empty() => {
                    // Leaders assign to each member its own id, at the time they led.
                    assert!(response.assignment.starts_with(b"cliente-") || client < STATIC_CLIENTS);
                }
                Some(_) => {}
            }
        }
        self.syncs = waiting;
    }

    fn joined(&mut self, client: usize, response: &ottla_protocol::messages::JoinGroupResponse) {
        let me = &mut self.clients[client];
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {
                me.member_id = response.member_id.clone();
                me.generation_id = response.generation_id;
                me.leads = response.members.iter().map(|member| member.member_id.clone()).collect();
                assert!(response.protocol_name.is_some(), "a generation has a protocol");
                let key = (self.coordinator, response.generation_id);
                let generation = self.generations.entry(key).or_default();
                generation.told.insert(response.member_id.clone());
                if !response.members.is_empty() && !response.skip_assignment {
                    generation.leaders.insert(response.leader.clone());
                    generation.members = me.leads.iter().cloned().collect();
                    assert_eq!(response.leader, response.member_id, "the leader is told of the members");
                    assert!(generation.members.contains(&response.leader), "the leader is a member");
                }
            }
            ErrorCode::MemberIdRequired => me.member_id = response.member_id.clone(),
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => me.member_id = ByteString::new(),
            _ => {}
        }
    }

    fn check(&mut self) {
        let Some(group) = self.t.shard().classic_group(&GROUP.into()) else {
            // The group was deleted; the next one of its name counts from the start.
            self.newest = 0;
            self.coordinator += 1;
            return;
        };
        assert!(group.generation_id() >= self.newest, "GROUP-EPOCH-MONOTONIC");
        self.newest = group.generation_id();
        assert!(group.num_awaiting_join() <= 4, "no more join than the group may have");
        assert_eq!(group.leader_id().is_some(), group.num_members() > 0, "members have a leader");
        assert!(group.leader_id().is_none_or(|leader| group.member(leader).is_some()));
        let waiting = group.members().filter(|member| member.awaiting_join.is_some()).count();
        assert_eq!(waiting, group.num_awaiting_join());
        assert_eq!(group.is_empty(), group.num_members() == 0 && group.state().name() == "Empty");
        let is_static = group.members().filter(|member| member.is_static());
        let instances: BTreeSet<_> = is_static.map(|member| member.group_instance_id.clone()).collect();
        assert_eq!(instances.len(), group.static_members.size(), "one member for each instance id");
        for token in group.members().filter_map(|member| member.awaiting_join) {
            assert!(self.joins.iter().any(|(_, waiting)| *waiting == token), "PARKED-IS-WAITED-FOR");
        }
    }

    /// Nobody says anything any more: sessions end, and everybody is answered.
    fn run_out(&mut self) {
        self.t.log.refuse = None;
        self.t.log.hold = false;
        self.t.commit_all();
        self.t.advance(20 * 60 * 1_000);
        self.collect();
        self.check();
        assert!(self.joins.is_empty(), "PARKED-ANSWERED-EVENTUALLY: {:?}", self.joins);
        assert!(self.syncs.is_empty(), "PARKED-ANSWERED-EVENTUALLY: {:?}", self.syncs);
        let group = self.t.shard().classic_group(&GROUP.into());
        assert!(group.is_none_or(|group| group.num_members() == 0), "every session ends");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn groups_keep_their_invariants(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
        }
        for ((_, number), generation) in &world.generations {
            prop_assert!(generation.leaders.len() <= 1, "ONE-LEADER-PER-GENERATION: {number}");
        }
        world.run_out();
    }

    #[test]
    fn what_is_written_is_what_a_new_coordinator_finds(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
        }
        let last = |group: &TestContext| group.records().into_iter().rev().find_map(|record| match record {
            GroupRecord::GroupMetadata { value, .. } => Some(value),
            _ => None,
        });
        let written = last(&world.t).flatten();
        let committed = world.t.shard().fetch_offsets(&super::testing::fetch_request("pagos"), false);
        world.restart();
        if let Some(written) = written {
            let group = world.t.shard().classic_group(&GROUP.into()).unwrap();
            prop_assert_eq!(group.generation_id(), written.generation);
            prop_assert_eq!(group.leader_id(), written.leader.as_ref());
            prop_assert_eq!(group.num_members(), written.members.len());
            for member in &written.members {
                let found = group.member(&member.member_id).unwrap();
                prop_assert_eq!(&found.assignment, &member.assignment);
                prop_assert_eq!(&found.group_instance_id, &member.group_instance_id);
            }
        }
        let found = world.t.shard().fetch_offsets(&super::testing::fetch_request("pagos"), false);
        prop_assert_eq!(committed, found);
    }
}

//! A consumer group under whatever its members, time and the cluster may do to it.

use std::collections::{BTreeMap, BTreeSet};

use ottla_common::{ErrorCode, Uuid};
use ottla_protocol::messages::ConsumerGroupHeartbeatRequest;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use proptest::prelude::*;

use super::testing::{TestGroup, alive, assigned, is_static, joins, joins_with_regex, names};

const MEMBERS: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];
const TOPICS: [&[&str]; 3] = [&["a"], &["b"], &["a", "b"]];
/// This member has an instance id, that one a regular expression.
const STATIC_MEMBER: usize = 0;
const REGEX_MEMBER: usize = 1;

#[derive(Debug, Clone)]
enum Op {
    Heartbeat {
        member: usize,
    },
    /// The response is lost: the member knows nothing of it.
    Lost {
        member: usize,
    },
    Resubscribe {
        member: usize,
        topics: usize,
    },
    Leave {
        member: usize,
        for_a_while: bool,
    },
    Forget {
        member: usize,
    },
    Advance {
        ms: i64,
    },
    Grow {
        partitions: i32,
    },
    Resolve,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let member = 0..MEMBERS.len();
    prop_oneof![
        20 => member.clone().prop_map(|member| Op::Heartbeat { member }),
        3 => member.clone().prop_map(|member| Op::Lost { member }),
        3 => (member.clone(), 0..TOPICS.len())
            .prop_map(|(member, topics)| Op::Resubscribe { member, topics }),
        2 => (member.clone(), any::<bool>())
            .prop_map(|(member, for_a_while)| Op::Leave { member, for_a_while }),
        1 => member.prop_map(|member| Op::Forget { member }),
        3 => (0i64..20_000).prop_map(|ms| Op::Advance { ms }),
        1 => (1i32..9).prop_map(|partitions| Op::Grow { partitions }),
        2 => Just(Op::Resolve),
        1 => Just(Op::Restart),
    ]
}

/// What a client knows. It gives up at once what it is told to, and says so in its next heartbeat.
#[derive(Debug, Default, Clone)]
struct Client {
    epoch: Option<i32>,
    owned: BTreeMap<Uuid, BTreeSet<i32>>,
    topics: usize,
    lives: u32,
}

struct World {
    t: TestGroup,
    clients: Vec<Client>,
}

impl World {
    fn new(assignment_interval_ms: i32) -> Self {
        let mut t = TestGroup::new(&[("a", 4), ("b", 3)]);
        t.config.assignment_interval_ms = assignment_interval_ms;
        Self { t, clients: vec![Client::default(); MEMBERS.len()] }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Heartbeat { member } => self.heartbeat(member, None, true),
            Op::Lost { member } => self.heartbeat(member, None, false),
            Op::Resubscribe { member, topics } => {
                self.clients[member].topics = topics;
                self.heartbeat(member, Some(topics), true);
            }
            Op::Leave { member, for_a_while } => self.leave(member, for_a_while),
            Op::Forget { member } => self.forget(member),
            Op::Advance { ms } => self.t.advance(ms),
            Op::Grow { partitions } => {
                self.t.metadata.put(0, "a", partitions.max(4));
                if let Some(group) = &mut self.t.group {
                    group.request_metadata_refresh();
                }
            }
            Op::Resolve => self.t.resolve(),
            Op::Restart => self.t.restart(),
        }
        self.check();
    }

    fn id(&self, member: usize) -> String {
        format!("{}-{}", MEMBERS[member], self.clients[member].lives)
    }

    fn request(&self, member: usize, topics: Option<usize>) -> ConsumerGroupHeartbeatRequest {
        let (id, client) = (self.id(member), &self.clients[member]);
        let mut request = match client.epoch {
            None if member == REGEX_MEMBER => joins_with_regex(&id, "[ab]"),
            None => joins(&id, TOPICS[client.topics]),
            Some(epoch) => alive(&id, epoch),
        };
        if client.epoch.is_some() {
            let topic = |(topic_id, partitions): (&Uuid, &BTreeSet<i32>)| TopicPartitions {
                topic_id: *topic_id,
                partitions: partitions.iter().copied().collect(),
                ..Default::default()
            };
            request.topic_partitions = Some(client.owned.iter().map(topic).collect());
        }
        if let Some(topics) = topics.filter(|_| member != REGEX_MEMBER) {
            request.subscribed_topic_names = Some(names(TOPICS[topics]));
        }
        if member == STATIC_MEMBER { is_static(request, "i0") } else { request }
    }

    fn heartbeat(&mut self, member: usize, topics: Option<usize>, arrives: bool) {
        let request = self.request(member, topics);
        match self.t.heartbeat(&request) {
            Ok(_) if !arrives => {}
            Ok(response) => {
                let client = &mut self.clients[member];
                assert!(client.epoch.is_none_or(|epoch| epoch <= response.member_epoch), "epochs grow");
                client.epoch = Some(response.member_epoch);
                if let Some(assigned) = assigned(&response) {
                    let set = |(id, of): (Uuid, Vec<i32>)| (id, of.into_iter().collect());
                    client.owned = assigned.into_iter().map(set).collect();
                }
            }
            Err(ErrorCode::UnreleasedInstanceId) => {}
            // It gives up everything, and begins anew.
            Err(error) => {
                let fenced = [ErrorCode::FencedMemberEpoch, ErrorCode::UnknownMemberId];
                let no_group = error == ErrorCode::GroupIdNotFound;
                assert!(fenced.contains(&error) || no_group, "{error} for {request:?}");
                let client = &mut self.clients[member];
                client.epoch = None;
                client.owned.clear();
            }
        }
    }

    fn leave(&mut self, member: usize, for_a_while: bool) {
        if self.clients[member].epoch.is_none() {
            return;
        }
        let for_a_while = for_a_while && member == STATIC_MEMBER;
        let mut request = alive(&self.id(member), if for_a_while { -2 } else { -1 });
        if member == STATIC_MEMBER {
            request = is_static(request, "i0");
        }
        let _ = self.t.heartbeat(&request);
        self.forget(member);
    }

    /// The client is gone; the next one of its name is another member.
    fn forget(&mut self, member: usize) {
        let client = &mut self.clients[member];
        *client = Client { lives: client.lives + 1, topics: client.topics, ..Client::default() };
    }

    fn check(&self) {
        let Some(group) = &self.t.group else { return };
        let mut owners: BTreeMap<(Uuid, i32), &str> = BTreeMap::new();
        for member in group.members() {
            for partitions in [&member.assigned_partitions, &member.partitions_pending_revocation] {
                for (topic_id, epochs) in partitions.iter() {
                    for (partition, epoch) in epochs {
                        let twice = owners.insert((*topic_id, *partition), &member.member_id);
                        assert_eq!(twice, None, "PARTITION-HAS-ONE-OWNER");
                        assert!(*epoch <= member.member_epoch.max(0), "PARTITION-EPOCH-LE-MEMBER-EPOCH");
                        let known = group.partition_epoch(*topic_id, *partition);
                        assert_eq!(known, Some(member.member_epoch), "CONSUMER-GROUP-COUNTS");
                    }
                }
            }
            assert!(member.member_epoch <= group.epoch(), "MEMBER-EPOCH-LE-GROUP-EPOCH");
        }
        assert!(group.assignment_epoch() <= group.epoch(), "ASSIGNMENT-EPOCH-LE-GROUP-EPOCH");
        self.check_clients();
    }

    /// No two clients that the group knows believe that they have the same partition.
    fn check_clients(&self) {
        let mut owners = BTreeSet::new();
        for (member, client) in self.clients.iter().enumerate() {
            if !self.t.has_member(&self.id(member)) {
                continue;
            }
            for (topic_id, partitions) in &client.owned {
                for partition in partitions {
                    assert!(owners.insert((*topic_id, *partition)), "PARTITION-HAS-ONE-OWNER");
                }
            }
        }
    }

    /// Everybody goes on heartbeating: the group settles, and everything that is read has an owner.
    fn settle(&mut self) {
        for _ in 0..40 {
            self.t.resolve();
            for member in 0..MEMBERS.len() {
                self.heartbeat(member, None, true);
                self.check();
            }
            self.t.advance(1_500);
        }
        let group = self.t.group();
        assert_eq!(group.state().name(), "Stable", "{group:?}");
        let mut owned: BTreeMap<Uuid, usize> = BTreeMap::new();
        for member in group.members() {
            for (topic_id, epochs) in member.assigned_partitions.iter() {
                *owned.entry(*topic_id).or_default() += epochs.len();
            }
        }
        for topic in group.subscribed_topics().names() {
            use crate::metadata::CoordinatorMetadata;
            if let Some(topic) = self.t.metadata.topic(topic) {
                let count = owned.get(&topic.id).copied().unwrap_or(0);
                assert_eq!(count, usize::try_from(topic.num_partitions).unwrap(), "ASSIGNMENT-COMPLETE");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_group_keeps_its_invariants_and_settles(
        ops in prop::collection::vec(op(), 1..100),
        interval_ms in prop_oneof![Just(0), Just(1_000)],
    ) {
        let mut world = World::new(interval_ms);
        for op in &ops {
            world.run(op);
        }
        world.settle();
    }
}

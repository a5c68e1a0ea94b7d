use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_common::TopicPartition;

use crate::ClientError;
use crate::config::invalid;

/// How the leader of a group shares out partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// Topic by topic, a run of partitions to each member.
    Range,
    /// All partitions in turn.
    RoundRobin,
}

/// What the leader knows of a member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: ByteString,
    pub(crate) instance_id: Option<ByteString>,
    pub(crate) topics: BTreeSet<ByteString>,
}

impl Member {
    /// Static members first and by their names, so that restarts change nothing (KIP-345).
    fn rank(&self) -> (bool, &str) {
        (self.instance_id.is_none(), self.instance_id.as_ref().unwrap_or(&self.id))
    }
}

impl Assignor {
    /// The name in the group protocol.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Range, Self::RoundRobin].into_iter().find(|assignor| assignor.name() == name)
    }

    /// Reads `partition.assignment.strategy`: names, or Kafka's Java classes of that meaning.
    pub(crate) fn parse(text: Option<&str>) -> Result<Vec<Self>, ClientError> {
        let Some(text) = text else { return Ok(vec![Self::Range]) };
        let known = |name: &str| match name.rsplit('.').next().unwrap_or(name) {
            "RangeAssignor" | "range" => Some(Self::Range),
            "RoundRobinAssignor" | "roundrobin" => Some(Self::RoundRobin),
            _ => None,
        };
        let assignors: Vec<_> = text.split(',').map(str::trim).filter_map(known).collect();
        if assignors.is_empty() {
            return Err(invalid("partition.assignment.strategy", text, "range or roundrobin is expected"));
        }
        Ok(assignors)
    }

    /// Shares out the partitions of the topics, each to one member that wants its topic.
    pub(crate) fn assign(
        self,
        members: &[Member],
        partitions: &BTreeMap<ByteString, usize>,
    ) -> BTreeMap<ByteString, Vec<TopicPartition>> {
        let mut members: Vec<_> = members.iter().collect();
        members.sort_by(|a, b| a.rank().cmp(&b.rank()));
        let mut shares: BTreeMap<_, Vec<_>> = members.iter().map(|m| (m.id.clone(), Vec::new())).collect();
        let mut give = |member: &Member, topic: &ByteString, partition: usize| {
            let share = shares.entry(member.id.clone()).or_default();
            share.push(TopicPartition::new(&**topic, partition as i32));
        };
        match self {
            Self::Range => {
                for (topic, count) in partitions {
                    let takers: Vec<_> = members.iter().filter(|m| m.topics.contains(topic)).collect();
                    for partition in 0..*count {
                        if let Some(taker) = takers.get(range_owner(partition, *count, takers.len())) {
                            give(taker, topic, partition);
                        }
                    }
                }
            }
            Self::RoundRobin => {
                let mut turn = 0;
                for (topic, count) in partitions {
                    if !members.iter().any(|m| m.topics.contains(topic)) {
                        continue;
                    }
                    for partition in 0..*count {
                        while !members[turn % members.len()].topics.contains(topic) {
                            turn += 1;
                        }
                        give(members[turn % members.len()], topic, partition);
                        turn += 1;
                    }
                }
            }
        }
        shares
    }
}

/// The first `count % members` members get one partition more.
fn range_owner(partition: usize, count: usize, members: usize) -> usize {
    if members == 0 {
        return 0;
    }
    let (each, extra) = (count / members, count % members);
    let generous = extra * (each + 1);
    if partition < generous { partition / (each + 1) } else { extra + (partition - generous) / each.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, topics: &[&str]) -> Member {
        let topics = topics.iter().map(|t| (*t).into()).collect();
        Member { id: id.into(), instance_id: None, topics }
    }

    fn shares(
        assignor: Assignor,
        members: &[Member],
        topics: &[(&str, usize)],
    ) -> Vec<(String, Vec<String>)> {
        let topics = topics.iter().map(|(t, n)| ((*t).into(), *n)).collect();
        let shares = assignor.assign(members, &topics);
        shares
            .into_iter()
            .map(|(id, tps)| (id.to_string(), tps.iter().map(ToString::to_string).collect()))
            .collect()
    }

    #[test]
    fn range_gives_runs() {
        let members = [member("b", &["t", "u"]), member("a", &["t"])];
        let shares = shares(Assignor::Range, &members, &[("t", 3), ("u", 1)]);
        assert_eq!(shares[0], ("a".into(), vec!["t-0".into(), "t-1".into()]));
        assert_eq!(shares[1], ("b".into(), vec!["t-2".into(), "u-0".into()]));
    }

    #[test]
    fn round_robin_takes_turns_and_skips_the_uninterested() {
        let members = [member("a", &["t"]), member("b", &["t", "u"]), member("c", &[])];
        let shares = shares(Assignor::RoundRobin, &members, &[("t", 3), ("u", 2), ("x", 9)]);
        assert_eq!(shares[0].1, ["t-0", "t-2"]);
        assert_eq!(shares[1].1, ["t-1", "u-0", "u-1"]);
        assert!(shares[2].1.is_empty());
    }

    #[test]
    fn every_partition_has_one_owner() {
        for assignor in [Assignor::Range, Assignor::RoundRobin] {
            for members in 1..8 {
                for count in 0..20 {
                    let group: Vec<_> = (0..members).map(|i| member(&format!("m{i}"), &["t"])).collect();
                    let shares = shares(assignor, &group, &[("t", count)]);
                    let mut all: Vec<_> = shares.iter().flat_map(|(_, s)| s.clone()).collect();
                    all.sort();
                    all.dedup();
                    assert_eq!(all.len(), count);
                    let sizes: Vec<_> = shares.iter().map(|(_, s)| s.len()).collect();
                    let spread = sizes.iter().max().unwrap() - sizes.iter().min().unwrap();
                    assert!(spread <= 1, "{sizes:?}");
                }
            }
        }
    }
}

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;

use super::configure::Refusal;
use super::partition_counts::PartitionCounts;
use crate::group::streams::StreamsTopology;
use crate::group::streams::topology::copartition_group;

/// Topics that are joined with each other must have as many partitions each. Where a repartition topic
/// is free to choose, it follows; where nothing can give way, no task can run.
pub(super) fn enforce_copartitioning(
    topology: &StreamsTopology,
    counts: &mut PartitionCounts<'_>,
) -> Result<(), Refusal> {
    let repartition = RepartitionTopics::of(topology);
    for subtopology in topology.subtopologies().values() {
        for group in &subtopology.copartition_groups {
            let topics = copartition_group(subtopology, group);
            if !topics.is_empty() {
                enforce(&topics, &repartition, counts)?;
            }
        }
    }
    Ok(())
}

/// The application's repartition topics, by whether the application says how many partitions they have.
struct RepartitionTopics {
    fixed: BTreeSet<ByteString>,
    flexible: BTreeSet<ByteString>,
}

impl RepartitionTopics {
    fn of(topology: &StreamsTopology) -> Self {
        let subtopologies = topology.subtopologies().values();
        let topics = subtopologies.flat_map(|subtopology| &subtopology.repartition_source_topics);
        let named = |fixed: bool| -> BTreeSet<ByteString> {
            let of = topics.clone().filter(|topic| (topic.partitions != 0) == fixed);
            of.map(|topic| topic.name.clone()).collect()
        };
        Self { fixed: named(true), flexible: named(false) }
    }
}

fn enforce(
    topics: &BTreeSet<ByteString>,
    repartition: &RepartitionTopics,
    counts: &mut PartitionCounts<'_>,
) -> Result<(), Refusal> {
    let (mut own, mut external) = (BTreeMap::new(), BTreeMap::new());
    for topic in topics {
        let partitions = count(counts, topic)?;
        let is_own = repartition.fixed.contains(topic) || repartition.flexible.contains(topic);
        let side = if is_own { &mut own } else { &mut external };
        side.insert(topic.clone(), partitions);
    }
    let partitions = match external.is_empty() {
        false => same_count(&external)?,
        // Kafka looks at every topic whose count is fixed, of whatever co-partition group.
        true if !repartition.fixed.is_empty() => {
            let mut fixed = BTreeMap::new();
            for topic in &repartition.fixed {
                fixed.insert(topic.clone(), count(counts, topic)?);
            }
            same_count(&fixed)?
        }
        true => own.values().copied().max().unwrap_or(0),
    };
    for (topic, has) in own {
        if repartition.fixed.contains(&topic) && has != partitions {
            let what =
                format!("repartition topic {topic} has {has} partitions where {partitions} are needed");
            return Err(Refusal::incorrectly_partitioned(what));
        }
        counts.put(topic, partitions);
    }
    Ok(())
}

fn count(counts: &PartitionCounts<'_>, topic: &ByteString) -> Result<i32, Refusal> {
    let unknown = || Refusal::topology(format!("nothing tells how many partitions topic {topic} has"));
    counts.get(topic).ok_or_else(unknown)
}

fn same_count(topics: &BTreeMap<ByteString, i32>) -> Result<i32, Refusal> {
    let first = topics.values().next().copied().unwrap_or(0);
    match topics.values().all(|partitions| *partitions == first) {
        true => Ok(first),
        false => {
            let each: Vec<_> = topics.iter().map(|(topic, count)| format!("{topic}={count}")).collect();
            let what = format!("topics that must have as many partitions each: {}", each.join(", "));
            Err(Refusal::incorrectly_partitioned(what))
        }
    }
}

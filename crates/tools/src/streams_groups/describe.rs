//! `--describe`: offsets and lag, members with their tasks, state, topology.

use std::collections::{BTreeMap, BTreeSet};

use ottla_clients::admin::{
    OffsetAndMetadata, OffsetSpec, StreamsGroupDescription, TopologyDescriptionStatus,
};
use ottla_common::TopicPartition;

use super::offsets::committed;
use super::tables::{self, OffsetRow};
use super::{chosen, topology};
use crate::cluster::Cluster;
use crate::error::{Result, ToolError, failed, usage};
use crate::groups::columns::coordinator_text;
use crate::groups::refusals::{print_error, refusal_with_class};
use crate::options::Options;
use crate::output::{out, outln};

pub(super) fn run(cluster: &Cluster, options: &Options) -> Result {
    let verbose = options.has("verbose");
    let with_topology = options.has("topology");
    let mut is_complete = true;
    for id in chosen(cluster, options)? {
        let described = cluster.answer(cluster.admin.describe_streams_group(&id, with_topology));
        let group = described.map_err(refusal_with_class)?;
        if with_topology {
            is_complete &= print_topology(&group)?;
        } else if options.has("members") {
            if is_worth_a_table(&group) {
                say_who_is_missing(&group);
                out!("{}", tables::members(&group, verbose));
            }
        } else if options.has("state") {
            say_who_is_missing(&group);
            let coordinator = coordinator_text(cluster, group.coordinator, " ");
            out!("{}", tables::state(&group, &coordinator, verbose));
        } else {
            let rows = offset_rows(cluster, &group)?;
            if is_worth_a_table(&group) {
                say_who_is_missing(&group);
                out!("{}", tables::offsets(&group.group_id, &rows, verbose));
            }
        }
    }
    if is_complete { Ok(()) } else { Err(ToolError::Exit(1)) }
}

fn is_worth_a_table(group: &StreamsGroupDescription) -> bool {
    *group.state != *"Dead" && !group.members.is_empty()
}

fn say_who_is_missing(group: &StreamsGroupDescription) {
    let id = &group.group_id;
    match &*group.state {
        "Dead" => print_error(&format!("Streams group '{id}' does not exist.")),
        "Empty" => print_error(&format!("Streams group '{id}' has no active members.")),
        _ => {}
    }
}

/// Whether there was a topology to print.
fn print_topology(group: &StreamsGroupDescription) -> Result<bool> {
    let id = &group.group_id;
    let what_is_wrong = match &group.topology_description {
        TopologyDescriptionStatus::Available(description) => match topology::text(description) {
            Ok(text) => {
                outln!("{text}");
                return Ok(true);
            }
            Err(message) => return failed(format!("java.lang.IllegalStateException: {message}")),
        },
        TopologyDescriptionStatus::NotStored => {
            format!("No topology description is stored for streams group '{id}'.")
        }
        TopologyDescriptionStatus::Error => format!(
            "The broker failed to fetch the topology description for streams group '{id}'. See the broker \
             logs for details."
        ),
        TopologyDescriptionStatus::NotRequested => {
            format!("No topology description is available for streams group '{id}' (status: NOT_REQUESTED).")
        }
    };
    print_error(&what_is_wrong);
    Ok(false)
}

fn offset_rows(cluster: &Cluster, group: &StreamsGroupDescription) -> Result<Vec<OffsetRow>> {
    let partitions = read_partitions(group)?;
    let starts = listed(cluster, &partitions, OffsetSpec::Earliest)?;
    let ends = listed(cluster, &partitions, OffsetSpec::Latest)?;
    let committed = committed(cluster, group, true)?;
    Ok(rows_of(&starts, &ends, &committed))
}

fn listed(
    cluster: &Cluster,
    partitions: &BTreeSet<TopicPartition>,
    spec: OffsetSpec,
) -> Result<BTreeMap<TopicPartition, i64>> {
    let wanted: Vec<_> = partitions.iter().map(|partition| (partition.clone(), spec)).collect();
    let listed = cluster.answer(cluster.admin.list_offsets(&wanted, false)).map_err(refusal_with_class)?;
    let mut offsets = BTreeMap::new();
    for (partition, listed) in listed {
        offsets.insert(partition, listed.map_err(refusal_with_class)?.offset);
    }
    Ok(offsets)
}

/// The lag of a partition without an offset is the whole log.
fn rows_of(
    starts: &BTreeMap<TopicPartition, i64>,
    ends: &BTreeMap<TopicPartition, i64>,
    committed: &BTreeMap<TopicPartition, OffsetAndMetadata>,
) -> Vec<OffsetRow> {
    let row = |(partition, start): (&TopicPartition, &i64)| {
        let end = ends.get(partition).copied()?;
        let committed = committed.get(partition);
        let current = committed.map(|committed| committed.offset);
        Some(OffsetRow {
            partition: partition.clone(),
            current,
            leader_epoch: committed.and_then(|committed| committed.leader_epoch),
            end,
            lag: end - current.unwrap_or(*start),
        })
    };
    starts.iter().filter_map(row).collect()
}

/// What the active tasks of all members read.
fn read_partitions(group: &StreamsGroupDescription) -> Result<BTreeSet<TopicPartition>> {
    let mut partitions = BTreeSet::new();
    for tasks in group.members.iter().flat_map(|member| &member.assignment.active_tasks) {
        let id = &tasks.subtopology_id;
        let Some(subtopology) = group.subtopologies.iter().find(|part| part.subtopology_id == *id) else {
            return usage(format!("Subtopology {id} not found in group description!"));
        };
        let repartitioned = subtopology.repartition_source_topics.iter().map(|topic| &topic.name);
        for topic in subtopology.source_topics.iter().chain(repartitioned) {
            partitions.extend(tasks.partitions.iter().map(|p| TopicPartition::new(&**topic, *p)));
        }
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::streams_group_describe_response::{Assignment, Member, TaskIds};

    use super::*;
    use crate::streams_groups::tables::testing::{group, tasks};

    fn tp(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition::new(topic, partition)
    }

    fn member(active_tasks: Vec<TaskIds>) -> Member {
        let assignment = Assignment { active_tasks, ..Assignment::default() };
        Member { assignment, ..Member::default() }
    }

    #[test]
    fn tasks_read_the_topics_of_their_part() {
        let described =
            group("Stable", vec![member(vec![tasks("0", &[0, 1])]), member(vec![tasks("1", &[2])])]);
        let partitions: Vec<_> = read_partitions(&described).unwrap().into_iter().collect();
        assert_eq!(partitions, [tp("g-words-repartition", 2), tp("in", 0), tp("in", 1)]);
        let odd = group("Stable", vec![member(vec![tasks("7", &[0])])]);
        assert_eq!(
            read_partitions(&odd).unwrap_err().to_string(),
            "Subtopology 7 not found in group description!"
        );
    }

    #[test]
    fn lag_counts_from_the_commit_or_from_the_start() {
        let starts = BTreeMap::from([(tp("in", 0), 2), (tp("in", 1), 3)]);
        let ends = BTreeMap::from([(tp("in", 0), 10), (tp("in", 1), 10)]);
        let committed = BTreeMap::from([(tp("in", 0), OffsetAndMetadata::from(7))]);
        let lags: Vec<_> =
            rows_of(&starts, &ends, &committed).iter().map(|row| (row.current, row.lag)).collect();
        assert_eq!(lags, [(Some(7), 3), (None, 7)]);
    }

    #[test]
    fn topologies_that_cannot_be_shown() {
        let mut described = group("Stable", Vec::new());
        for status in [TopologyDescriptionStatus::NotStored, TopologyDescriptionStatus::Error] {
            described.topology_description = status;
            assert!(!print_topology(&described).unwrap());
        }
        assert!(!is_worth_a_table(&described));
    }
}

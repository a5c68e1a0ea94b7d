//! `--describe`: offsets and lag, members, state.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_clients::admin::{GroupDescription, MemberDescription, OffsetAndMetadata, OffsetSpec};
use ottla_common::TopicPartition;

use super::tables::{self, OffsetRow};
use super::{check_is_of_consumers, chosen, committed, describe_group};
use crate::cluster::Cluster;
use crate::error::{Result, failed};
use crate::groups::columns::{MISSING, coordinator_text};
use crate::groups::refusals::{print_error, refusal_with_class};
use crate::offsets::{list_offsets, partitions_of};
use crate::options::Options;
use crate::output::{errln, out};

pub(super) fn run(cluster: &Cluster, options: &Options) -> Result {
    let verbose = options.has("verbose");
    let mut groups: BTreeMap<String, GroupDescription> = BTreeMap::new();
    for id in chosen(cluster, options)? {
        let described = describe_group(cluster, &id).map_err(refusal_with_class)?;
        check_is_of_consumers(&id, &described)?;
        groups.insert(id, described);
    }
    for (id, group) in &groups {
        if options.has("members") {
            // Heads of columns are shown even of a group without members.
            say_what_is_odd(id, group)?;
            out!("{}", tables::members(id, group, verbose));
        } else if options.has("state") {
            if say_what_is_odd(id, group)? {
                let coordinator = coordinator_text(cluster, group.coordinator, "  ");
                out!("{}", tables::state(id, group, &coordinator, verbose));
            }
        } else {
            let rows = offset_rows(cluster, id, group)?;
            if say_what_is_odd(id, group)? && !rows.is_empty() {
                out!("{}", tables::offsets(id, &rows, verbose));
            }
        }
    }
    Ok(())
}

/// Says what is odd about a group; whether there is anything more to show.
fn say_what_is_odd(id: &str, group: &GroupDescription) -> Result<bool> {
    match &*group.state {
        "Dead" => print_error(&format!("Consumer group '{id}' does not exist.")),
        "Empty" => errln!("\nConsumer group '{id}' has no active members."),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            errln!("\nWarning: Consumer group '{id}' is rebalancing.");
        }
        "Stable" => {}
        other => return failed(format!("Expected a valid consumer group state, but found '{other}'.")),
    }
    Ok(*group.state != *"Dead")
}

fn offset_rows(cluster: &Cluster, id: &str, group: &GroupDescription) -> Result<Vec<OffsetRow>> {
    let committed = committed(cluster, id)?;
    let assigned: BTreeSet<TopicPartition> =
        group.members.iter().flat_map(|m| m.assignment.clone()).collect();
    let topics: BTreeSet<&str> = assigned.iter().chain(committed.keys()).map(|p| &*p.topic).collect();
    let mut known = partitions_of(cluster, Some(topics))?;
    known.retain(|partition, _| assigned.contains(partition) || committed.contains_key(partition));
    let ends = list_offsets(cluster, &known, OffsetSpec::Latest)?;
    let ends = ends.into_iter().filter_map(|(partition, end)| Some((partition, end.ok()?))).collect();
    Ok(rows_of(group, &committed, &ends))
}

fn rows_of(
    group: &GroupDescription,
    committed: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ends: &BTreeMap<TopicPartition, i64>,
) -> Vec<OffsetRow> {
    let row = |partition: &TopicPartition, owner: Option<&MemberDescription>| {
        let text = |get: fn(&MemberDescription) -> &ByteString| {
            owner.map_or_else(|| MISSING.to_owned(), |m| get(m).to_string())
        };
        OffsetRow {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            committed: committed.get(partition).map(|committed| committed.offset),
            leader_epoch: committed.get(partition).and_then(|committed| committed.leader_epoch),
            end: ends.get(partition).copied(),
            consumer: text(|m| &m.member_id),
            host: text(|m| &m.client_host),
            client: text(|m| &m.client_id),
        }
    };
    // Members with most partitions come first, then what nobody reads.
    let mut members: Vec<&MemberDescription> =
        group.members.iter().filter(|m| !m.assignment.is_empty()).collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.assignment.len()));
    let mut rows = Vec::new();
    let mut assigned = BTreeSet::new();
    for member in members {
        let mut partitions: Vec<&TopicPartition> = member.assignment.iter().collect();
        partitions.sort();
        rows.extend(partitions.iter().map(|&partition| row(partition, Some(member))));
        assigned.extend(partitions);
    }
    rows.extend(committed.keys().filter(|partition| !assigned.contains(*partition)).map(|p| row(p, None)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer_groups::tables::testing::{group, member};

    #[test]
    fn busy_members_come_first_and_orphans_last() {
        let tp = |id| TopicPartition::new("t", id);
        let group = group("Stable", vec![member("m1", &[0]), member("m2", &[2, 1])]);
        let committed =
            BTreeMap::from([(tp(1), OffsetAndMetadata::from(5)), (tp(3), OffsetAndMetadata::from(7))]);
        let ends = BTreeMap::from([(tp(0), 1), (tp(1), 9), (tp(3), 7)]);
        let rows = rows_of(&group, &committed, &ends);
        let seen: Vec<_> = rows.iter().map(|row| (row.consumer.as_str(), row.partition)).collect();
        assert_eq!(seen, [("m2", 1), ("m2", 2), ("m1", 0), ("-", 3)]);
        assert_eq!((rows[0].committed, rows[0].end), (Some(5), Some(9)));
        assert_eq!((rows[1].committed, rows[1].end), (None, None));
    }

    #[test]
    fn states_of_no_consumer_group_are_refused() {
        for state in ["Stable", "Empty", "Assigning", "Reconciling"] {
            assert!(say_what_is_odd("g", &group(state, Vec::new())).unwrap());
        }
        assert!(!say_what_is_odd("g", &group("Dead", Vec::new())).unwrap());
        let refused = say_what_is_odd("g", &group("NotReady", Vec::new())).unwrap_err();
        assert_eq!(refused.to_string(), "Expected a valid consumer group state, but found 'NotReady'.");
    }
}

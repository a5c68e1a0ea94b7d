//! `--describe`: offsets and lag, members, state.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{self, Committed, Group, Member};
use super::{chosen, print_error};
use crate::cluster::Cluster;
use crate::error::{Result, failed};
use crate::offsets::{LATEST, TopicPartition, list_offsets, partitions_of};
use crate::options::Options;
use crate::output::{errln, out, outln};

const MISSING: &str = "-";

pub(super) fn run(cluster: &mut Cluster, options: &Options) -> Result {
    let verbose = options.has("verbose");
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for id in chosen(cluster, options)? {
        let described = group::describe(cluster, &id)?;
        groups.insert(id, described);
    }
    for (id, group) in &groups {
        if options.has("members") {
            print_members(id, group, verbose)?;
        } else if options.has("state") {
            print_state(cluster, id, group, verbose)?;
        } else {
            let rows = offset_rows(cluster, id, group)?;
            if should_print(id, group, rows.len())? {
                print_offsets(id, &rows, verbose);
            }
        }
    }
    Ok(())
}

/// Says what is odd about a group; whether there is anything more to print.
fn should_print(id: &str, group: &Group, rows: usize) -> Result<bool> {
    match group.state.as_str() {
        "Dead" => print_error(&format!("Consumer group '{id}' does not exist.")),
        "Empty" => errln!("\nConsumer group '{id}' has no active members."),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            errln!("\nWarning: Consumer group '{id}' is rebalancing.");
        }
        "Stable" => {}
        other => return failed(format!("Expected a valid consumer group state, but found '{other}'.")),
    }
    Ok(group.state != "Dead" && rows > 0)
}

/// One line of the table of offsets.
struct Row {
    topic: String,
    partition: i32,
    committed: Option<Committed>,
    end: Option<i64>,
    consumer: String,
    host: String,
    client: String,
}

fn offset_rows(cluster: &mut Cluster, id: &str, group: &Group) -> Result<Vec<Row>> {
    let committed = group::committed(cluster, id)?;
    let assigned: BTreeSet<TopicPartition> =
        group.members.iter().flat_map(|m| m.assignment.clone()).collect();
    let topics: BTreeSet<String> =
        assigned.iter().chain(committed.keys()).map(|(topic, _)| topic.clone()).collect();
    let topics: Vec<String> = topics.into_iter().collect();
    let mut known = if topics.is_empty() { BTreeMap::new() } else { partitions_of(cluster, Some(&topics))? };
    known.retain(|partition, _| assigned.contains(partition) || committed.contains_key(partition));
    let ends = list_offsets(cluster, &known, LATEST)?;
    let row = |partition: &TopicPartition, owner: Option<&Member>| {
        let text = |get: fn(&Member) -> &String| owner.map_or_else(|| MISSING.to_owned(), |m| get(m).clone());
        Row {
            topic: partition.0.clone(),
            partition: partition.1,
            committed: committed.get(partition).copied(),
            end: ends.get(partition).and_then(|end| end.ok()).map(|end| end.offset),
            consumer: text(|m| &m.id),
            host: text(|m| &m.host),
            client: text(|m| &m.client_id),
        }
    };
    // Members with most partitions come first, then what nobody reads.
    let mut members: Vec<&Member> = group.members.iter().filter(|m| !m.assignment.is_empty()).collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.assignment.len()));
    let mut rows = Vec::new();
    for member in members {
        let mut partitions = member.assignment.clone();
        partitions.sort();
        rows.extend(partitions.iter().map(|partition| row(partition, Some(member))));
    }
    rows.extend(committed.keys().filter(|partition| !assigned.contains(*partition)).map(|p| row(p, None)));
    Ok(rows)
}

fn or_missing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| value.to_string())
}

fn width<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0).max(15)
}

fn print_offsets(id: &str, rows: &[Row], verbose: bool) {
    let group_width = width([id].into_iter());
    let topic_width = width(rows.iter().map(|row| row.topic.as_str()));
    let consumer_width = width(rows.iter().map(|row| row.consumer.as_str()));
    let host_width = width(rows.iter().map(|row| row.host.as_str()));
    let line = |cells: [&str; 10]| {
        let [group, topic, partition, epoch, current, end, lag, consumer, host, client] = cells;
        let epoch = if verbose { format!("{epoch:<15} ") } else { String::new() };
        out!(
            "\n{group:<group_width$} {topic:<topic_width$} {partition:<10} {epoch}{current:<15} {end:<15} \
             {lag:<15} {consumer:<consumer_width$} {host:<host_width$} {client}"
        );
    };
    line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ]);
    for row in rows {
        let current = row.committed.map(|committed| committed.offset);
        let lag = current.zip(row.end).map(|(current, end)| end - current);
        line([
            id,
            &row.topic,
            &row.partition.to_string(),
            &or_missing(row.committed.and_then(|committed| committed.leader_epoch)),
            &or_missing(current),
            &or_missing(row.end),
            &or_missing(lag),
            &row.consumer,
            &row.host,
            &row.client,
        ]);
    }
    outln!();
}

/// `a:0,1;b:2`.
fn assignment_text(partitions: &[TopicPartition]) -> String {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        by_topic.entry(topic).or_default().push(*partition);
    }
    let topic = |(topic, mut ids): (&str, Vec<i32>)| {
        ids.sort_unstable();
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        format!("{topic}:{}", ids.join(","))
    };
    let parts: Vec<_> = by_topic.into_iter().map(topic).collect();
    if parts.is_empty() { MISSING.to_owned() } else { parts.join(";") }
}

fn print_members(id: &str, group: &Group, verbose: bool) -> Result {
    if !should_print(id, group, group.members.len())? && group.state == "Dead" {
        return Ok(());
    }
    let members = &group.members;
    let group_width = width([id].into_iter());
    let id_width = width(members.iter().map(|m| m.id.as_str()));
    let instance_width = width(members.iter().map(|m| m.instance_id.as_str())).max(17);
    let host_width = width(members.iter().map(|m| m.host.as_str()));
    let client_width = width(members.iter().map(|m| m.client_id.as_str()));
    let with_instance = members.iter().any(|member| !member.instance_id.is_empty());
    let current: Vec<String> = members.iter().map(|m| assignment_text(&m.assignment)).collect();
    let target: Vec<String> = members.iter().map(|m| assignment_text(&m.target)).collect();
    let current_width = width(current.iter().map(String::as_str)).max(20);
    let target_width = width(target.iter().map(String::as_str)).max(20);
    let migrating =
        members.iter().any(|m| m.upgraded == Some(false)) && members.iter().any(|m| m.upgraded == Some(true));
    let lead = |cells: [&str; 6]| {
        let [group, member, instance, host, client, count] = cells;
        let instance = if with_instance { format!("{instance:<instance_width$} ") } else { String::new() };
        out!(
            "{group:<group_width$} {member:<id_width$} {instance}{host:<host_width$} {client:<client_width$} \
             {count:<15} "
        );
    };
    let rest = |cells: [&str; 5]| {
        let [epoch, current, target_epoch, target, upgraded] = cells;
        out!("{epoch:<15} {current:<current_width$} {target_epoch:<15} {target:<target_width$}");
        if migrating {
            out!(" {upgraded}");
        }
    };
    out!("\n");
    lead(["GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS"]);
    if verbose {
        rest(["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT", "UPGRADED"]);
    }
    outln!();
    for (i, member) in members.iter().enumerate() {
        let count = member.assignment.len().to_string();
        lead([id, &member.id, &member.instance_id, &member.host, &member.client_id, &count]);
        if verbose {
            rest([
                &or_missing(member.epoch),
                &current[i],
                &or_missing(group.assignment_epoch),
                &target[i],
                &or_missing(member.upgraded),
            ]);
        }
        outln!();
    }
    Ok(())
}

fn print_state(cluster: &Cluster, id: &str, group: &Group, verbose: bool) -> Result {
    if !should_print(id, group, 1)? {
        return Ok(());
    }
    let node = cluster.nodes().iter().find(|node| node.id == group.coordinator);
    let coordinator =
        node.map_or_else(|| MISSING.to_owned(), |n| format!("{}:{}  ({})", n.host, n.port, n.id));
    let coordinator_width = coordinator.len().max(25);
    let group_width = width([id].into_iter());
    let assignor = if group.assignor.is_empty() { MISSING } else { &group.assignor };
    let line = |cells: [&str; 7]| {
        let [id, coordinator, assignor, state, epoch, target, members] = cells;
        let epochs = if verbose { format!("{epoch:<15} {target:<25} ") } else { String::new() };
        out!(
            "\n{id:<group_width$} {coordinator:<coordinator_width$} {assignor:<20} {state:<20} {epochs}{members}"
        );
    };
    line([
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNMENT-STRATEGY",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ]);
    line([
        id,
        &coordinator,
        assignor,
        &group.state,
        &or_missing(group.epoch),
        &or_missing(group.assignment_epoch),
        &group.members.len().to_string(),
    ]);
    outln!();
    Ok(())
}

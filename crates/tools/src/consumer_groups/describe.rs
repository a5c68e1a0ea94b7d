//! `--describe`: offsets and lag, members, state.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use ottla_clients::admin::{GroupDescription, MemberDescription, OffsetAndMetadata, OffsetSpec};
use ottla_common::TopicPartition;

use super::{chosen, committed, describe_group, print_error, refusal_with_class};
use crate::cluster::Cluster;
use crate::error::{Result, failed};
use crate::offsets::{list_offsets, partitions_of};
use crate::options::Options;
use crate::output::{errln, out, outln};

const MISSING: &str = "-";

pub(super) fn run(cluster: &Cluster, options: &Options) -> Result {
    let verbose = options.has("verbose");
    let mut groups: BTreeMap<String, GroupDescription> = BTreeMap::new();
    for id in chosen(cluster, options)? {
        let described = describe_group(cluster, &id).map_err(refusal_with_class)?;
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
fn should_print(id: &str, group: &GroupDescription, rows: usize) -> Result<bool> {
    match &*group.state {
        "Dead" => print_error(&format!("Consumer group '{id}' does not exist.")),
        "Empty" => errln!("\nConsumer group '{id}' has no active members."),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            errln!("\nWarning: Consumer group '{id}' is rebalancing.");
        }
        "Stable" => {}
        other => return failed(format!("Expected a valid consumer group state, but found '{other}'.")),
    }
    Ok(*group.state != *"Dead" && rows > 0)
}

/// One line of the table of offsets.
struct Row {
    topic: String,
    partition: i32,
    committed: Option<OffsetAndMetadata>,
    end: Option<i64>,
    consumer: String,
    host: String,
    client: String,
}

fn offset_rows(cluster: &Cluster, id: &str, group: &GroupDescription) -> Result<Vec<Row>> {
    let committed = committed(cluster, id)?;
    let assigned: BTreeSet<TopicPartition> =
        group.members.iter().flat_map(|m| m.assignment.clone()).collect();
    let topics: BTreeSet<&str> = assigned.iter().chain(committed.keys()).map(|p| &*p.topic).collect();
    let mut known = partitions_of(cluster, Some(topics))?;
    known.retain(|partition, _| assigned.contains(partition) || committed.contains_key(partition));
    let ends = list_offsets(cluster, &known, OffsetSpec::Latest)?;
    let row = |partition: &TopicPartition, owner: Option<&MemberDescription>| {
        let text = |get: fn(&MemberDescription) -> &ByteString| {
            owner.map_or_else(|| MISSING.to_owned(), |m| get(m).to_string())
        };
        Row {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            committed: committed.get(partition).cloned(),
            end: ends.get(partition).and_then(|end| end.as_ref().ok()).copied(),
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
        let current = row.committed.as_ref().map(|committed| committed.offset);
        let lag = current.zip(row.end).map(|(current, end)| end - current);
        line([
            id,
            &row.topic,
            &row.partition.to_string(),
            &or_missing(row.committed.as_ref().and_then(|committed| committed.leader_epoch)),
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
    for TopicPartition { topic, partition } in partitions {
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

fn print_members(id: &str, group: &GroupDescription, verbose: bool) -> Result {
    should_print(id, group, group.members.len())?;
    let members = &group.members;
    let group_width = width(members.iter().map(|_| id));
    let instance = |m: &'_ MemberDescription| m.group_instance_id.clone().unwrap_or_default();
    let id_width = width(members.iter().map(|m| &*m.member_id));
    let instance_width = members.iter().map(|m| instance(m).chars().count()).max().unwrap_or(0).max(17);
    let host_width = width(members.iter().map(|m| &*m.client_host));
    let client_width = width(members.iter().map(|m| &*m.client_id));
    let with_instance = members.iter().any(|m| m.group_instance_id.is_some());
    let current: Vec<String> = members.iter().map(|m| assignment_text(&m.assignment)).collect();
    let target: Vec<String> =
        members.iter().map(|m| assignment_text(m.target_assignment.as_deref().unwrap_or_default())).collect();
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
        lead([id, &member.member_id, &instance(member), &member.client_host, &member.client_id, &count]);
        if verbose {
            rest([
                &or_missing(member.member_epoch),
                &current[i],
                &or_missing(group.target_assignment_epoch),
                &target[i],
                &or_missing(member.upgraded),
            ]);
        }
        outln!();
    }
    Ok(())
}

fn print_state(cluster: &Cluster, id: &str, group: &GroupDescription, verbose: bool) -> Result {
    if !should_print(id, group, 1)? {
        return Ok(());
    }
    let node = cluster.nodes().into_iter().find(|node| node.id == group.coordinator);
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
        &or_missing(group.group_epoch),
        &or_missing(group.target_assignment_epoch),
        &group.members.len().to_string(),
    ]);
    outln!();
    Ok(())
}

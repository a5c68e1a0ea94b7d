//! `--reset-offsets`: move a group that nobody is in.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_clients::admin::{OffsetAndMetadata, OffsetSpec};
use ottla_common::{ErrorCode, TopicPartition};

use super::duration::{parse_datetime, parse_duration};
use super::{
    chosen, committed, describe_group, number, parse_topics, print_error, refusal_with_class, unknown_topic,
};
use crate::cluster::{Cluster, refusal};
use crate::error::{Result, failed, usage};
use crate::offsets::{Leaders, list_offsets, partitions_of};
use crate::options::Options;
use crate::output::{errln, out, outln};

type Offsets = BTreeMap<TopicPartition, i64>;

pub(super) fn run(cluster: &Cluster, options: &Options) -> Result {
    let mut plans: BTreeMap<String, Offsets> = BTreeMap::new();
    for id in chosen(cluster, options)? {
        let state = match describe_group(cluster, &id) {
            Ok(group) => group.state,
            // A group that does not exist yet may be given offsets.
            Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => "Dead".into(),
            Err(error) => return Err(refusal_with_class(error)),
        };
        if !matches!(&*state, "Empty" | "Dead") {
            print_error(&format!(
                "Assignments can only be reset if the group '{id}' is inactive, but the current state is {state}."
            ));
            plans.insert(id, Offsets::new());
            continue;
        }
        let plan = plan(cluster, options, &id)?;
        if options.has("execute") && !options.has("dry-run") {
            commit(cluster, &id, &plan)?;
        }
        plans.insert(id, plan);
    }
    if options.has("export") {
        export(&plans, options)
    } else {
        print(&plans)
    }
    Ok(())
}

fn partitions_to_reset(cluster: &Cluster, options: &Options, id: &str) -> Result<Vec<TopicPartition>> {
    if options.has("all-topics") {
        return Ok(committed(cluster, id)?.into_keys().collect());
    }
    if options.has("topic") {
        let (partitions, missing) = parse_topics(cluster, options.many("topic"))?;
        return missing.first().map_or(Ok(partitions), |topic| Err(refusal(unknown_topic(topic))));
    }
    if options.has("from-file") {
        return Ok(Vec::new());
    }
    usage("One of the reset scopes should be defined: --all-topics, --topic.")
}

/// Leaders of these partitions, all of which must exist and have one.
fn known(cluster: &Cluster, partitions: &[TopicPartition]) -> Result<Leaders> {
    let mut known = partitions_of(cluster, Some(partitions.iter().map(|partition| &*partition.topic)))?;
    let refuse = |wrong: Vec<String>, what: &str| match wrong.is_empty() {
        true => Ok(()),
        false => failed(format!("The partitions \"{}\" {what}", wrong.join(","))),
    };
    refuse(
        partitions.iter().filter(|p| !known.contains_key(*p)).map(ToString::to_string).collect(),
        "do not exist",
    )?;
    known.retain(|partition, _| partitions.contains(partition));
    let leaderless = known.iter().filter(|(_, leader)| leader.is_none());
    refuse(leaderless.map(|(partition, _)| partition.to_string()).collect(), "have no leader")?;
    Ok(known)
}

fn offsets_at(cluster: &Cluster, leaders: &Leaders, spec: OffsetSpec) -> Result<Offsets> {
    let listed = list_offsets(cluster, leaders, spec)?.into_iter();
    listed
        .map(|(partition, listed)| match listed {
            Ok(offset) => Ok((partition, offset)),
            Err(error) => failed(format!("{partition}: {}", refusal(error))),
        })
        .collect()
}

fn plan(cluster: &Cluster, options: &Options, id: &str) -> Result<Offsets> {
    let partitions = partitions_to_reset(cluster, options, id)?;
    let leaders = known(cluster, &partitions)?;
    if let Some(offset) = number(options, "to-offset")? {
        return within_range(cluster, partitions.into_iter().map(|partition| (partition, offset)).collect());
    }
    if options.has("to-earliest") {
        return offsets_at(cluster, &leaders, OffsetSpec::Earliest);
    }
    if options.has("to-latest") {
        return offsets_at(cluster, &leaders, OffsetSpec::Latest);
    }
    if let Some(shift) = number(options, "shift-by")? {
        return shifted(cluster, id, &partitions, shift);
    }
    if let Some(text) = options.one("to-datetime")? {
        return match parse_datetime(text) {
            Some(timestamp) => at_time(cluster, &leaders, timestamp),
            None if !text.contains('T') => failed(
                "java.text.ParseException: Error parsing timestamp. It does not contain a 'T' according to ISO8601 format",
            ),
            None => failed(format!("java.text.ParseException: Unparseable date: \"{text}\"")),
        };
    }
    if let Some(text) = options.one("by-duration")? {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        return match parse_duration(text) {
            Some(duration) => at_time(cluster, &leaders, now_ms.saturating_sub(duration)),
            None => failed("Text cannot be parsed to a Duration"),
        };
    }
    if let Some(path) = options.one("from-file")? {
        return from_file(cluster, options, id, path);
    }
    if options.has("to-current") {
        return current(cluster, id, &partitions);
    }
    usage(
        "Option '[reset-offsets]' requires one of the following scenarios: [[to-offset], [shift-by], \
         [to-datetime], [by-duration], [to-earliest], [to-latest], [to-current], [from-file]]",
    )
}

/// Offsets outside of a log become its nearest end.
fn within_range(cluster: &Cluster, wanted: Offsets) -> Result<Offsets> {
    let partitions: Vec<_> = wanted.keys().cloned().collect();
    let leaders = known(cluster, &partitions)?;
    let starts = offsets_at(cluster, &leaders, OffsetSpec::Earliest)?;
    let ends = offsets_at(cluster, &leaders, OffsetSpec::Latest)?;
    let mut result = Offsets::new();
    for (partition, offset) in wanted {
        let (start, end) =
            (starts.get(&partition).copied().unwrap_or(0), ends.get(&partition).copied().unwrap_or(0));
        let fitting = if offset > end {
            errln!(
                "New offset ({offset}) is higher than latest offset for topic partition {partition}. Value will be set to {end}."
            );
            end
        } else if offset < start {
            errln!(
                "New offset ({offset}) is lower than earliest offset for topic partition {partition}. Value will be set to {start}."
            );
            start
        } else {
            offset
        };
        result.insert(partition, fitting);
    }
    Ok(result)
}

fn shifted(cluster: &Cluster, id: &str, partitions: &[TopicPartition], shift: i64) -> Result<Offsets> {
    let committed = committed(cluster, id)?;
    let mut wanted = Offsets::new();
    for partition in partitions {
        let Some(current) = committed.get(partition) else {
            return usage(format!(
                "Cannot shift offset for partition {partition} since there is no current committed offset"
            ));
        };
        wanted.insert(partition.clone(), current.offset.saturating_add(shift));
    }
    within_range(cluster, wanted)
}

fn at_time(cluster: &Cluster, leaders: &Leaders, timestamp: i64) -> Result<Offsets> {
    let mut offsets = offsets_at(cluster, leaders, OffsetSpec::ForTimestamp(timestamp))?;
    let none: Leaders =
        leaders.iter().filter(|(p, _)| offsets.get(*p) == Some(&-1)).map(|(p, i)| (p.clone(), *i)).collect();
    for TopicPartition { topic, partition } in none.keys() {
        outln!(
            "\nWarn: Partition {partition} from topic {topic} is empty. Falling back to latest known offset."
        );
    }
    offsets.extend(offsets_at(cluster, &none, OffsetSpec::Latest)?);
    Ok(offsets)
}

fn current(cluster: &Cluster, id: &str, partitions: &[TopicPartition]) -> Result<Offsets> {
    let committed = committed(cluster, id)?;
    let (with, without): (Vec<_>, Vec<_>) =
        partitions.iter().cloned().partition(|p| committed.contains_key(p));
    let leaders = known(cluster, &without)?;
    let mut offsets = offsets_at(cluster, &leaders, OffsetSpec::Latest)?;
    offsets.extend(with.into_iter().map(|partition| {
        let offset = committed.get(&partition).map_or(0, |committed| committed.offset);
        (partition, offset)
    }));
    Ok(offsets)
}

/// Lines of `topic,partition,offset` for one group, or of `group,topic,partition,offset`.
fn from_file(cluster: &Cluster, options: &Options, id: &str, path: &str) -> Result<Offsets> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return failed(format!("{path}: {error}")),
    };
    let single = options.many("group").len() == 1;
    let mut wanted = Offsets::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        let (group, topic, partition, offset) = match cells.as_slice() {
            [topic, partition, offset] if single => (id, *topic, *partition, *offset),
            [group, topic, partition, offset] => (*group, *topic, *partition, *offset),
            _ => {
                return failed(format!("{path}: `{line}` is not of the form [group,]topic,partition,offset"));
            }
        };
        let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
            return failed(format!("{path}: `{line}` is not of the form [group,]topic,partition,offset"));
        };
        if group == id {
            wanted.insert(TopicPartition::new(topic, partition), offset);
        }
    }
    if wanted.is_empty() {
        print_error(&format!("No reset plan for group {id} found."));
        return Ok(wanted);
    }
    within_range(cluster, wanted)
}

fn commit(cluster: &Cluster, id: &str, plan: &Offsets) -> Result {
    if plan.is_empty() {
        return Ok(());
    }
    let offsets = plan
        .iter()
        .map(|(partition, offset)| (partition.clone(), OffsetAndMetadata::from(*offset)))
        .collect();
    for (partition, outcome) in cluster.wait(cluster.admin.alter_group_offsets(id, &offsets))? {
        if let Err(error) = outcome {
            return failed(format!(
                "Failed altering group offsets for the following partitions: [{partition}] ({})",
                refusal(error)
            ));
        }
    }
    Ok(())
}

fn export(plans: &BTreeMap<String, Offsets>, options: &Options) {
    let single = options.many("group").len() == 1;
    for (id, plan) in plans {
        for (TopicPartition { topic, partition }, offset) in plan {
            let group = if single { String::new() } else { format!("{id},") };
            outln!("{group}{topic},{partition},{offset}");
        }
    }
    outln!();
}

fn print(plans: &BTreeMap<String, Offsets>) {
    let width = |least: usize, texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0).max(least);
    let group_width = width(15, &mut plans.keys().map(String::len));
    let topic_width =
        width(15, &mut plans.values().flat_map(|plan| plan.keys().map(|partition| partition.topic.len())));
    if !plans.is_empty() {
        out!("\n{:<group_width$} {:<topic_width$} {:<10} {}", "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    }
    for (id, plan) in plans {
        for (TopicPartition { topic, partition }, offset) in plan {
            out!("\n{id:<group_width$} {topic:<topic_width$} {partition:<10} {offset}");
        }
    }
    outln!();
}

//! `--reset-offsets`: which offsets a group is to have, and how they are shown.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_clients::admin::{OffsetAndMetadata, OffsetSpec};
use ottla_common::TopicPartition;

use super::arguments::number;
use super::columns::width;
use super::duration::{parse_datetime, parse_duration};
use super::refusals::print_error;
use super::topics::{parse_topics, unknown_topic};
use super::{arguments, csv};
use crate::cluster::{Cluster, refusal};
use crate::error::{Result, failed, usage};
use crate::offsets::{Leaders, list_offsets, partitions_of};
use crate::options::Options;
use crate::output::{errln, outln};

/// An offset for each partition.
pub(crate) type Offsets = BTreeMap<TopicPartition, i64>;

/// The partitions that `--topic` (or `--input-topic`) names, all of which must exist.
pub(crate) fn named_partitions(
    cluster: &Cluster,
    options: &Options,
    name: &str,
) -> Result<Vec<TopicPartition>> {
    let (partitions, missing) = parse_topics(cluster, options.many(name))?;
    missing.first().map_or(Ok(partitions), |topic| Err(refusal(unknown_topic(topic))))
}

/// The offsets that the options mean for these partitions. `committed` is asked for those that the group
/// has, where they matter; `scenarios` are the options to choose from.
pub(crate) fn plan(
    cluster: &Cluster,
    options: &Options,
    id: &str,
    partitions: &[TopicPartition],
    committed: impl FnOnce() -> Result<Offsets>,
    scenarios: &[&str],
) -> Result<Offsets> {
    let leaders = known(cluster, partitions)?;
    if let Some(offset) = number(options, "to-offset")? {
        return within_range(cluster, partitions.iter().map(|p| (p.clone(), offset)).collect());
    }
    if options.has("to-earliest") {
        return offsets_at(cluster, &leaders, OffsetSpec::Earliest);
    }
    if options.has("to-latest") {
        return offsets_at(cluster, &leaders, OffsetSpec::Latest);
    }
    if let Some(shift) = number(options, "shift-by")? {
        return within_range(cluster, shifted(&committed()?, partitions, shift)?);
    }
    if let Some(text) = options.one("to-datetime")? {
        return at_time(cluster, &leaders, datetime(text)?);
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
        return current(cluster, &committed()?, partitions);
    }
    let scenarios = arguments::in_brackets(scenarios);
    usage(format!("Option '[reset-offsets]' requires one of the following scenarios: [{scenarios}]"))
}

fn datetime(text: &str) -> Result<i64> {
    match parse_datetime(text) {
        Some(timestamp) => Ok(timestamp),
        None if !text.contains('T') => failed(
            "java.text.ParseException: Error parsing timestamp. It does not contain a 'T' according to \
             ISO8601 format",
        ),
        None => failed(format!("java.text.ParseException: Unparseable date: \"{text}\"")),
    }
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
        let fitting = fit(&partition, offset, start, end);
        result.insert(partition, fitting);
    }
    Ok(result)
}

fn fit(partition: &TopicPartition, offset: i64, start: i64, end: i64) -> i64 {
    let (relation, fitting) = if offset > end {
        ("higher than latest", end)
    } else if offset < start {
        ("lower than earliest", start)
    } else {
        return offset;
    };
    errln!(
        "New offset ({offset}) is {relation} offset for topic partition {partition}. \
         Value will be set to {fitting}."
    );
    fitting
}

fn shifted(committed: &Offsets, partitions: &[TopicPartition], shift: i64) -> Result<Offsets> {
    let mut wanted = Offsets::new();
    for partition in partitions {
        let Some(current) = committed.get(partition) else {
            return usage(format!(
                "Cannot shift offset for partition {partition} since there is no current committed offset"
            ));
        };
        wanted.insert(partition.clone(), current.saturating_add(shift));
    }
    Ok(wanted)
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

fn current(cluster: &Cluster, committed: &Offsets, partitions: &[TopicPartition]) -> Result<Offsets> {
    let without: Vec<_> = partitions.iter().filter(|p| !committed.contains_key(*p)).cloned().collect();
    let leaders = known(cluster, &without)?;
    let mut offsets = offsets_at(cluster, &leaders, OffsetSpec::Latest)?;
    let kept = partitions.iter().filter_map(|p| Some((p.clone(), *committed.get(p)?)));
    offsets.extend(kept);
    Ok(offsets)
}

fn from_file(cluster: &Cluster, options: &Options, id: &str, path: &str) -> Result<Offsets> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return failed(format!("{path}: {error}")),
    };
    let wanted = match parse_file(&text, id, options.many("group").len() == 1) {
        Ok(wanted) => wanted,
        Err(line) => {
            return failed(format!("{path}: `{line}` is not of the form [group,]topic,partition,offset"));
        }
    };
    if wanted.is_empty() {
        print_error(&format!("No reset plan for group {id} found."));
        return Ok(wanted);
    }
    within_range(cluster, wanted)
}

/// Lines of `topic,partition,offset` for one group, or of `group,topic,partition,offset`. A line that is
/// neither is the error.
fn parse_file(text: &str, id: &str, is_single: bool) -> std::result::Result<Offsets, String> {
    let mut wanted = Offsets::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let cells = csv::cells(line);
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let (group, topic, partition, offset) = match cells.as_slice() {
            [topic, partition, offset] if is_single => (id, *topic, *partition, *offset),
            [group, topic, partition, offset] => (*group, *topic, *partition, *offset),
            _ => return Err(line.to_owned()),
        };
        let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
            return Err(line.to_owned());
        };
        if group == id {
            wanted.insert(TopicPartition::new(topic, partition), offset);
        }
    }
    Ok(wanted)
}

/// Commits the offsets for a group of consumers or a streams group.
pub(crate) fn commit(cluster: &Cluster, id: &str, plan: &Offsets) -> Result {
    if plan.is_empty() {
        return Ok(());
    }
    let offsets = plan
        .iter()
        .map(|(partition, offset)| (partition.clone(), OffsetAndMetadata::from(*offset)))
        .collect();
    let outcomes = cluster.wait(cluster.admin.alter_group_offsets(id, &offsets))?.into_iter();
    let refused = outcomes.filter_map(|(partition, outcome)| Some((partition, outcome.err()?)));
    let (partitions, errors): (Vec<_>, Vec<_>) = refused.unzip();
    match errors.into_iter().next() {
        None => Ok(()),
        Some(error) => {
            let reason = refusal(error);
            failed(format!("{} ({reason})", altering_failed(&partitions)))
        }
    }
}

/// Kafka's sentence about partitions whose offsets could not be changed.
pub(crate) fn altering_failed(partitions: &[TopicPartition]) -> String {
    let partitions: Vec<_> = partitions.iter().map(ToString::to_string).collect();
    format!("Failed altering group offsets for the following partitions: [{}]", partitions.join(", "))
}

/// The plans as CSV, with the group's name in front unless there can be one only.
pub(crate) fn exported(plans: &BTreeMap<String, Offsets>, with_group: bool) -> String {
    let mut text = String::new();
    for (id, plan) in plans {
        for (TopicPartition { topic, partition }, offset) in plan {
            let group = if with_group { format!("{},", csv::cell(id)) } else { String::new() };
            text.push_str(&format!("{group}{},{partition},{offset}\n", csv::cell(topic)));
        }
    }
    text
}

/// The plans as a table.
pub(crate) fn table(plans: &BTreeMap<String, Offsets>) -> String {
    let group_width = width(plans.keys().map(String::as_str));
    let topic_width = width(plans.values().flatten().map(|(partition, _)| &*partition.topic));
    let mut text = String::new();
    let mut line = |group: &str, topic: &str, partition: &str, offset: &str| {
        text.push_str(&format!("\n{group:<group_width$} {topic:<topic_width$} {partition:<10} {offset}"));
    };
    if !plans.is_empty() {
        line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
    }
    for (id, plan) in plans {
        for (TopicPartition { topic, partition }, offset) in plan {
            line(id, topic, &partition.to_string(), &offset.to_string());
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(offsets: &[(&str, i32, i64)]) -> Offsets {
        offsets.iter().map(|(topic, id, offset)| (TopicPartition::new(*topic, *id), *offset)).collect()
    }

    #[test]
    fn offsets_stay_within_the_log() {
        let tp = TopicPartition::new("t", 0);
        assert_eq!(
            [fit(&tp, 3, 5, 9), fit(&tp, 7, 5, 9), fit(&tp, 9, 5, 9), fit(&tp, 10, 5, 9)],
            [5, 7, 9, 9]
        );
    }

    #[test]
    fn shifts_need_an_offset() {
        let committed = offsets(&[("t", 0, 5)]);
        let tp = |id| TopicPartition::new("t", id);
        assert_eq!(shifted(&committed, &[tp(0)], -2).unwrap(), offsets(&[("t", 0, 3)]));
        assert_eq!(
            shifted(&committed, &[tp(1)], 1).unwrap_err().to_string(),
            "Cannot shift offset for partition t-1 since there is no current committed offset"
        );
    }

    #[test]
    fn files_of_one_group_or_of_many() {
        let single = parse_file("t,0,5\n\n\"a-topic\",1,6\n", "g", true).unwrap();
        assert_eq!(single, offsets(&[("t", 0, 5), ("a-topic", 1, 6)]));
        let many = parse_file("g,t,0,5\nother,t,0,7\n", "g", false).unwrap();
        assert_eq!(many, offsets(&[("t", 0, 5)]));
        assert_eq!(parse_file("t,0,5", "g", false).unwrap_err(), "t,0,5");
        assert_eq!(parse_file("g,t,zero,5", "g", true).unwrap_err(), "g,t,zero,5");
    }

    #[test]
    fn what_is_exported_is_read() {
        let plan = offsets(&[("t", 0, 5), ("a-topic-with-a-name-of-36-characters", 1, 6)]);
        let plans = BTreeMap::from([("my group".to_owned(), plan.clone())]);
        let with_group = exported(&plans, true);
        assert!(with_group.contains("\"my group\",t,0,5\n"), "{with_group}");
        assert_eq!(parse_file(&with_group, "my group", false).unwrap(), plan);
        assert_eq!(parse_file(&exported(&plans, false), "my group", true).unwrap(), plan);
    }

    #[test]
    fn tables_of_plans() {
        let plans = BTreeMap::from([("g".to_owned(), offsets(&[("t", 0, 5)]))]);
        let head = format!("\n{:<15} {:<15} {:<10} {}", "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
        let row = format!("\n{:<15} {:<15} {:<10} {}\n", "g", "t", 0, 5);
        assert_eq!(table(&plans), head + &row);
        assert_eq!(table(&BTreeMap::new()), "\n");
    }

    #[test]
    fn times_that_are_none() {
        assert!(datetime("2026-01-01").unwrap_err().to_string().contains("does not contain a 'T'"));
        assert!(datetime("2026-01-01Tx").unwrap_err().to_string().contains("Unparseable date"));
        assert_eq!(altering_failed(&[TopicPartition::new("t", 0)]).rsplit(' ').next(), Some("[t-0]"));
    }
}

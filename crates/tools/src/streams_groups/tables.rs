//! The tables that the tool prints, as text.

use std::collections::BTreeMap;

use ottla_clients::admin::{GroupListing, StreamsGroupDescription};
use ottla_common::TopicPartition;
use ottla_protocol::messages::streams_group_describe_response::{Assignment, Member, TaskIds};

use crate::groups::columns::{or_missing, width, width_min};
use crate::groups::reset::Offsets;

/// One line of the table of offsets.
#[derive(Debug)]
pub(super) struct OffsetRow {
    pub(super) partition: TopicPartition,
    pub(super) current: Option<i64>,
    pub(super) leader_epoch: Option<i32>,
    pub(super) end: i64,
    pub(super) lag: i64,
}

/// Groups and their states.
pub(super) fn listings(groups: &[GroupListing]) -> String {
    let group_width = width(groups.iter().map(|group| &*group.group_id));
    let line = |id: &str, state: &str| format!("{id:<group_width$} {state}\n");
    let mut text = line("GROUP", "STATE");
    for group in groups {
        let state = if group.state.is_empty() { "Unknown" } else { &*group.state };
        text.push_str(&line(&group.group_id, state));
    }
    text
}

/// Lag; verbose, with the offsets it is made of.
pub(super) fn offsets(id: &str, rows: &[OffsetRow], verbose: bool) -> String {
    let group_width = width([id]);
    let topic_width = width(rows.iter().map(|row| &*row.partition.topic));
    let line = |cells: [&str; 7]| {
        let [group, topic, partition, current, epoch, end, lag] = cells;
        let lead = format!("{group:<group_width$} {topic:<topic_width$} {partition:<10}");
        if verbose {
            format!("{lead} {current:<15} {epoch:<15} {end:<15} {lag:<15}\n")
        } else {
            format!("{lead} {lag}\n")
        }
    };
    let mut text = line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LEADER-EPOCH",
        "LOG-END-OFFSET",
        "OFFSET-LAG",
    ]);
    for row in rows {
        text.push_str(&line([
            id,
            &row.partition.topic,
            &row.partition.partition.to_string(),
            &or_missing(row.current),
            &or_missing(row.leader_epoch),
            &row.end.to_string(),
            &row.lag.to_string(),
        ]));
    }
    text
}

/// Members with their tasks; verbose, with epochs, protocol and the tasks they are to have.
pub(super) fn members(group: &StreamsGroupDescription, verbose: bool) -> String {
    let members = &group.members;
    let group_width = width([&*group.group_id]);
    let id_width = width(members.iter().map(|m| &*m.member_id));
    let process_width = width(members.iter().map(|m| &*m.process_id));
    let client_width = width(members.iter().map(|m| &*m.client_id));
    let line = |cells: [&str; 9]| {
        let [group, target, topology, member, protocol, epoch, process, client, tasks] = cells;
        // No gap before the member when verbose: Kafka's table has none.
        let epochs = if verbose { format!("{target:<25} {topology:<15}") } else { String::new() };
        let member_epoch = if verbose { format!("{protocol:<15} {epoch:<15} ") } else { String::new() };
        format!(
            "{group:<group_width$} {epochs}{member:<id_width$} {member_epoch}{process:<process_width$} \
             {client:<client_width$} {tasks}\n"
        )
    };
    let mut text = line([
        "GROUP",
        "TARGET-ASSIGNMENT-EPOCH",
        "TOPOLOGY-EPOCH",
        "MEMBER",
        "MEMBER-PROTOCOL",
        "MEMBER-EPOCH",
        "PROCESS",
        "CLIENT-ID",
        "ASSIGNMENTS",
    ]);
    for member in members {
        text.push_str(&line([
            &group.group_id,
            &group.target_assignment_epoch.to_string(),
            &group.topology_epoch.to_string(),
            &member.member_id,
            if member.is_classic { "classic" } else { "streams" },
            &member.member_epoch.to_string(),
            &member.process_id,
            &member.client_id,
            &tasks_text(member, verbose),
        ]));
    }
    text
}

fn tasks_text(member: &Member, with_target: bool) -> String {
    let mut text = assignment_text(&member.assignment, "");
    if with_target {
        text.push_str(&assignment_text(&member.target_assignment, "TARGET-"));
    }
    text
}

fn assignment_text(assignment: &Assignment, prefix: &str) -> String {
    let kinds = [
        ("ACTIVE", &assignment.active_tasks),
        ("STANDBY", &assignment.standby_tasks),
        ("WARMUP", &assignment.warmup_tasks),
    ];
    let kind = |(name, tasks): (&str, &Vec<TaskIds>)| {
        if tasks.is_empty() {
            return String::new();
        }
        let tasks: String = tasks.iter().map(task_text).collect();
        format!("{prefix}{name}: {tasks}")
    };
    kinds.into_iter().map(kind).collect()
}

/// `0:[1,2]; `
fn task_text(tasks: &TaskIds) -> String {
    let partitions: Vec<_> = tasks.partitions.iter().map(ToString::to_string).collect();
    format!("{}:[{}]; ", tasks.subtopology_id, partitions.join(","))
}

/// The state of a group and who coordinates it.
pub(super) fn state(group: &StreamsGroupDescription, coordinator: &str, verbose: bool) -> String {
    let assignor = group.assignor.as_deref().unwrap_or_default();
    let group_width = width([&*group.group_id]);
    let coordinator_width = width_min(25, [coordinator]);
    let assignor_width = width([assignor]);
    let line = |cells: [&str; 7]| {
        let [id, coordinator, assignor, state, epoch, target, members] = cells;
        let epochs = if verbose { format!("{epoch:<15} {target:<25} ") } else { String::new() };
        format!(
            "{id:<group_width$} {coordinator:<coordinator_width$} {assignor:<assignor_width$} {state:<25} \
             {epochs}{members}\n"
        )
    };
    let head = line([
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNOR",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ]);
    let row = line([
        &group.group_id,
        coordinator,
        assignor,
        &group.state,
        &group.group_epoch.to_string(),
        &group.target_assignment_epoch.to_string(),
        &group.members.len().to_string(),
    ]);
    head + &row
}

/// Plans to move groups; the widths are fixed in this tool.
pub(super) fn plans(plans: &BTreeMap<String, Offsets>) -> String {
    let line = |group: &str, topic: &str, partition: &str, offset: &str| {
        format!("\n{group:<30} {topic:<30} {partition:<10} {offset:<15}")
    };
    let mut text = String::new();
    if !plans.is_empty() {
        text.push_str(&line("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"));
    }
    for (id, plan) in plans {
        for (TopicPartition { topic, partition }, offset) in plan {
            text.push_str(&line(id, topic, &partition.to_string(), &offset.to_string()));
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
pub(super) mod testing {
    use ottla_clients::admin::TopologyDescriptionStatus;
    use ottla_protocol::messages::streams_group_describe_response::{Subtopology, TopicInfo};

    use super::*;

    /// A word count in two parts: `in` is repartitioned, then counted.
    pub(crate) fn group(state: &str, members: Vec<Member>) -> StreamsGroupDescription {
        let topic = |name: &str| vec![TopicInfo { name: name.into(), ..TopicInfo::default() }];
        let split = Subtopology {
            subtopology_id: "0".into(),
            source_topics: vec!["in".into()],
            repartition_sink_topics: vec!["g-words-repartition".into()],
            state_changelog_topics: topic("g-counts-changelog"),
            ..Subtopology::default()
        };
        let count = Subtopology {
            subtopology_id: "1".into(),
            repartition_source_topics: topic("g-words-repartition"),
            ..Subtopology::default()
        };
        StreamsGroupDescription {
            group_id: "g".into(),
            state: state.into(),
            group_epoch: 6,
            target_assignment_epoch: 5,
            topology_epoch: 2,
            subtopologies: vec![split, count],
            members,
            assignor: Some("sticky".into()),
            topology_description: TopologyDescriptionStatus::NotRequested,
            coordinator: 1,
        }
    }

    /// Tasks of one part.
    pub(crate) fn tasks(subtopology: &str, partitions: &[i32]) -> TaskIds {
        TaskIds { subtopology_id: subtopology.into(), partitions: partitions.to_vec(), ..TaskIds::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{group, tasks};
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().collect()
    }

    #[test]
    fn members_with_tasks_and_targets() {
        let assignment = Assignment {
            active_tasks: vec![tasks("0", &[0, 1]), tasks("1", &[2])],
            standby_tasks: vec![tasks("0", &[3])],
            ..Assignment::default()
        };
        let target_assignment = Assignment { warmup_tasks: vec![tasks("1", &[4])], ..Assignment::default() };
        let member = Member {
            member_id: "m".into(),
            member_epoch: 5,
            process_id: "p".into(),
            client_id: "c".into(),
            assignment,
            target_assignment,
            ..Member::default()
        };
        let described = group("Stable", vec![member]);
        let short = members(&described, false);
        let lines: Vec<&str> = short.lines().collect();
        let head =
            format!("{:<15} {:<15} {:<15} {:<15} ASSIGNMENTS", "GROUP", "MEMBER", "PROCESS", "CLIENT-ID");
        assert_eq!(lines[0], head);
        let row = format!("{:<15} {:<15} {:<15} {:<15} ", "g", "m", "p", "c");
        assert_eq!(lines[1], row + "ACTIVE: 0:[0,1]; 1:[2]; STANDBY: 0:[3]; ");
        let long = members(&described, true);
        let lines: Vec<&str> = long.lines().collect();
        let head = format!(
            "{:<15} {:<25} {:<15}{:<15} ",
            "GROUP", "TARGET-ASSIGNMENT-EPOCH", "TOPOLOGY-EPOCH", "MEMBER"
        );
        assert!(lines[0].starts_with(&head), "{long}");
        assert_eq!(words(lines[1])[..8], ["g", "5", "2", "m", "streams", "5", "p", "c"]);
        assert!(lines[1].ends_with("STANDBY: 0:[3]; TARGET-WARMUP: 1:[4]; "), "{long}");
    }

    #[test]
    fn offsets_with_lag() {
        let row = |current| OffsetRow {
            partition: TopicPartition::new("in", 0),
            current,
            leader_epoch: None,
            end: 9,
            lag: 4,
        };
        let short = offsets("g", &[row(Some(5))], false);
        let head = format!("{:<15} {:<15} {:<10} OFFSET-LAG\n", "GROUP", "TOPIC", "PARTITION");
        assert_eq!(short, head + &format!("{:<15} {:<15} {:<10} 4\n", "g", "in", 0));
        let long = offsets("g", &[row(None)], true);
        let lines: Vec<Vec<&str>> = long.lines().map(words).collect();
        assert_eq!(lines[0][3..], ["CURRENT-OFFSET", "LEADER-EPOCH", "LOG-END-OFFSET", "OFFSET-LAG"]);
        assert_eq!(lines[1], ["g", "in", "0", "-", "-", "9", "4"]);
    }

    #[test]
    fn states() {
        let described = group("NotReady", Vec::new());
        let short = state(&described, "h:9092 (1)", false);
        let head = format!(
            "{:<15} {:<25} {:<15} {:<25} #MEMBERS\n",
            "GROUP", "COORDINATOR (ID)", "ASSIGNOR", "STATE"
        );
        let row = format!("{:<15} {:<25} {:<15} {:<25} 0\n", "g", "h:9092 (1)", "sticky", "NotReady");
        assert_eq!(short, head + &row);
        let long = state(&described, "h:9092 (1)", true);
        assert!(long.contains("TARGET-ASSIGNMENT-EPOCH"), "{long}");
        assert_eq!(words(long.lines().nth(1).unwrap())[4..], ["NotReady", "6", "5", "0"]);
    }

    #[test]
    fn plans_have_fixed_widths() {
        let plan = BTreeMap::from([(TopicPartition::new("in", 0), 7)]);
        let text = plans(&BTreeMap::from([("g".to_owned(), plan)]));
        let head = format!("\n{:<30} {:<30} {:<10} {:<15}", "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET");
        assert_eq!(text, head + &format!("\n{:<30} {:<30} {:<10} {:<15}\n", "g", "in", 0, 7));
    }
}

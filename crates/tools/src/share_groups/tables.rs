//! The tables that the tool prints, as text.

use std::collections::BTreeMap;

use ottla_clients::admin::{
    GroupListing, ShareGroupDescription, ShareMemberDescription, SharePartitionOffset,
};
use ottla_common::TopicPartition;

use crate::cluster::{Answer, refusal};
use crate::groups::columns::{assignment_text, or_missing, width, width_min};

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

/// Where a group stands; verbose, with the leader's epoch.
pub(super) fn offsets(
    id: &str,
    offsets: &BTreeMap<TopicPartition, Option<SharePartitionOffset>>,
    verbose: bool,
) -> String {
    if offsets.is_empty() {
        return format!("\nShare group '{id}' has no offset information.\n");
    }
    let group_width = width([id]);
    let topic_width = width(offsets.keys().map(|partition| &*partition.topic));
    let line = |cells: [&str; 6]| {
        let [group, topic, partition, epoch, start, lag] = cells;
        let epoch = if verbose { format!("{epoch:<13} ") } else { String::new() };
        format!("\n{group:<group_width$} {topic:<topic_width$} {partition:<10} {epoch}{start:<13} {lag}")
    };
    let mut text = line(["GROUP", "TOPIC", "PARTITION", "LEADER-EPOCH", "START-OFFSET", "LAG"]);
    for (TopicPartition { topic, partition }, offset) in offsets {
        text.push_str(&line([
            id,
            topic,
            &partition.to_string(),
            &or_missing(offset.and_then(|offset| offset.leader_epoch)),
            &or_missing(offset.map(|offset| offset.start_offset)),
            &or_missing(offset.and_then(|offset| offset.lag)),
        ]));
    }
    text.push('\n');
    text
}

/// Members by id; verbose, with their epochs.
pub(super) fn members(id: &str, group: &ShareGroupDescription, verbose: bool) -> String {
    let mut members: Vec<&ShareMemberDescription> = group.members.iter().collect();
    members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
    let group_width = width([id]);
    let id_width = width(members.iter().map(|m| &*m.member_id));
    let host_width = width(members.iter().map(|m| &*m.client_host));
    let client_width = width(members.iter().map(|m| &*m.client_id));
    let line = |cells: [&str; 7]| {
        let [group, member, host, client, count, epoch, assignment] = cells;
        let epoch = if verbose { format!("{epoch:<13} ") } else { String::new() };
        format!(
            "\n{group:<group_width$} {member:<id_width$} {host:<host_width$} {client:<client_width$} \
             {count:<12} {epoch}{assignment}"
        )
    };
    let mut text =
        line(["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "MEMBER-EPOCH", "ASSIGNMENT"]);
    for member in members {
        text.push_str(&line([
            id,
            &member.member_id,
            &member.client_host,
            &member.client_id,
            &member.assignment.len().to_string(),
            &member.member_epoch.to_string(),
            &assignment_text(&member.assignment),
        ]));
    }
    text.push('\n');
    text
}

/// The state of a group and who coordinates it.
pub(super) fn state(id: &str, group: &ShareGroupDescription, coordinator: &str, verbose: bool) -> String {
    let group_width = width([id]);
    let coordinator_width = width_min(25, [coordinator]);
    let line = |cells: [&str; 6]| {
        let [id, coordinator, state, epoch, target, members] = cells;
        let epochs = if verbose { format!("{epoch:<12} {target:<17} ") } else { String::new() };
        format!("\n{id:<group_width$} {coordinator:<coordinator_width$} {state:<15} {epochs}{members}")
    };
    let head = line(["GROUP", "COORDINATOR (ID)", "STATE", "GROUP-EPOCH", "ASSIGNMENT-EPOCH", "#MEMBERS"]);
    let row = line([
        id,
        coordinator,
        &group.state,
        &group.group_epoch.to_string(),
        &group.target_assignment_epoch.to_string(),
        &group.members.len().to_string(),
    ]);
    format!("{head}{row}\n")
}

/// What became of the topics whose offsets were to be deleted.
pub(super) fn deleted(results: Vec<(&str, Answer<()>)>) -> String {
    if results.is_empty() {
        return "\n".to_owned();
    }
    let topic_width = width(results.iter().map(|(topic, _)| *topic));
    let mut text = format!("\n{:<topic_width$} STATUS", "TOPIC");
    for (topic, outcome) in results {
        let status = match outcome {
            Ok(()) => "Successful".to_owned(),
            Err(error) => format!("Error: {}", refusal(error)),
        };
        text.push_str(&format!("\n{topic:<topic_width$} {status}"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use ottla_clients::ClientError;
    use ottla_common::ErrorCode;

    use super::*;

    fn words(text: &str) -> Vec<Vec<&str>> {
        text.lines().map(|line| line.split_whitespace().collect()).collect()
    }

    fn member(id: &str, partitions: &[i32]) -> ShareMemberDescription {
        ShareMemberDescription {
            member_id: id.into(),
            rack_id: None,
            member_epoch: 3,
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            assignment: partitions.iter().map(|p| TopicPartition::new("t", *p)).collect(),
        }
    }

    fn group(members: Vec<ShareMemberDescription>) -> ShareGroupDescription {
        ShareGroupDescription {
            group_id: "g".into(),
            state: "Stable".into(),
            group_epoch: 4,
            target_assignment_epoch: 3,
            assignor: "simple".into(),
            members,
            coordinator: 1,
        }
    }

    #[test]
    fn offsets_and_lag() {
        let offset = SharePartitionOffset { start_offset: 8, leader_epoch: Some(1), lag: Some(5) };
        let all = BTreeMap::from([
            (TopicPartition::new("t", 0), Some(offset)),
            (TopicPartition::new("t", 1), None),
        ]);
        let text = offsets("g", &all, false);
        let head =
            format!("\n{:<15} {:<15} {:<10} {:<13} LAG", "GROUP", "TOPIC", "PARTITION", "START-OFFSET");
        assert!(text.starts_with(&head), "{text}");
        assert_eq!(words(&text)[2], ["g", "t", "0", "8", "5"]);
        assert_eq!(words(&text)[3], ["g", "t", "1", "-", "-"]);
        let verbose = offsets("g", &all, true);
        assert_eq!(
            words(&verbose)[1],
            ["GROUP", "TOPIC", "PARTITION", "LEADER-EPOCH", "START-OFFSET", "LAG"]
        );
        assert_eq!(words(&verbose)[2], ["g", "t", "0", "1", "8", "5"]);
        assert_eq!(offsets("g", &BTreeMap::new(), true), "\nShare group 'g' has no offset information.\n");
    }

    #[test]
    fn members_by_id() {
        let group = group(vec![member("m2", &[1]), member("m1", &[1, 0])]);
        let text = members("g", &group, true);
        assert_eq!(
            words(&text)[1],
            ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "MEMBER-EPOCH", "ASSIGNMENT"]
        );
        assert_eq!(words(&text)[2], ["g", "m1", "/127.0.0.1", "c", "2", "3", "t:0,1"]);
        let short = members("g", &group, false);
        assert_eq!(words(&short)[3], ["g", "m2", "/127.0.0.1", "c", "1", "t:1"]);
    }

    #[test]
    fn states() {
        let text = state("g", &group(Vec::new()), "h:9092  (1)", true);
        assert_eq!(words(&text)[1][3..], ["STATE", "GROUP-EPOCH", "ASSIGNMENT-EPOCH", "#MEMBERS"]);
        assert_eq!(words(&text)[2], ["g", "h:9092", "(1)", "Stable", "4", "3", "0"]);
        let short = state("g", &group(Vec::new()), "h:9092  (1)", false);
        let head = format!("{:<15} {:<25} {:<15} #MEMBERS", "GROUP", "COORDINATOR (ID)", "STATE");
        assert_eq!(short.lines().nth(1).unwrap(), head);
    }

    #[test]
    fn deleted_topics_and_lists() {
        let refused = ClientError::api("t", ErrorCode::UnknownTopicOrPartition, None);
        let text = deleted(vec![("gone", Err(refused)), ("t", Ok(()))]);
        assert_eq!(text.lines().nth(1).unwrap(), format!("{:<15} STATUS", "TOPIC"));
        assert!(text.contains("Error: This server does not host this topic-partition."), "{text}");
        assert_eq!(text.lines().nth(3).unwrap(), format!("{:<15} Successful", "t"));
        let listing = GroupListing {
            group_id: "g".into(),
            protocol_type: "share".into(),
            state: "".into(),
            group_type: "Share".into(),
        };
        let head = format!("{:<15} STATE\n", "GROUP");
        assert_eq!(listings(&[listing]), head + &format!("{:<15} Unknown\n", "g"));
    }
}

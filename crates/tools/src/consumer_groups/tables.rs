//! The tables that the tool prints, as text.

use ottla_clients::admin::{GroupDescription, GroupListing, MemberDescription};

use crate::groups::columns::{MISSING, assignment_text, or_missing, width, width_min};
use crate::groups::type_name;

/// One line of the table of offsets.
#[derive(Debug)]
pub(super) struct OffsetRow {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) committed: Option<i64>,
    pub(super) leader_epoch: Option<i32>,
    pub(super) end: Option<i64>,
    pub(super) consumer: String,
    pub(super) host: String,
    pub(super) client: String,
}

/// Groups, with their types and states as wanted.
pub(super) fn listings(groups: &[GroupListing], with_type: bool, with_state: bool) -> String {
    let group_width = width(groups.iter().map(|group| &*group.group_id)) + 10;
    let mut text = String::new();
    let mut line = |id: &str, group_type: &str, state: &str| {
        text.push_str(&format!("{id:<group_width$}"));
        if with_type {
            text.push_str(&format!(" {group_type:<20}"));
        }
        if with_state {
            text.push_str(&format!(" {state:<20}"));
        }
        text.push('\n');
    };
    line("GROUP", "TYPE", "STATE");
    for group in groups {
        line(&group.group_id, or_unknown(type_name(&group.group_type)), or_unknown(&group.state));
    }
    text
}

/// What a broker did not say.
fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "Unknown" } else { text }
}

/// Offsets and lag.
pub(super) fn offsets(id: &str, rows: &[OffsetRow], verbose: bool) -> String {
    let group_width = width([id]);
    let topic_width = width(rows.iter().map(|row| row.topic.as_str()));
    let consumer_width = width(rows.iter().map(|row| row.consumer.as_str()));
    let host_width = width(rows.iter().map(|row| row.host.as_str()));
    let mut text = String::new();
    let mut line = |cells: [&str; 10]| {
        let [group, topic, partition, epoch, current, end, lag, consumer, host, client] = cells;
        let epoch = if verbose { format!("{epoch:<15} ") } else { String::new() };
        text.push_str(&format!(
            "\n{group:<group_width$} {topic:<topic_width$} {partition:<10} {epoch}{current:<15} {end:<15} \
             {lag:<15} {consumer:<consumer_width$} {host:<host_width$} {client}"
        ));
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
        let lag = row.committed.zip(row.end).map(|(current, end)| end - current);
        line([
            id,
            &row.topic,
            &row.partition.to_string(),
            &or_missing(row.leader_epoch),
            &or_missing(row.committed),
            &or_missing(row.end),
            &or_missing(lag),
            &row.consumer,
            &row.host,
            &row.client,
        ]);
    }
    text.push('\n');
    text
}

fn or_dash(text: String) -> String {
    if text.is_empty() { MISSING.to_owned() } else { text }
}

/// Members; verbose, with what each has and is to have. Where some speak the new protocol and some do not
/// yet (KIP-848), which ones do.
pub(super) fn members(id: &str, group: &GroupDescription, verbose: bool) -> String {
    let members = &group.members;
    let instance = |member: &MemberDescription| member.group_instance_id.clone().unwrap_or_default();
    let group_width = width(members.iter().map(|_| id));
    let id_width = width(members.iter().map(|m| &*m.member_id));
    let instance_width = width_min(17, members.iter().filter_map(|m| m.group_instance_id.as_deref()));
    let host_width = width(members.iter().map(|m| &*m.client_host));
    let client_width = width(members.iter().map(|m| &*m.client_id));
    let with_instance = members.iter().any(|m| m.group_instance_id.as_ref().is_some_and(|i| !i.is_empty()));
    let current: Vec<String> = members.iter().map(|m| or_dash(assignment_text(&m.assignment))).collect();
    let target: Vec<String> = members
        .iter()
        .map(|m| or_dash(assignment_text(m.target_assignment.as_deref().unwrap_or_default())))
        .collect();
    let current_width = width_min(20, current.iter().map(String::as_str));
    let target_width = width_min(20, target.iter().map(String::as_str));
    let is_migrating =
        members.iter().any(|m| m.upgraded == Some(false)) && members.iter().any(|m| m.upgraded == Some(true));
    let lead = |cells: [&str; 6]| {
        let [group, member, instance, host, client, count] = cells;
        let instance = if with_instance { format!("{instance:<instance_width$} ") } else { String::new() };
        format!(
            "{group:<group_width$} {member:<id_width$} {instance}{host:<host_width$} \
             {client:<client_width$} {count:<15} "
        )
    };
    let rest = |cells: [&str; 5]| {
        let [epoch, current, target_epoch, target, upgraded] = cells;
        let upgraded = if is_migrating { format!(" {upgraded}") } else { String::new() };
        format!("{epoch:<15} {current:<current_width$} {target_epoch:<15} {target:<target_width$}{upgraded}")
    };
    let mut text = "\n".to_owned();
    text.push_str(&lead(["GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS"]));
    if verbose {
        let head = ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT", "UPGRADED"];
        text.push_str(&rest(head));
    }
    text.push('\n');
    for ((member, current), target) in members.iter().zip(&current).zip(&target) {
        let count = member.assignment.len().to_string();
        text.push_str(&lead([
            id,
            &member.member_id,
            &instance(member),
            &member.client_host,
            &member.client_id,
            &count,
        ]));
        if verbose {
            text.push_str(&rest([
                &or_missing(member.member_epoch),
                current,
                &or_missing(group.target_assignment_epoch),
                target,
                &or_missing(member.upgraded),
            ]));
        }
        text.push('\n');
    }
    text
}

/// The state of a group and who coordinates it.
pub(super) fn state(id: &str, group: &GroupDescription, coordinator: &str, verbose: bool) -> String {
    let coordinator_width = width_min(25, [coordinator]);
    let group_width = width([id]);
    let assignor = or_dash(group.assignor.to_string());
    let line = |cells: [&str; 7]| {
        let [id, coordinator, assignor, state, epoch, target, members] = cells;
        let epochs = if verbose { format!("{epoch:<15} {target:<25} ") } else { String::new() };
        format!(
            "\n{id:<group_width$} {coordinator:<coordinator_width$} {assignor:<20} {state:<20} \
             {epochs}{members}"
        )
    };
    let head = line([
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNMENT-STRATEGY",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ]);
    let row = line([
        id,
        coordinator,
        &assignor,
        &group.state,
        &or_missing(group.group_epoch),
        &or_missing(group.target_assignment_epoch),
        &group.members.len().to_string(),
    ]);
    format!("{head}{row}\n")
}

#[cfg(test)]
pub(super) mod testing {
    use ottla_common::TopicPartition;

    use super::*;

    /// A group of the new protocol.
    pub(crate) fn group(state: &str, members: Vec<MemberDescription>) -> GroupDescription {
        GroupDescription {
            group_id: "g".into(),
            group_type: "Consumer",
            state: state.into(),
            protocol_type: "consumer".into(),
            assignor: "uniform".into(),
            group_epoch: Some(6),
            target_assignment_epoch: Some(5),
            members,
            coordinator: 1,
        }
    }

    /// A member that has these partitions of `t` and is to keep them.
    pub(crate) fn member(id: &str, partitions: &[i32]) -> MemberDescription {
        let partitions: Vec<_> = partitions.iter().map(|p| TopicPartition::new("t", *p)).collect();
        MemberDescription {
            member_id: id.into(),
            group_instance_id: None,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            assignment: partitions.clone(),
            target_assignment: Some(partitions),
            member_epoch: Some(4),
            upgraded: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{group, member};
    use super::*;

    fn words(text: &str) -> Vec<Vec<&str>> {
        text.lines().map(|line| line.split_whitespace().collect()).collect()
    }

    #[test]
    fn lists_with_types_and_states() {
        let group = GroupListing {
            group_id: "g".into(),
            protocol_type: "consumer".into(),
            state: "Stable".into(),
            group_type: "".into(),
        };
        let text = listings(&[group], true, true);
        let head = format!("{:<25} {:<20} {:<20}\n", "GROUP", "TYPE", "STATE");
        assert_eq!(text, head + &format!("{:<25} {:<20} {:<20}\n", "g", "Unknown", "Stable"));
        assert_eq!(listings(&[], false, true), format!("{:<25} {:<20}\n", "GROUP", "STATE"));
    }

    #[test]
    fn offsets_have_an_epoch_when_verbose() {
        let row = OffsetRow {
            topic: "t".into(),
            partition: 0,
            committed: Some(5),
            leader_epoch: Some(2),
            end: Some(9),
            consumer: "m".into(),
            host: "/127.0.0.1".into(),
            client: "c".into(),
        };
        let text = offsets("g", &[row], false);
        let head = format!(
            "\n{:<15} {:<15} {:<10} {:<15} {:<15} {:<15} {:<15} {:<15} {}",
            "GROUP",
            "TOPIC",
            "PARTITION",
            "CURRENT-OFFSET",
            "LOG-END-OFFSET",
            "LAG",
            "CONSUMER-ID",
            "HOST",
            "CLIENT-ID"
        );
        assert!(text.starts_with(&head), "{text}");
        assert_eq!(words(&text)[2], ["g", "t", "0", "5", "9", "4", "m", "/127.0.0.1", "c"]);
        let unread = OffsetRow {
            topic: "t".into(),
            partition: 1,
            committed: None,
            leader_epoch: None,
            end: None,
            consumer: "-".into(),
            host: "-".into(),
            client: "-".into(),
        };
        let text = offsets("g", &[unread], true);
        assert_eq!(words(&text)[1][3], "LEADER-EPOCH");
        assert_eq!(words(&text)[2], ["g", "t", "1", "-", "-", "-", "-", "-", "-", "-"]);
    }

    #[test]
    fn members_with_epochs_and_upgrade_state() {
        let mut classic = member("m1", &[0]);
        (classic.upgraded, classic.group_instance_id) = (Some(false), Some("i1".into()));
        let mut upgraded = member("m2", &[]);
        upgraded.upgraded = Some(true);
        let text = members("g", &group("Stable", vec![classic, upgraded]), true);
        let lines = words(&text);
        assert_eq!(
            lines[1].join(" "),
            "GROUP CONSUMER-ID GROUP-INSTANCE-ID HOST CLIENT-ID #PARTITIONS CURRENT-EPOCH \
             CURRENT-ASSIGNMENT TARGET-EPOCH TARGET-ASSIGNMENT UPGRADED"
        );
        assert_eq!(lines[2].join(" "), "g m1 i1 /127.0.0.1 client 1 4 t:0 5 t:0 false");
        assert_eq!(lines[3].join(" "), "g m2 /127.0.0.1 client 0 4 - 5 - true");
        let plain = members("g", &group("Empty", Vec::new()), false);
        let head = format!(
            "{:<15} {:<15} {:<15} {:<15} {:<15} ",
            "GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS"
        );
        assert_eq!(plain, format!("\n{head}\n"));
    }

    #[test]
    fn states_with_epochs() {
        let text = state("g", &group("Reconciling", Vec::new()), "h:9092  (1)", true);
        let lines = words(&text);
        assert_eq!(lines[1][5..], ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH", "#MEMBERS"]);
        assert_eq!(lines[2], ["g", "h:9092", "(1)", "uniform", "Reconciling", "6", "5", "0"]);
        let short = state("g", &group("Stable", Vec::new()), "h:9092  (1)", false);
        assert_eq!(
            short.lines().nth(1).unwrap(),
            format!(
                "{:<15} {:<25} {:<20} {:<20} {}",
                "GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS"
            )
        );
    }
}

//! The topics that a streams group makes for itself: changelogs and repartition topics.

use std::collections::BTreeSet;

use ottla_clients::ClientError;
use ottla_clients::admin::StreamsGroupDescription;
use ottla_common::ErrorCode;

use super::describe_group;
use crate::cluster::{Answer, Cluster};
use crate::error::Result;
use crate::groups::refusals::{print_error, refusal_with_class};
use crate::options::Options;
use crate::output::outln;

/// The internal topics of groups. When one group cannot be described, that is said and there are none.
pub(super) fn of_groups(cluster: &Cluster, ids: &[String]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for id in ids {
        match describe_group(cluster, id) {
            Ok(group) => {
                let topics = of_group(&group);
                if !topics.is_empty() {
                    found.push((id.clone(), topics));
                }
            }
            Err(ClientError::UnsupportedVersion { .. }) => {
                print_error(
                    "Retrieving internal topics is not supported by the broker version. Use \
                     'kafka-topics.sh' to list and delete the group's internal topics.",
                );
                return Vec::new();
            }
            Err(error) => {
                let reason = refusal_with_class(error);
                print_error(&format!("Retrieving internal topics failed due to {reason}"));
                return Vec::new();
            }
        }
    }
    found
}

fn of_group(group: &StreamsGroupDescription) -> Vec<String> {
    let id = &*group.group_id;
    let sources: BTreeSet<&str> =
        group.subtopologies.iter().flat_map(|part| &part.source_topics).map(|topic| &**topic).collect();
    let mut topics = Vec::new();
    for part in &group.subtopologies {
        let internal = part.repartition_source_topics.iter().chain(&part.state_changelog_topics);
        for topic in internal.map(|topic| &*topic.name).filter(|topic| !sources.contains(topic)) {
            if is_internal_name(topic, id) {
                topics.push(topic.to_owned());
            } else {
                print_error(&format!(
                    "The internal topic '{topic}' is not inferred as internal and thus will not be deleted \
                     with the group '{id}'."
                ));
            }
        }
    }
    topics
}

/// Whether a topic has the name that Kafka Streams gives to internal topics of an application.
fn is_internal_name(topic: &str, application: &str) -> bool {
    const ENDINGS: &[&str] =
        &["-changelog", "-repartition", "-subscription-registration-topic", "-subscription-response-topic"];
    const NUMBERED: &[&str] =
        &["-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-", "-KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-"];
    let is_of_application = topic.strip_prefix(application).is_some_and(|rest| rest.starts_with('-'));
    let is_numbered = |marker: &&str| {
        let number = topic.strip_suffix("-topic").and_then(|name| name.rsplit_once(*marker));
        number.is_some_and(|(before, number)| {
            !before.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        })
    };
    is_of_application
        && (ENDINGS.iter().any(|ending| topic.ends_with(ending)) || NUMBERED.iter().any(is_numbered))
}

/// Deletes topics. The first refusal is the answer; `of_each` hears of them all.
pub(super) fn delete(
    cluster: &Cluster,
    topics: &[String],
    of_each: impl Fn(&str, &ClientError),
) -> Answer<()> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let outcomes = cluster.answer(cluster.admin.delete_topics(&names))?;
    let mut first = Ok(());
    for (topic, outcome) in outcomes {
        if let Err(error) = outcome {
            of_each(&topic, &error);
            if first.is_ok() {
                first = Err(error);
            }
        }
    }
    first
}

/// What `--delete-all-internal-topics` and `--delete-internal-topic` say beside `--reset-offsets`.
pub(super) fn delete_after_reset(cluster: &Cluster, options: &Options, id: &str) -> Result {
    let topics: Vec<String> = if options.has("delete-all-internal-topics") {
        let of_groups = of_groups(cluster, &[id.to_owned()]);
        of_groups.into_iter().flat_map(|(_, topics)| topics).collect()
    } else {
        options.many("delete-internal-topic").to_vec()
    };
    if topics.is_empty() {
        return Ok(());
    }
    match delete(cluster, &topics, |_, _| {}) {
        Ok(()) => {}
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => print_error(&format!(
            "Deleting internal topics for group '{id}' failed because the topics do not exist."
        )),
        Err(ClientError::UnsupportedVersion { .. }) => print_error(&format!(
            "Deleting internal topics is not supported by the broker version.\nInternal topics: ({}).\n\
             Use 'kafka-topics.sh' to delete the group's internal topics.",
            topics.join(",")
        )),
        Err(error) => {
            let reason = refusal_with_class(error);
            print_error(&format!("Deleting internal topics for group '{id}' failed due to {reason}"));
        }
    }
    Ok(())
}

/// Deletes the internal topics of groups that are gone, and says how it went.
pub(super) fn delete_after_groups(cluster: &Cluster, of_groups: &[(String, Vec<String>)], done: &[String]) {
    let mut failures = Vec::new();
    for (id, topics) in of_groups.iter().filter(|(id, _)| done.contains(id)) {
        let say = |topic: &str, _: &ClientError| outln!("Failed to delete internal topic: {topic}");
        if let Err(error) = delete(cluster, topics, say) {
            failures.push((id, refusal_with_class(error)));
        }
    }
    if of_groups.is_empty() || done.is_empty() {
        return;
    }
    if failures.is_empty() {
        let groups: Vec<&str> =
            of_groups.iter().map(|(id, _)| id).filter(|id| done.contains(id)).map(String::as_str).collect();
        outln!(
            "Deletion of associated internal topics of the streams groups ('{}') was successful.",
            groups.join("', '")
        );
        return;
    }
    outln!("Deletion of some associated internal topics failed:");
    for (id, error) in failures {
        outln!("* Internal topics of the streams group '{id}' could not be deleted due to: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams_groups::tables::testing::group;

    #[test]
    fn names_that_streams_gives() {
        assert!(is_internal_name("g-counts-changelog", "g"));
        assert!(is_internal_name("g-words-repartition", "g"));
        assert!(is_internal_name("g-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000006-topic", "g"));
        assert!(is_internal_name("g-x-KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-14-topic", "g"));
        assert!(!is_internal_name("g-x-KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE--topic", "g"));
        assert!(!is_internal_name("other-counts-changelog", "g"));
        assert!(!is_internal_name("gx-counts-changelog", "g"));
        assert!(!is_internal_name("g-pagos", "g"));
    }

    #[test]
    fn input_topics_are_never_internal() {
        let mut described = group("Empty", Vec::new());
        assert_eq!(of_group(&described), ["g-counts-changelog", "g-words-repartition"]);
        described.subtopologies[0].source_topics.push("g-words-repartition".into());
        assert_eq!(of_group(&described), ["g-counts-changelog"]);
    }
}

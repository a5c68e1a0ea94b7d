//! `--delete-offsets`: forget where a group of consumers or a streams group stands.

use ottla_clients::ClientError;
use ottla_common::{ErrorCode, TopicPartition};

use super::columns::{MISSING, width};
use super::refusals::{group_sentence, print_error, refusal_with_class};
use super::topics::unknown_topic;
use crate::cluster::{Answer, Cluster};
use crate::error::Result;
use crate::output::{out, outln};

/// Deletes the offsets of these partitions and shows what became of each. The topics apart are those that
/// were named and do not exist.
pub(crate) fn delete_offsets(
    cluster: &Cluster,
    group: &str,
    partitions: &[TopicPartition],
    missing: &[&str],
) -> Result {
    let (mut results, refused) = match cluster.answer(cluster.admin.delete_group_offsets(group, partitions)) {
        Ok(outcomes) => {
            let refused = outcomes.iter().find_map(|(_, outcome)| outcome.as_ref().err().cloned());
            (outcomes, refused)
        }
        Err(error) if error.code().is_some() => {
            let all = partitions.iter().map(|partition| (partition.clone(), Err(error.clone())));
            (all.collect::<Vec<_>>(), Some(error.clone()))
        }
        Err(error) => return Err(refusal_with_class(error)),
    };
    match &refused {
        None => outln!("Request succeeded for deleting offsets from group {group}."),
        Some(error) => say_what_failed(error),
    }
    let unknown = missing.iter().map(|topic| (TopicPartition::new(*topic, -1), Err(unknown_topic(topic))));
    results.extend(unknown);
    out!("{}", table(results));
    Ok(())
}

fn say_what_failed(error: &ClientError) {
    let code = error.code().unwrap_or(ErrorCode::UnknownServerError);
    let partition_level = matches!(
        code,
        ErrorCode::GroupSubscribedToTopic
            | ErrorCode::TopicAuthorizationFailed
            | ErrorCode::UnknownTopicOrPartition
    );
    match group_sentence(code) {
        Some(sentence) => print_error(sentence),
        None if partition_level => {
            print_error("Encountered some partition-level error, see the follow-up details.");
        }
        None => print_error(&format!("Encountered some unknown error: {code}")),
    }
}

fn table(mut results: Vec<(TopicPartition, Answer<()>)>) -> String {
    // As text: partition 10 stands before partition 2.
    results.sort_by_key(|(TopicPartition { topic, partition }, _)| format!("{topic}{partition}"));
    let topic_width = width(results.iter().map(|(partition, _)| &*partition.topic));
    let mut text = format!("\n{:<topic_width$} {:<10} {:<15}", "TOPIC", "PARTITION", "STATUS");
    for (TopicPartition { topic, partition }, outcome) in results {
        let status = match outcome {
            Ok(()) => "Successful".to_owned(),
            Err(error) => format!("Error: {}", refusal_with_class(error)),
        };
        let partition = if partition < 0 { MISSING.to_owned() } else { partition.to_string() };
        text.push_str(&format!("\n{topic:<topic_width$} {partition:<10} {status:<15}"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_stand_as_text_and_topics_without_one_have_a_dash() {
        let results = vec![
            (TopicPartition::new("t", 2), Ok(())),
            (TopicPartition::new("t", 10), Ok(())),
            (TopicPartition::new("gone", -1), Err(unknown_topic("gone"))),
        ];
        let text = table(results);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], Vec::<&str>::new());
        assert_eq!(lines[1], ["TOPIC", "PARTITION", "STATUS"]);
        assert_eq!(lines[2][..3], ["gone", "-", "Error:"]);
        assert_eq!(lines[3], ["t", "10", "Successful"]);
        assert_eq!(lines[4], ["t", "2", "Successful"]);
        assert!(text.contains(
            "Error: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not \
             host this topic-partition."
        ));
    }
}

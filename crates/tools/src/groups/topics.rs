//! Topics and partitions as `--topic` and `--input-topic` name them.

use ottla_clients::ClientError;
use ottla_common::{ErrorCode, TopicPartition};

use crate::cluster::Cluster;
use crate::error::{Result, usage};
use crate::offsets::partitions_of;

/// Reads `topic` and `topic:0,1`; the partitions of the former come from the cluster. Topics that it does
/// not know are apart.
pub(crate) fn parse_topics<'a>(
    cluster: &Cluster,
    topics: &'a [String],
) -> Result<(Vec<TopicPartition>, Vec<&'a str>)> {
    let mut partitions = Vec::new();
    for topic in topics.iter().filter(|topic| topic.contains(':')) {
        partitions.extend(parse_partitions(topic)?);
    }
    let whole = || topics.iter().map(String::as_str).filter(|topic| !topic.contains(':'));
    let known = partitions_of(cluster, Some(whole()))?;
    let missing = whole().filter(|name| !known.keys().any(|known| *known.topic == **name)).collect();
    partitions.extend(known.into_keys());
    Ok((partitions, missing))
}

fn parse_partitions(text: &str) -> Result<Vec<TopicPartition>> {
    let parts = text.split_once(':').filter(|(_, ids)| !ids.is_empty() && !ids.contains(':'));
    let Some((topic, ids)) = parts else {
        return usage(format!("Invalid topic arg '{text}', expected topic name and partitions"));
    };
    let parse = |id: &str| match id.parse() {
        Ok(partition) => Ok(TopicPartition::new(topic, partition)),
        Err(_) => usage(format!("Invalid partition '{id}' specified in topic arg '{text}''")),
    };
    ids.split(',').map(parse).collect()
}

/// A refusal of a topic that the cluster does not have.
pub(crate) fn unknown_topic(topic: &str) -> ClientError {
    ClientError::api(topic, ErrorCode::UnknownTopicOrPartition, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_behind_a_colon() {
        assert_eq!(
            parse_partitions("t:0,2").unwrap(),
            [TopicPartition::new("t", 0), TopicPartition::new("t", 2)]
        );
        let refuse = |text: &str| parse_partitions(text).unwrap_err().to_string();
        assert_eq!(refuse("t:"), "Invalid topic arg 't:', expected topic name and partitions");
        assert_eq!(refuse("t:0:1"), "Invalid topic arg 't:0:1', expected topic name and partitions");
        assert_eq!(refuse("t:0,x"), "Invalid partition 'x' specified in topic arg 't:0,x''");
    }
}

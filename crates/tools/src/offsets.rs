//! Partitions, their leaders and their offsets.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_clients::ClientError;
use ottla_clients::admin::OffsetSpec;
use ottla_common::{ErrorCode, TopicPartition};

use crate::cluster::{Answer, Cluster};
use crate::error::Result;

/// Partitions and their leading brokers.
pub(crate) type Leaders = BTreeMap<TopicPartition, Option<i32>>;

/// The partitions of these topics (or of all); a topic that is not there is left out.
pub(crate) fn partitions_of<'a>(
    cluster: &Cluster,
    topics: Option<impl IntoIterator<Item = &'a str>>,
) -> Result<Leaders> {
    let names: Option<Vec<ByteString>> = topics.map(|names| names.into_iter().map(Into::into).collect());
    if names.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Leaders::new());
    }
    let client = cluster.admin.client();
    let metadata =
        cluster.wait(client.retrying("Metadata", || client.refresh_metadata(names.as_deref(), false)))?;
    let wanted = |name: &ByteString| names.as_ref().is_none_or(|names| names.contains(name));
    let topics = metadata.topics.values().filter(|topic| topic.error.is_none() && wanted(&topic.name));
    let partitions = topics.flat_map(|topic| {
        topic.partitions.iter().map(|p| (TopicPartition::new(&*topic.name, p.index), p.leader))
    });
    Ok(partitions.collect())
}

/// Asks the leaders for the offsets at a time; -1 where there is none for that time.
pub(crate) fn list_offsets(
    cluster: &Cluster,
    partitions: &Leaders,
    spec: OffsetSpec,
) -> Result<BTreeMap<TopicPartition, Answer<i64>>> {
    let (led, leaderless): (Vec<_>, Vec<_>) = partitions.iter().partition(|(_, leader)| leader.is_some());
    let wanted: Vec<_> = led.into_iter().map(|(partition, _)| (partition.clone(), spec)).collect();
    let listed = cluster.wait(cluster.admin.list_offsets(&wanted, false))?.into_iter();
    let refused = leaderless.into_iter().map(|(partition, _)| {
        let error = ClientError::api(partition.to_string(), ErrorCode::LeaderNotAvailable, None);
        (partition.clone(), Err(error))
    });
    Ok(listed
        .map(|(partition, answer)| (partition, answer.map(|listed| listed.offset)))
        .chain(refused)
        .collect())
}

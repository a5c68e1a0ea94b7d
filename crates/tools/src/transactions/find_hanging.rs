//! `find-hanging`: open transactions that no coordinator will end.

use std::collections::{BTreeMap, BTreeSet};

use ottla_clients::admin::{TransactionDescription, TransactionFilter};
use ottla_common::{ErrorCode, TopicPartition};
use ottla_protocol::messages::describe_producers_response::ProducerState;

use super::arguments::number;
use super::{now_ms, refused};
use crate::cluster::Cluster;
use crate::error::{Result, failed};
use crate::options::Options;
use crate::table;

const HEAD: [&str; 8] = [
    "Topic",
    "Partition",
    "ProducerId",
    "ProducerEpoch",
    "CoordinatorEpoch",
    "StartOffset",
    "LastTimestamp",
    "Duration(min)",
];

/// Topics or partitions in one request.
const BATCH_MAX: usize = 500;
const MINUTE_MS: i64 = 60_000;

/// A transaction that a replica holds open.
#[derive(Debug, Clone, PartialEq)]
struct Open {
    partition: TopicPartition,
    producer: ProducerState,
}

pub(super) fn run(cluster: &Cluster, options: &Options) -> Result {
    check(options)?;
    let broker = number(options, "broker-id");
    let timeout_minutes: i64 = number(options, "max-transaction-timeout").unwrap_or(15);
    let partitions = partitions_to_search(cluster, options, broker)?;
    let now_ms = now_ms();
    let mut candidates = Vec::new();
    for batch in partitions.chunks(BATCH_MAX) {
        let described = match broker {
            None => cluster.answer(cluster.admin.describe_producers(batch)),
            Some(broker) => cluster.answer(cluster.admin.describe_producers_on(broker, batch)),
        };
        let place = broker.map_or_else(|| "Optional.empty".to_owned(), |id: i32| format!("Optional[{id}]"));
        let what = format!("Failed to describe producers for {} partitions on broker {place}", batch.len());
        for (partition, producers) in described.map_err(|error| refused(&what, error))? {
            let producers = producers.map_err(|error| refused(&what, error))?;
            let old = producers.into_iter().filter(|p| is_old(p, now_ms, timeout_minutes * MINUTE_MS));
            candidates.extend(old.map(|producer| Open { partition: partition.clone(), producer }));
        }
    }
    let hanging = if candidates.is_empty() { candidates } else { hanging(cluster, candidates)? };
    let rows: Vec<_> = hanging.iter().map(|open| row(open, now_ms)).collect();
    table::print(&HEAD, &rows);
    Ok(())
}

fn check(options: &Options) -> Result {
    if !options.has_any(&["topic", "broker-id"]) {
        return failed(
            "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search",
        );
    }
    if options.has("partition") && !options.has("topic") {
        return failed("The --partition argument requires --topic to be provided");
    }
    Ok(())
}

fn is_old(producer: &ProducerState, now_ms: i64, timeout_ms: i64) -> bool {
    producer.current_txn_start_offset >= 0 && now_ms.saturating_sub(producer.last_timestamp) > timeout_ms
}

fn partitions_to_search(
    cluster: &Cluster,
    options: &Options,
    broker: Option<i32>,
) -> Result<Vec<TopicPartition>> {
    let topics = match options.one("topic")? {
        Some(topic) => match number(options, "partition") {
            Some(partition) => return Ok(vec![TopicPartition::new(topic, partition)]),
            None => vec![topic.to_owned()],
        },
        None => {
            let listed = cluster.answer(cluster.admin.list_topics());
            let listed = listed.map_err(|error| refused("Failed to list topics", error))?;
            listed.into_iter().map(|topic| topic.name.to_string()).collect()
        }
    };
    let mut partitions = Vec::new();
    for batch in topics.chunks(BATCH_MAX) {
        let names: Vec<&str> = batch.iter().map(String::as_str).collect();
        let what = format!("Failed to describe {} topics", batch.len());
        let described = cluster.answer(cluster.admin.describe_topics(&names));
        for (name, topic) in described.map_err(|error| refused(&what, error))? {
            let topic = topic.map_err(|error| refused(&what, error))?;
            let on_broker =
                topic.partitions.iter().filter(|p| broker.is_none_or(|broker| p.replicas.contains(&broker)));
            partitions.extend(on_broker.map(|p| TopicPartition::new(&*name, p.index)));
        }
    }
    Ok(partitions)
}

/// Asks the coordinators which of the candidates they know.
fn hanging(cluster: &Cluster, candidates: Vec<Open>) -> Result<Vec<Open>> {
    let producer_ids: BTreeSet<i64> = candidates.iter().map(|open| open.producer.producer_id).collect();
    let wanted = TransactionFilter {
        producer_ids: producer_ids.iter().copied().collect(),
        ..TransactionFilter::default()
    };
    let what = format!("Failed to list transactions for {} producers", producer_ids.len());
    let listed = cluster.answer(cluster.admin.list_transactions(&wanted));
    let listed = listed.map_err(|error| refused(&what, error))?.into_values().flatten();
    let ids: BTreeMap<i64, String> = listed
        .filter(|listing| producer_ids.contains(&listing.producer_id))
        .map(|listing| (listing.producer_id, listing.transactional_id.to_string()))
        .collect();
    let mut known: BTreeMap<i64, TransactionDescription> = BTreeMap::new();
    for (producer_id, id) in &ids {
        match cluster.answer(cluster.admin.describe_transaction(id)) {
            Ok(description) => {
                known.insert(*producer_id, description);
            }
            Err(error) if error.code() == Some(ErrorCode::TransactionalIdNotFound) => {}
            Err(error) => {
                return Err(refused(&format!("Failed to describe {} transactions", ids.len()), error));
            }
        }
    }
    Ok(unknown(candidates, &known))
}

/// A coordinator still has a marker to write for the partitions it names. It will never write one for
/// others: those hang.
fn unknown(candidates: Vec<Open>, known: &BTreeMap<i64, TransactionDescription>) -> Vec<Open> {
    let is_expected = |open: &Open| {
        let description = known.get(&open.producer.producer_id);
        description.is_some_and(|description| description.partitions.contains(&open.partition))
    };
    let mut hanging: Vec<Open> = candidates.into_iter().filter(|open| !is_expected(open)).collect();
    hanging.sort_by_key(|open| open.producer.producer_id);
    hanging
}

fn row(open: &Open, now_ms: i64) -> Vec<String> {
    let Open { partition, producer } = open;
    vec![
        partition.topic.to_string(),
        partition.partition.to_string(),
        producer.producer_id.to_string(),
        producer.producer_epoch.to_string(),
        producer.coordinator_epoch.max(-1).to_string(),
        producer.current_txn_start_offset.max(-1).to_string(),
        producer.last_timestamp.to_string(),
        (now_ms.saturating_sub(producer.last_timestamp) / MINUTE_MS).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(producer_id: i64, partition: i32) -> Open {
        let producer = ProducerState {
            producer_id,
            producer_epoch: 1,
            last_timestamp: 10 * MINUTE_MS,
            coordinator_epoch: -1,
            current_txn_start_offset: 5,
            ..ProducerState::default()
        };
        Open { partition: TopicPartition::new("t", partition), producer }
    }

    #[test]
    fn the_scope_is_limited() {
        let refuse = |line: &str| {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            check(&super::super::PARSER.parse(&words).unwrap()).unwrap_err().to_string()
        };
        assert!(refuse("find-hanging").starts_with("The `find-hanging` command requires either --topic"));
        assert_eq!(
            refuse("find-hanging --broker-id 1 --partition 0"),
            "The --partition argument requires --topic to be provided"
        );
    }

    #[test]
    fn only_old_and_open_transactions_are_candidates() {
        let candidate = open(7, 0).producer;
        assert!(is_old(&candidate, 26 * MINUTE_MS, 15 * MINUTE_MS));
        assert!(!is_old(&candidate, 25 * MINUTE_MS, 15 * MINUTE_MS));
        let closed = ProducerState { current_txn_start_offset: -1, ..candidate };
        assert!(!is_old(&closed, 26 * MINUTE_MS, 15 * MINUTE_MS));
    }

    #[test]
    fn what_a_coordinator_knows_does_not_hang() {
        let description = TransactionDescription {
            coordinator: 1,
            state: "Ongoing",
            producer_id: 7,
            producer_epoch: 1,
            timeout_ms: 60_000,
            start_time_ms: Some(1),
            partitions: BTreeSet::from([TopicPartition::new("t", 0)]),
        };
        let candidates = vec![open(8, 0), open(7, 0), open(7, 1)];
        let hanging = unknown(candidates, &BTreeMap::from([(7, description)]));
        assert_eq!(hanging, [open(7, 1), open(8, 0)]);
    }

    #[test]
    fn rows() {
        let row = row(&open(7, 3), 40 * MINUTE_MS);
        assert_eq!(row, ["t", "3", "7", "1", "-1", "5", "600000", "30"]);
        assert_eq!(row.len(), HEAD.len());
    }
}

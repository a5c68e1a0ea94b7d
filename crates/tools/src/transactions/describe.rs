//! `list`, `describe` and `describe-producers`: tables of what is.

use std::collections::BTreeMap;

use ottla_clients::admin::{TransactionDescription, TransactionFilter, TransactionListing};
use ottla_common::TopicPartition;
use ottla_protocol::messages::describe_producers_response::ProducerState;

use super::arguments::number;
use super::{now_ms, refused};
use crate::cluster::Cluster;
use crate::error::Result;
use crate::options::Options;
use crate::table;

const LISTING: [&str; 4] = ["TransactionalId", "Coordinator", "ProducerId", "TransactionState"];

const DESCRIPTION: [&str; 9] = [
    "CoordinatorId",
    "TransactionalId",
    "ProducerId",
    "ProducerEpoch",
    "TransactionState",
    "TransactionTimeoutMs",
    "CurrentTransactionStartTimeMs",
    "TransactionDurationMs",
    "TopicPartitions",
];

const PRODUCER: [&str; 6] = [
    "ProducerId",
    "ProducerEpoch",
    "LatestCoordinatorEpoch",
    "LastSequence",
    "LastTimestamp",
    "CurrentTransactionStartOffset",
];

pub(super) fn list(cluster: &Cluster, options: &Options) -> Result {
    let wanted = TransactionFilter {
        duration_ms: number(options, "duration-filter"),
        transactional_id_pattern: options.many("transactional-id-pattern").last().cloned(),
        ..TransactionFilter::default()
    };
    let listed = cluster.answer(cluster.admin.list_transactions(&wanted));
    let listed = listed.map_err(|error| refused("Failed to list transactions", error))?;
    table::print(&LISTING, &listing_rows(&listed));
    Ok(())
}

fn listing_rows(listed: &BTreeMap<i32, Vec<TransactionListing>>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (coordinator, listings) in listed {
        let row = |listing: &TransactionListing| {
            vec![
                listing.transactional_id.to_string(),
                coordinator.to_string(),
                listing.producer_id.to_string(),
                listing.state.to_owned(),
            ]
        };
        rows.extend(listings.iter().map(row));
    }
    rows
}

pub(super) fn describe(cluster: &Cluster, options: &Options) -> Result {
    let id = options.required("transactional-id")?;
    let described = cluster.answer(cluster.admin.describe_transaction(id)).map_err(|error| {
        refused(&format!("Failed to describe transaction state of transactional-id `{id}`"), error)
    })?;
    table::print(&DESCRIPTION, &[description_row(id, &described, now_ms())]);
    Ok(())
}

fn description_row(id: &str, transaction: &TransactionDescription, now_ms: i64) -> Vec<String> {
    let or_none = |value: Option<i64>| value.map_or_else(|| "None".to_owned(), |value| value.to_string());
    let partitions: Vec<_> = transaction.partitions.iter().map(ToString::to_string).collect();
    vec![
        transaction.coordinator.to_string(),
        id.to_owned(),
        transaction.producer_id.to_string(),
        transaction.producer_epoch.to_string(),
        transaction.state.to_owned(),
        transaction.timeout_ms.to_string(),
        or_none(transaction.start_time_ms),
        or_none(transaction.start_time_ms.map(|start| now_ms - start)),
        partitions.join(","),
    ]
}

pub(super) fn describe_producers(cluster: &Cluster, options: &Options) -> Result {
    let partition =
        TopicPartition::new(options.required("topic")?, number(options, "partition").unwrap_or_default());
    let broker = number(options, "broker-id");
    let producers = producers_of(cluster, &partition, broker).map_err(|error| {
        let place = broker.map_or_else(|| "leader".to_owned(), |broker| format!("broker {broker}"));
        refused(&format!("Failed to describe producers for partition {partition} on {place}"), error)
    })?;
    let rows: Vec<_> = producers.iter().map(producer_row).collect();
    table::print(&PRODUCER, &rows);
    Ok(())
}

/// The producers that the leader of a partition (or this broker) remembers.
pub(super) fn producers_of(
    cluster: &Cluster,
    partition: &TopicPartition,
    broker: Option<i32>,
) -> crate::cluster::Answer<Vec<ProducerState>> {
    let partitions = std::slice::from_ref(partition);
    let outcomes = match broker {
        None => cluster.answer(cluster.admin.describe_producers(partitions))?,
        Some(broker) => cluster.answer(cluster.admin.describe_producers_on(broker, partitions))?,
    };
    outcomes.into_iter().next().map_or_else(|| Ok(Vec::new()), |(_, producers)| producers)
}

fn producer_row(producer: &ProducerState) -> Vec<String> {
    let start = match producer.current_txn_start_offset {
        offset if offset < 0 => "None".to_owned(),
        offset => offset.to_string(),
    };
    vec![
        producer.producer_id.to_string(),
        producer.producer_epoch.to_string(),
        producer.coordinator_epoch.max(-1).to_string(),
        producer.last_sequence.to_string(),
        producer.last_timestamp.to_string(),
        start,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_of_transactions() {
        let listing = TransactionListing { transactional_id: "x".into(), producer_id: 7, state: "Ongoing" };
        let rows = listing_rows(&BTreeMap::from([(2, Vec::new()), (3, vec![listing])]));
        assert_eq!(rows, [["x", "3", "7", "Ongoing"]]);
        let mut described = TransactionDescription {
            coordinator: 3,
            state: "Ongoing",
            producer_id: 7,
            producer_epoch: 1,
            timeout_ms: 60_000,
            start_time_ms: Some(1_000),
            partitions: BTreeSet::from([TopicPartition::new("t", 0), TopicPartition::new("t", 1)]),
        };
        let row = description_row("x", &described, 1_500);
        assert_eq!(row.len(), DESCRIPTION.len());
        assert_eq!(row, ["3", "x", "7", "1", "Ongoing", "60000", "1000", "500", "t-0,t-1"]);
        described.start_time_ms = None;
        assert_eq!(description_row("x", &described, 1_500)[6..8], ["None", "None"]);
    }

    #[test]
    fn rows_of_producers() {
        let mut producer = ProducerState {
            producer_id: 7,
            producer_epoch: 1,
            last_sequence: 9,
            last_timestamp: 1_000,
            coordinator_epoch: -1,
            current_txn_start_offset: 40,
            ..ProducerState::default()
        };
        assert_eq!(producer_row(&producer), ["7", "1", "-1", "9", "1000", "40"]);
        producer.current_txn_start_offset = -1;
        assert_eq!(producer_row(&producer)[5], "None");
        assert_eq!(producer_row(&producer).len(), PRODUCER.len());
    }
}

//! `abort`: write the marker that a hanging transaction misses.

use ottla_clients::admin::AbortTransactionSpec;
use ottla_common::TopicPartition;
use ottla_protocol::messages::describe_producers_response::ProducerState;

use super::arguments::number;
use super::describe::producers_of;
use super::refused;
use crate::cluster::Cluster;
use crate::error::{Result, failed};
use crate::options::Options;

pub(super) fn run(cluster: &Cluster, options: &Options) -> Result {
    let topic = options.required("topic")?;
    let partition = TopicPartition::new(topic, number(options, "partition").unwrap_or_default());
    let spec = match number(options, "start-offset") {
        None => named(options, partition)?,
        Some(start_offset) => found(cluster, partition, start_offset)?,
    };
    cluster
        .answer(cluster.admin.abort_transaction(&spec))
        .map_err(|error| refused(&format!("Failed to abort transaction {spec}"), error))
}

/// Brokers before 3.0 do not tell who writes, so the operator does.
fn named(options: &Options, partition: TopicPartition) -> Result<AbortTransactionSpec> {
    let Some(producer_id) = number(options, "producer-id") else {
        return failed(
            "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or \
             above) or with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)",
        );
    };
    let Some(producer_epoch) = number(options, "producer-epoch") else {
        return failed("Missing required argument --producer-epoch");
    };
    let Some(coordinator_epoch) = number::<i32>(options, "coordinator-epoch") else {
        return failed("Missing required argument --coordinator-epoch");
    };
    Ok(AbortTransactionSpec {
        partition,
        producer_id,
        producer_epoch,
        coordinator_epoch: coordinator_epoch.max(0),
    })
}

fn found(cluster: &Cluster, partition: TopicPartition, start_offset: i64) -> Result<AbortTransactionSpec> {
    let producers = producers_of(cluster, &partition, None).map_err(|error| {
        refused(&format!("Failed to validate producer state for partition {partition}"), error)
    })?;
    match producers.iter().find(|producer| producer.current_txn_start_offset == start_offset) {
        Some(producer) if start_offset >= 0 => Ok(spec_of(producer, partition)),
        _ => failed(format!(
            "Could not find any open transactions starting at offset {start_offset} on partition {partition}"
        )),
    }
}

fn spec_of(producer: &ProducerState, partition: TopicPartition) -> AbortTransactionSpec {
    AbortTransactionSpec {
        partition,
        producer_id: producer.producer_id,
        // Epochs have 16 bits; this answer has more room for them.
        producer_epoch: producer.producer_epoch as i16,
        // No marker yet means no epoch: 0 is not above that of any leader.
        coordinator_epoch: producer.coordinator_epoch.max(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_line(line: &str) -> Result<AbortTransactionSpec> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        named(&super::super::PARSER.parse(&words)?, TopicPartition::new("t", 0))
    }

    #[test]
    fn transactions_need_a_name() {
        let refuse = |line: &str| named_line(line).unwrap_err().to_string();
        assert!(refuse("abort").starts_with("The transaction to abort must be identified either with"));
        assert_eq!(refuse("abort --producer-id 7"), "Missing required argument --producer-epoch");
        assert_eq!(
            refuse("abort --producer-id 7 --producer-epoch 1"),
            "Missing required argument --coordinator-epoch"
        );
        let spec = named_line("abort --producer-id 7 --producer-epoch 1 --coordinator-epoch -1").unwrap();
        assert_eq!((spec.producer_id, spec.producer_epoch, spec.coordinator_epoch), (7, 1, 0));
    }

    #[test]
    fn specs_of_producers() {
        let producer = ProducerState {
            producer_id: 7,
            producer_epoch: 2,
            coordinator_epoch: -1,
            ..ProducerState::default()
        };
        let spec = spec_of(&producer, TopicPartition::new("t", 1));
        assert_eq!((spec.producer_id, spec.producer_epoch, spec.coordinator_epoch), (7, 2, 0));
    }
}

//! AddPartitionsToTxn (24), versions 0-5: partitions that a transaction is going to write to (KIP-98). From version
//! 4 on brokers ask, for several transactions at once: to add a partition, or only to verify it (KIP-890).
//!
//! Errors per partition: UNKNOWN_TOPIC_OR_PARTITION, OPERATION_NOT_ATTEMPTED (another partition of the transaction
//! is unknown), and those of the transaction coordinator: INVALID_REQUEST, NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE,
//! COORDINATOR_LOAD_IN_PROGRESS, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (INVALID_PRODUCER_EPOCH before
//! version 2), CONCURRENT_TRANSACTIONS, TRANSACTION_ABORTABLE (when verifying), UNSUPPORTED_VERSION.
//! Missing: authorization.

use ottla_common::ErrorCode;
use ottla_coordinator::transaction::{normalize_request, result_for_transaction};
use ottla_metadata::image::MetadataImage;
use ottla_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTransaction;
use ottla_protocol::messages::add_partitions_to_txn_response::AddPartitionsToTxnResult;
use ottla_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use crate::{BrokerContext, Call};

/// The first version with several transactions.
const BATCH_MIN_VERSION: i16 = 4;

/// A transaction with a partition that does not exist is refused here; the others go to the coordinator.
pub async fn handle(
    broker: &BrokerContext,
    call: &Call,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let request = normalize_request(call.version, &request);
    let mut refused = Vec::new();
    let mut known = Vec::new();
    for (place, transaction) in request.transactions.into_iter().enumerate() {
        match refusal(&broker.metadata.image(), &transaction) {
            Some(result) => refused.push((place, result)),
            None => known.push(transaction),
        }
    }
    let mut results = Vec::new();
    if !known.is_empty() {
        let request = AddPartitionsToTxnRequest { transactions: known, ..Default::default() };
        results = broker.transactions.add_partitions_to_txn(call, request).await.results_by_transaction;
    }
    in_version(call.version, in_order(results, refused))
}

/// Partitions that do not exist keep the others from being added: the transaction would not be whole.
fn refusal(
    image: &MetadataImage,
    transaction: &AddPartitionsToTxnTransaction,
) -> Option<AddPartitionsToTxnResult> {
    let exists = |topic: &str, partition: i32| {
        image.topics.topic_by_name(topic).is_some_and(|topic| topic.partitions.contains_key(&partition))
    };
    let all = |partitions: &[i32], topic: &str| partitions.iter().all(|partition| exists(topic, *partition));
    if transaction.topics.iter().all(|topic| all(&topic.partitions, &topic.name)) {
        return None;
    }
    let mut result = result_for_transaction(transaction, ErrorCode::OperationNotAttempted);
    for topic in &mut result.topic_results {
        for partition in &mut topic.results_by_partition {
            if !exists(&topic.name, partition.partition_index) {
                partition.partition_error_code = ErrorCode::UnknownTopicOrPartition.code();
            }
        }
    }
    Some(result)
}

/// Puts what was refused where it was asked for.
fn in_order(
    mut results: Vec<AddPartitionsToTxnResult>,
    refused: Vec<(usize, AddPartitionsToTxnResult)>,
) -> Vec<AddPartitionsToTxnResult> {
    for (place, result) in refused {
        results.insert(place.min(results.len()), result);
    }
    results
}

/// Clients have one transaction only.
fn in_version(version: i16, results: Vec<AddPartitionsToTxnResult>) -> AddPartitionsToTxnResponse {
    if version >= BATCH_MIN_VERSION {
        return AddPartitionsToTxnResponse { results_by_transaction: results, ..Default::default() };
    }
    let topics = results.into_iter().next().map(|result| result.topic_results).unwrap_or_default();
    AddPartitionsToTxnResponse { results_by_topic_v3_and_below: topics, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use ottla_common::Uuid;
    use ottla_metadata::{ApiMessageAndVersion, MetadataLoader, MetadataProvenance};
    use ottla_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
    use ottla_protocol::records::metadata::{PartitionRecord, TopicRecord};

    use super::*;

    fn transaction(id: &str, topics: &[(&str, &[i32])]) -> AddPartitionsToTxnTransaction {
        let topic = |(name, partitions): &(&str, &[i32])| AddPartitionsToTxnTopic {
            name: (*name).into(),
            partitions: partitions.to_vec(),
            ..Default::default()
        };
        AddPartitionsToTxnTransaction {
            transactional_id: id.into(),
            topics: topics.iter().map(topic).collect(),
            ..Default::default()
        }
    }

    fn errors(result: &AddPartitionsToTxnResult) -> Vec<ErrorCode> {
        let partitions = result.topic_results.iter().flat_map(|topic| &topic.results_by_partition);
        partitions.map(|partition| ErrorCode::from_code(partition.partition_error_code)).collect()
    }

    #[test]
    fn unknown_partitions_keep_the_others_out() {
        let topic_id = Uuid::from_u128(5);
        let topic = TopicRecord { name: "pagos".into(), topic_id, ..Default::default() };
        let partition = PartitionRecord {
            topic_id,
            partition_id: 0,
            replicas: vec![1],
            isr: vec![1],
            leader: 1,
            ..Default::default()
        };
        let records = [ApiMessageAndVersion::new(topic, 0), ApiMessageAndVersion::new(partition, 2)];
        let provenance = MetadataProvenance { last_contained_offset: 3, ..MetadataProvenance::EMPTY };
        let image = MetadataLoader::default().load_snapshot(provenance, &records).unwrap().image;
        assert_eq!(refusal(&image, &transaction("a", &[("pagos", &[0])])), None);
        let refused = refusal(&image, &transaction("a", &[("envios", &[0]), ("pagos", &[0, 1])])).unwrap();
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(errors(&refused), [unknown, ErrorCode::OperationNotAttempted, unknown]);
    }

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let result = |id| result_for_transaction(&transaction(id, &[("pagos", &[0])]), ErrorCode::None);
        let results = in_order(vec![result("b"), result("d")], vec![(0, result("a")), (2, result("c"))]);
        let ids: Vec<_> = results.iter().map(|result| result.transactional_id.to_string()).collect();
        assert_eq!(ids, ["a", "b", "c", "d"]);
        assert_eq!(in_version(4, results.clone()).results_by_transaction, results);
        let old = in_version(3, results);
        assert_eq!((old.results_by_transaction.len(), old.results_by_topic_v3_and_below.len()), (0, 1));
    }
}

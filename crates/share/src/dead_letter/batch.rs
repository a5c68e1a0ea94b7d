use ottla_record::{BuildError, CompressionType, MemoryRecords, RecordHeader, RecordsBuilder};

use super::{
    Copies, HEADER_DELIVERY_COUNT, HEADER_GROUP, HEADER_MESSAGE, HEADER_OFFSET, HEADER_PARTITION,
    HEADER_TOPIC,
};
use crate::effect::DeadLetterRange;

/// Where dead letters come from.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterSource<'a> {
    /// The topic's name, or its id in text where no name is known.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The group that gave them up.
    pub group_id: &'a str,
}

/// Dead letters for one produce request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterBatch {
    /// One batch, not compressed.
    pub records: MemoryRecords,
    /// The last of the given-up records that is in it. The next request begins behind.
    pub last_offset: i64,
}

/// Makes a batch of dead letters from this offset on: as many as copies are known of and the topic takes in
/// one message, and at least one. A letter that is too large by itself is for the topic to refuse.
///
/// `timestamp`: now, by the wall clock, for the topic's retention goes by it.
pub fn next_batch(
    source: &DeadLetterSource<'_>,
    range: &DeadLetterRange,
    from: i64,
    copies: &Copies,
    timestamp: i64,
    max_message_bytes: usize,
) -> Result<DeadLetterBatch, BuildError> {
    assert!((range.first_offset..=range.last_offset).contains(&from), "DLQ-WITHIN-RANGE: {from}");
    let last = range.last_offset.min(copies.last_resolved()).max(from);
    let mut builder = RecordsBuilder::new(CompressionType::None).write_limit(max_message_bytes);
    let mut last_offset = from;
    for offset in from..=last {
        let copy = copies.get(offset);
        let (key, value) = (copy.key.as_deref(), copy.value.as_deref());
        let headers = headers(source, range, offset);
        if !builder.has_room_for(timestamp, key, value, &headers) {
            break;
        }
        builder.append(timestamp, key, value, &headers)?;
        last_offset = offset;
    }
    Ok(DeadLetterBatch { records: builder.build()?, last_offset })
}

fn headers(source: &DeadLetterSource<'_>, range: &DeadLetterRange, offset: i64) -> Vec<RecordHeader> {
    let header = |name: &'static str, value: String| RecordHeader::new(name, Some(value));
    vec![
        header(HEADER_TOPIC, source.topic.to_owned()),
        header(HEADER_PARTITION, source.partition.to_string()),
        header(HEADER_OFFSET, offset.to_string()),
        header(HEADER_GROUP, source.group_id.to_owned()),
        header(HEADER_DELIVERY_COUNT, range.delivery_count.to_string()),
        header(HEADER_MESSAGE, range.cause.message().to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use ottla_record::{DecompressionLimits, OwnedRecord, SimpleRecord};

    use super::*;
    use crate::effect::DeadLetterCause;

    const SOURCE: DeadLetterSource<'_> = DeadLetterSource { topic: "envios", partition: 3, group_id: "g" };

    fn range(first_offset: i64, last_offset: i64) -> DeadLetterRange {
        DeadLetterRange { first_offset, last_offset, delivery_count: 5, cause: DeadLetterCause::ClientReject }
    }

    fn letters(batch: &DeadLetterBatch) -> Vec<OwnedRecord> {
        batch.records.records(DecompressionLimits::default()).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_letter_tells_where_it_comes_from_and_why() {
        let batch = next_batch(&SOURCE, &range(7, 7), 7, &Copies::none(7), 99, 1_000_000).unwrap();
        let letters = letters(&batch);
        assert_eq!((letters.len(), letters[0].timestamp, batch.last_offset), (1, 99, 7));
        assert!(letters[0].key.is_none() && letters[0].value.is_none());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told: Vec<_> = letters[0]
            .headers
            .iter()
            .map(|header| {
                let value = header.value.as_deref().unwrap_or_default();
                (text(&header.key), text(value))
            })
            .collect();
        let expected = [
            ("__dlq.errors.topic", "envios"),
            ("__dlq.errors.partition", "3"),
            ("__dlq.errors.offset", "7"),
            ("__dlq.errors.group", "g"),
            ("__dlq.errors.delivery.count", "5"),
            ("__dlq.errors.message", "Offset rejected by client."),
        ];
        assert_eq!(told, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn keys_and_values_go_along() {
        let record = SimpleRecord::new(1, Some("clave"), Some("valor"));
        let read = MemoryRecords::with_records_at(7, 0, CompressionType::None, &[record]).unwrap();
        let mut copies = Copies::new(7, 8, 1_000);
        copies.collect(&read, 7);
        copies.give_up();
        let batch = next_batch(&SOURCE, &range(7, 8), 7, &copies, 99, 1_000_000).unwrap();
        let letters = letters(&batch);
        assert_eq!(letters[0].key.as_deref(), Some(&b"clave"[..]));
        assert_eq!(letters[0].value.as_deref(), Some(&b"valor"[..]));
        assert_eq!(letters[1].value, None);
    }

    #[test]
    fn a_long_range_takes_several_batches() {
        let (mut from, mut batches) = (0, 0);
        while from <= 99 {
            let batch = next_batch(&SOURCE, &range(0, 99), from, &Copies::none(99), 1, 2_000).unwrap();
            assert!(batch.records.size_in_bytes() <= 2_000);
            assert_eq!(letters(&batch).len() as i64, batch.last_offset - from + 1);
            from = batch.last_offset + 1;
            batches += 1;
        }
        assert!(batches > 1);
    }

    #[test]
    fn a_letter_too_large_goes_alone() {
        let batch = next_batch(&SOURCE, &range(0, 9), 0, &Copies::none(9), 1, 70).unwrap();
        assert_eq!((batch.last_offset, letters(&batch).len()), (0, 1));
    }

    #[test]
    fn records_whose_copies_are_yet_to_come_wait() {
        let copies = Copies::new(0, 9, 1_000);
        let batch = next_batch(&SOURCE, &range(0, 9), 0, &copies, 1, 1_000_000).unwrap();
        assert_eq!(batch.last_offset, 0, "one goes in any case");
    }
}

use bytestring::ByteString;
use twox_hash::XxHash3_64;

use crate::metadata::{CoordinatorMetadata, CoordinatorTopic};

/// Says which form of topic hash this is, should there ever be another.
const TOPIC_HASH_MAGIC: u8 = 0;
/// The hash of a group that reads nothing.
const NO_TOPICS: i64 = 0;

/// One number for everything about a topic that matters to an assignment: its id, name, partitions,
/// and the racks of their replicas (KIP-1101). It is kept in the log, so its input must be the JVM's
/// byte for byte: integers little-endian, text as UTF-16 followed by its length.
pub fn topic_hash(topic: &CoordinatorTopic, metadata: &dyn CoordinatorMetadata) -> i64 {
    let mut input = HashInput::default();
    input.0.push(TOPIC_HASH_MAGIC);
    let id = topic.id.as_u128();
    input.long((id >> 64) as u64);
    input.long(id as u64);
    input.text(&topic.name);
    input.int(topic.num_partitions);
    for partition in 0..topic.num_partitions {
        input.int(partition);
        let mut racks = metadata.partition_racks(topic.id, partition);
        racks.sort_unstable();
        for rack in &racks {
            // Racks may hold any character: the length in front keeps them apart.
            input.int(utf16_len(rack));
            input.text(rack);
        }
    }
    input.hash()
}

/// The hash of a group whose topics, ordered by their names, have these hashes.
pub fn group_hash(topic_hashes: impl IntoIterator<Item = i64>) -> i64 {
    let mut input = HashInput::default();
    for hash in topic_hashes {
        input.long(hash as u64);
    }
    match input.0.is_empty() {
        true => NO_TOPICS,
        false => input.hash(),
    }
}

/// The hash of a group that reads these topics, ordered by their names. Topics that do not exist do
/// not count.
pub fn metadata_hash<'a>(
    topics: impl IntoIterator<Item = &'a ByteString>,
    metadata: &dyn CoordinatorMetadata,
) -> i64 {
    let existing = topics.into_iter().filter_map(|name| metadata.topic(name));
    group_hash(existing.map(|topic| topic_hash(&topic, metadata)))
}

/// The bytes that Java's hasher is fed with.
#[derive(Debug, Default)]
struct HashInput(Vec<u8>);

impl HashInput {
    fn int(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn long(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        for unit in text.encode_utf16() {
            self.0.extend_from_slice(&unit.to_le_bytes());
        }
        self.int(utf16_len(text));
    }

    fn hash(&self) -> i64 {
        XxHash3_64::oneshot(&self.0) as i64
    }
}

fn utf16_len(text: &str) -> i32 {
    i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX)
}

#[cfg(test)]
#[path = "topic_hash_test.rs"]
mod tests;

/// The hash that Java gives a string: over UTF-16 code units, wrapping.
pub fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of the coordinator's topic that a group, a transactional id or a share key lives in.
/// Clients never compute it; brokers of a cluster must agree on it, and so must old logs.
pub fn partition_for(key: &str, num_partitions: i32) -> i32 {
    assert!(num_partitions > 0, "a coordinator's topic has partitions");
    let hash = java_string_hash(key);
    // The smallest integer has no positive twin: Kafka takes 0 for it.
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % num_partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_string_hash(""), 0);
        assert_eq!(java_string_hash("a"), 97);
        assert_eq!(java_string_hash("hello"), 99162322);
        assert_eq!(java_string_hash("console-consumer-12345"), java_reference("console-consumer-12345"));
        // Two code units outside the basic plane, and Java's famous hash of the smallest integer.
        assert_eq!(java_string_hash("😀"), 0xd83d * 31 + 0xde00);
        assert_eq!(java_string_hash("polygenelubricants"), i32::MIN);
    }

    #[test]
    fn partitions_are_kafkas() {
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("hello", 50), 22);
        for key in ["a", "grupo-ñandú", "😀", "test-group"] {
            assert!((0..50).contains(&partition_for(key, 50)));
        }
    }

    fn java_reference(text: &str) -> i32 {
        let mut hash: u32 = 0;
        for unit in text.encode_utf16() {
            hash = hash.wrapping_mul(31).wrapping_add(u32::from(unit));
        }
        hash as i32
    }
}

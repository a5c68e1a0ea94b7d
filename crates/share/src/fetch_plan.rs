//! How one ShareFetch is spread over the partitions it asks for.

/// Turns the order of the partitions with every request of a session, so that each comes first sometimes.
pub fn rotate<T>(partitions: &mut [T], session_epoch: i32) {
    let Ok(epoch) = usize::try_from(session_epoch) else { return };
    if !partitions.is_empty() {
        partitions.rotate_left(epoch % partitions.len());
    }
}

/// How many bytes to read of each of `count` partitions, when `acquired_count` partitions (at least as
/// many) share the request's bytes: the same of each, and what is left over of any one.
///
/// With fewer bytes than partitions, as many partitions as there are bytes get one. `random` says which
/// get more than others; chance is the caller's.
pub fn partition_max_bytes(
    request_max_bytes: i32,
    count: usize,
    acquired_count: usize,
    random: u64,
) -> Vec<i32> {
    let Some(lucky) = u64::try_from(count).ok().and_then(|count| random.checked_rem(count)) else {
        return Vec::new();
    };
    let lucky = usize::try_from(lucky).unwrap_or(0);
    let bytes = usize::try_from(request_max_bytes).unwrap_or(0);
    let shares = acquired_count.max(count);
    let portion = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
    if bytes < count {
        let distance = |index: usize| (index + count - lucky) % count;
        return (0..count).map(|index| i32::from(distance(index) < bytes)).collect();
    }
    let shares = if bytes >= shares { shares } else { count };
    let (each, rest) = (bytes / shares, bytes % shares);
    (0..count).map(|index| portion(if index == lucky { each + rest } else { each })).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_request_begins_with_another_partition() {
        let order = |epoch| {
            let mut partitions = [1, 2, 3];
            rotate(&mut partitions, epoch);
            partitions
        };
        assert_eq!(order(0), [1, 2, 3]);
        assert_eq!(order(1), [2, 3, 1]);
        assert_eq!(order(2), [3, 1, 2]);
        assert_eq!(order(3), [1, 2, 3]);
        assert_eq!(order(-1), [1, 2, 3]);
        rotate::<i32>(&mut [], 7);
    }

    #[test]
    fn bytes_are_shared_evenly_and_one_gets_the_rest() {
        assert_eq!(partition_max_bytes(100, 3, 3, 1), [33, 34, 33]);
        assert_eq!(partition_max_bytes(100, 2, 4, 0), [25, 25]);
        assert_eq!(partition_max_bytes(3, 2, 4, 0), [2, 1]);
        assert_eq!(partition_max_bytes(2, 4, 4, 3), [1, 0, 0, 1]);
        assert_eq!(partition_max_bytes(-5, 2, 2, 0), [0, 0]);
        assert!(partition_max_bytes(100, 0, 0, 9).is_empty());
    }

    proptest! {
        #[test]
        fn no_more_bytes_are_given_than_there_are(
            bytes in 0i32..10_000, count in 1usize..50, more in 0usize..50, random: u64,
        ) {
            let given = partition_max_bytes(bytes, count, count + more, random);
            prop_assert_eq!(given.len(), count);
            let sum: i64 = given.iter().map(|bytes| i64::from(*bytes)).sum();
            prop_assert!(sum <= i64::from(bytes));
        }
    }
}

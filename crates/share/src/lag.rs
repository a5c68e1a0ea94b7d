/// Says that a lag is not known.
pub const UNKNOWN_LAG: i64 = -1;

/// How many records a share group has before it on a partition (KIP-1226): all from its start offset to
/// the end, but for those in between that are done already.
///
/// `end_offset` is the offset of the next record to come. A start offset or a count of -1 is not known,
/// and neither is the lag then. A log that was cut below the group's start has none before it.
pub fn share_partition_lag(end_offset: i64, start_offset: i64, delivery_complete_count: i32) -> i64 {
    if start_offset < 0 || delivery_complete_count < 0 {
        return UNKNOWN_LAG;
    }
    let behind_start = end_offset.saturating_sub(start_offset);
    behind_start.saturating_sub(i64::from(delivery_complete_count)).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_leaves_out_what_is_done() {
        assert_eq!(share_partition_lag(100, 40, 15), 45);
        assert_eq!(share_partition_lag(40, 40, 0), 0);
        assert_eq!(share_partition_lag(30, 40, 0), 0);
    }

    #[test]
    fn without_a_start_or_a_count_there_is_no_lag() {
        assert_eq!(share_partition_lag(100, -1, 0), UNKNOWN_LAG);
        assert_eq!(share_partition_lag(100, 0, -1), UNKNOWN_LAG);
    }
}

/// An offset that was looked up, with what is known of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// Timestamp of the record, -1 where the place has none.
    pub timestamp: i64,
    /// The offset.
    pub offset: i64,
    /// The leader epoch it was written in.
    pub leader_epoch: Option<i32>,
}

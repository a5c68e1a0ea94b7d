use bytestring::ByteString;

/// Who a consumer is within its group; offsets that a transaction commits for it carry this, so
/// that a consumer whose place was taken cannot commit any more (KIP-447).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupMetadata {
    /// `group.id`.
    pub group_id: ByteString,
    /// The generation of the group, or the member's epoch; -1 outside of a group.
    pub generation_id: i32,
    /// The member's id; empty outside of a group.
    pub member_id: ByteString,
    /// `group.instance.id`.
    pub group_instance_id: Option<ByteString>,
}

impl ConsumerGroupMetadata {
    /// A group without members, as for offsets that no consumer of the group reads.
    pub fn new(group_id: impl Into<ByteString>) -> Self {
        Self {
            group_id: group_id.into(),
            generation_id: -1,
            member_id: ByteString::new(),
            group_instance_id: None,
        }
    }
}

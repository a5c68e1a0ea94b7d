use bytestring::ByteString;

/// Names a timer of a member of a consumer group: group, member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConsumerGroupTimer {
    /// How long the member may be silent.
    Session(ByteString, ByteString),
    /// How long it may take to give partitions up.
    Rebalance(ByteString, ByteString),
    /// How long a classic member may take to join again after it was asked to.
    Join(ByteString, ByteString),
    /// How long a classic member may take to ask for its assignment after it joined.
    Sync(ByteString, ByteString),
}

impl ConsumerGroupTimer {
    /// The group.
    pub fn group_id(&self) -> &ByteString {
        self.ids().0
    }

    /// The member.
    pub fn member_id(&self) -> &ByteString {
        self.ids().1
    }

    fn ids(&self) -> (&ByteString, &ByteString) {
        match self {
            Self::Session(group, member)
            | Self::Rebalance(group, member)
            | Self::Join(group, member)
            | Self::Sync(group, member) => (group, member),
        }
    }
}

/// What a timer says when it fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupTimerEvent {
    /// Which timer it is.
    pub timer: ConsumerGroupTimer,
    /// The epoch that the member was in. Who gave its partitions up in time is in another.
    pub member_epoch: i32,
}

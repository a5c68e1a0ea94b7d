/// The protocol that a group uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupType {
    /// JoinGroup, SyncGroup, Heartbeat; also groups that only keep offsets.
    Classic,
    /// KIP-848.
    Consumer,
    /// KIP-932.
    Share,
    /// KIP-1071.
    Streams,
}

impl GroupType {
    /// Kafka's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
        }
    }

    /// The type of this name, in whatever case.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Classic, Self::Consumer, Self::Share, Self::Streams]
            .into_iter()
            .find(|group_type| group_type.name().eq_ignore_ascii_case(name))
    }
}

/// Where a record stands with a share group.
///
/// ```text
/// Available -> Acquired -> Available      released, or its lock ended
///                       -> Acknowledged   accepted
///                       -> Archiving      given up on, and on its way to the dead-letter queue (KIP-1191)
///                       -> Archived       given up on, or not there at all
/// Available -> Archived                   gone from the log
/// Archiving -> Archived                   in the dead-letter queue, as far as it went
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordState {
    /// May be handed to a member.
    Available,
    /// Is with a member. Never written to the share coordinator.
    Acquired,
    /// Is done.
    Acknowledged,
    /// Is given up on and goes to the dead-letter queue.
    Archiving,
    /// Is given up on.
    Archived,
}

impl RecordState {
    /// The number in requests to the share coordinator and in its records.
    pub const fn id(self) -> i8 {
        match self {
            Self::Available => 0,
            Self::Acquired => 1,
            Self::Acknowledged => 2,
            Self::Archiving => 3,
            Self::Archived => 4,
        }
    }

    /// The state of this number.
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Available),
            1 => Some(Self::Acquired),
            2 => Some(Self::Acknowledged),
            3 => Some(Self::Archiving),
            4 => Some(Self::Archived),
            _ => None,
        }
    }

    /// Whether nothing can happen to the record any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Archived)
    }

    /// Whether a record in this state may get into the next.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Available => matches!(next, Self::Acquired | Self::Archived),
            Self::Acquired => !matches!(next, Self::Acquired),
            Self::Archiving => matches!(next, Self::Archived),
            Self::Acknowledged | Self::Archived => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [RecordState; 5] = [
        RecordState::Available,
        RecordState::Acquired,
        RecordState::Acknowledged,
        RecordState::Archiving,
        RecordState::Archived,
    ];

    #[test]
    fn every_state_has_its_number() {
        for (id, state) in ALL.into_iter().enumerate() {
            assert_eq!(i8::try_from(id), Ok(state.id()));
            assert_eq!(RecordState::from_id(state.id()), Some(state));
        }
        assert_eq!(RecordState::from_id(5), None);
        assert_eq!(RecordState::from_id(-1), None);
    }

    #[test]
    fn nothing_leaves_a_terminal_state() {
        for from in ALL {
            let leaves = ALL.into_iter().any(|to| from.may_become(to));
            assert_eq!(leaves, !from.is_terminal(), "{from:?}");
            assert!(!from.may_become(from));
        }
    }
}

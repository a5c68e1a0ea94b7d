/// What a transactional id is doing. The numbers stand in the log, the names in answers to tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionState {
    /// Nothing yet with this producer epoch.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// To be committed: the markers are on their way.
    PrepareCommit,
    /// To be aborted: the markers are on their way.
    PrepareAbort,
    /// Every marker of a commit is written.
    CompleteCommit,
    /// Every marker of an abort is written.
    CompleteAbort,
    /// The transactional id expired. Never in the log: a tombstone is.
    Dead,
    /// An older producer is being fenced. Never in the log: `PrepareAbort` follows at once.
    PrepareEpochFence,
}

use TransactionState::{
    CompleteAbort, CompleteCommit, Dead, Empty, Ongoing, PrepareAbort, PrepareCommit, PrepareEpochFence,
};

impl TransactionState {
    const ALL: [Self; 8] =
        [Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, Dead, PrepareEpochFence];

    /// The state's number in the log.
    pub const fn id(self) -> i8 {
        match self {
            Empty => 0,
            Ongoing => 1,
            PrepareCommit => 2,
            PrepareAbort => 3,
            CompleteCommit => 4,
            CompleteAbort => 5,
            Dead => 6,
            PrepareEpochFence => 7,
        }
    }

    /// The state with this number.
    pub fn from_id(id: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.id() == id)
    }

    /// The state's name.
    pub const fn name(self) -> &'static str {
        match self {
            Empty => "Empty",
            Ongoing => "Ongoing",
            PrepareCommit => "PrepareCommit",
            PrepareAbort => "PrepareAbort",
            CompleteCommit => "CompleteCommit",
            CompleteAbort => "CompleteAbort",
            Dead => "Dead",
            PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The state with this name, which must be spelled as Kafka spells it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a transactional id may go from `before` to this state: the one list of moves.
    pub const fn is_reachable_from(self, before: Self) -> bool {
        match self {
            Empty | Dead => matches!(before, Empty | CompleteCommit | CompleteAbort),
            Ongoing => matches!(before, Ongoing | Empty | CompleteCommit | CompleteAbort),
            PrepareCommit | PrepareEpochFence => matches!(before, Ongoing),
            // From others than Ongoing since KIP-890: a client that does not know where it stands aborts.
            PrepareAbort => {
                matches!(before, Ongoing | PrepareEpochFence | Empty | CompleteCommit | CompleteAbort)
            }
            CompleteCommit => matches!(before, PrepareCommit),
            CompleteAbort => matches!(before, PrepareAbort),
        }
    }

    /// Whether the transaction's end is decided and its markers are not all written.
    pub const fn is_prepared(self) -> bool {
        matches!(self, PrepareCommit | PrepareAbort)
    }

    /// Whether a transactional id in this state may expire.
    pub const fn is_expiration_allowed(self) -> bool {
        matches!(self, Empty | CompleteCommit | CompleteAbort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back() {
        for (id, state) in (0..8).zip(TransactionState::ALL) {
            assert_eq!(state.id(), id);
            assert_eq!(TransactionState::from_id(id), Some(state));
            assert_eq!(TransactionState::from_name(state.name()), Some(state));
        }
        assert_eq!(TransactionState::from_id(8), None);
        assert_eq!(TransactionState::from_id(-1), None);
        assert_eq!(TransactionState::from_name("ongoing"), None);
    }

    #[test]
    fn nothing_leaves_what_is_dead_and_ends_have_one_beginning() {
        for state in TransactionState::ALL {
            assert!(!state.is_reachable_from(Dead));
            assert_eq!(CompleteCommit.is_reachable_from(state), state == PrepareCommit);
            assert_eq!(CompleteAbort.is_reachable_from(state), state == PrepareAbort);
            assert_eq!(Dead.is_reachable_from(state), state.is_expiration_allowed());
        }
    }
}

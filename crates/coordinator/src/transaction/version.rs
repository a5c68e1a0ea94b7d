/// The levels of the feature `transaction.version`.
///
/// A transaction remembers the one that its client spoke when it last moved; the cluster has one of its
/// own, which decides how records are written and how the coordinator itself ends transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TransactionVersion {
    /// Transactions as KIP-98 made them.
    #[default]
    V0,
    /// Records in a flexible version, so that they can grow (KIP-890).
    V1,
    /// The producer's epoch is bumped at the end of every transaction (KIP-890).
    V2,
}

/// The first version of AddPartitionsToTxn that brokers send, for clients of level 2 only.
const FIRST_BATCHED_ADD_PARTITIONS: i16 = 4;
/// The first version of EndTxn whose answer carries a new epoch.
const FIRST_END_TXN_WITH_EPOCH: i16 = 5;

impl TransactionVersion {
    /// The newest one.
    pub const LATEST: Self = Self::V2;

    /// The level with this number; `None` for one that this release does not know.
    pub const fn from_feature_level(level: i16) -> Option<Self> {
        match level {
            0 => Some(Self::V0),
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// The number of the level.
    pub const fn feature_level(self) -> i16 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// Which version of the value the records of `__transaction_state` have.
    pub const fn transaction_log_value_version(self) -> i16 {
        match self {
            Self::V0 => 0,
            Self::V1 | Self::V2 => 1,
        }
    }

    /// Whether each end of a transaction bumps the producer's epoch.
    pub const fn supports_epoch_bump(self) -> bool {
        matches!(self, Self::V2)
    }

    /// What an AddPartitionsToTxn of this version tells of its client.
    pub const fn of_add_partitions_to_txn(api_version: i16) -> Self {
        if api_version >= FIRST_BATCHED_ADD_PARTITIONS { Self::V2 } else { Self::V0 }
    }

    /// What an EndTxn of this version tells of its client.
    pub const fn of_end_txn(api_version: i16) -> Self {
        if api_version >= FIRST_END_TXN_WITH_EPOCH { Self::V2 } else { Self::V0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_kafkas_numbers() {
        for level in 0..3 {
            let version = TransactionVersion::from_feature_level(level).unwrap();
            assert_eq!(version.feature_level(), level);
            assert_eq!(version.supports_epoch_bump(), level == 2);
            assert_eq!(version.transaction_log_value_version(), level.min(1));
        }
        assert_eq!(TransactionVersion::from_feature_level(3), None);
        assert_eq!(TransactionVersion::from_feature_level(-1), None);
    }

    #[test]
    fn clients_show_their_level_by_the_versions_they_speak() {
        assert_eq!(TransactionVersion::of_end_txn(4), TransactionVersion::V0);
        assert_eq!(TransactionVersion::of_end_txn(5), TransactionVersion::V2);
        assert_eq!(TransactionVersion::of_add_partitions_to_txn(3), TransactionVersion::V0);
        assert_eq!(TransactionVersion::of_add_partitions_to_txn(4), TransactionVersion::V2);
    }
}

//! `metadata.version`: which records, and which of their versions, the cluster may write.

use std::fmt;

/// A level of the feature `metadata.version`. Ordered: a higher level can write what a lower one can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataVersion(i16);

/// One level: number, release, internal version, and whether metadata written at this level can differ
/// in form from the level before (which is what makes a downgrade lossy).
struct Level(i16, &'static str, &'static str, bool);

const LEVELS: &[Level] = &[
    Level(7, "3.3", "IV3", true),
    Level(8, "3.4", "IV0", true),
    Level(9, "3.5", "IV0", false),
    Level(10, "3.5", "IV1", false),
    Level(11, "3.5", "IV2", true),
    Level(12, "3.6", "IV0", false),
    Level(13, "3.6", "IV1", true),
    Level(14, "3.6", "IV2", true),
    Level(15, "3.7", "IV0", true),
    Level(16, "3.7", "IV1", false),
    Level(17, "3.7", "IV2", true),
    Level(18, "3.7", "IV3", false),
    Level(19, "3.7", "IV4", false),
    Level(20, "3.8", "IV0", false),
    Level(21, "3.9", "IV0", false),
    Level(22, "4.0", "IV0", false),
    Level(23, "4.0", "IV1", true),
    Level(24, "4.0", "IV2", false),
    Level(25, "4.0", "IV3", false),
    Level(26, "4.1", "IV0", false),
    Level(27, "4.1", "IV1", false),
    Level(28, "4.2", "IV0", false),
    Level(29, "4.2", "IV1", false),
    Level(30, "4.3", "IV0", true),
    Level(31, "4.4", "IV0", false),
    Level(32, "4.4", "IV1", true),
    Level(33, "4.4", "IV2", true),
];

impl MetadataVersion {
    /// The feature's name in FeatureLevelRecords and in `UpdateFeatures`.
    pub const FEATURE_NAME: &'static str = "metadata.version";
    /// The lowest level that Kafka 4.x reads.
    pub const MINIMUM: Self = Self(7);
    /// The level a new cluster is formatted with.
    pub const LATEST_PRODUCTION: Self = Self(33);

    /// 3.4-IV0: broker registrations may say that they migrate from ZooKeeper.
    pub const IBP_3_4_IV0: Self = Self(8);
    /// 3.5-IV2: SCRAM credentials (KIP-900).
    pub const IBP_3_5_IV2: Self = Self(11);
    /// 3.6-IV0: an ISR shrink no longer needs a leader epoch bump.
    pub const IBP_3_6_IV0: Self = Self(12);
    /// 3.6-IV1: metadata transactions (KIP-868).
    pub const IBP_3_6_IV1: Self = Self(13);
    /// 3.6-IV2: delegation tokens (KIP-900).
    pub const IBP_3_6_IV2: Self = Self(14);
    /// 3.7-IV0: controller registrations (KIP-919).
    pub const IBP_3_7_IV0: Self = Self(15);
    /// 3.7-IV2: replicas are assigned to directories (KIP-858).
    pub const IBP_3_7_IV2: Self = Self(17);
    /// 3.9-IV0: dynamic quorums (KIP-853).
    pub const IBP_3_9_IV0: Self = Self(21);
    /// 4.0-IV0: the consumer group protocol (KIP-848).
    pub const IBP_4_0_IV0: Self = Self(22);
    /// 4.0-IV1: eligible leader replicas (KIP-966).
    pub const IBP_4_0_IV1: Self = Self(23);
    /// 4.0-IV2: transactions, second version (KIP-890).
    pub const IBP_4_0_IV2: Self = Self(24);
    /// 4.0-IV3.
    pub const IBP_4_0_IV3: Self = Self(25);
    /// 4.1-IV0: eligible leader replicas by default.
    pub const IBP_4_1_IV0: Self = Self(26);
    /// 4.1-IV1.
    pub const IBP_4_1_IV1: Self = Self(27);
    /// 4.2-IV0: share groups by default (KIP-932).
    pub const IBP_4_2_IV0: Self = Self(28);
    /// 4.2-IV1: streams groups by default (KIP-1071).
    pub const IBP_4_2_IV1: Self = Self(29);
    /// 4.3-IV0: cordoned log directories (KIP-1066).
    pub const IBP_4_3_IV0: Self = Self(30);
    /// 4.4-IV0: dead letter queues of share groups (KIP-1191).
    pub const IBP_4_4_IV0: Self = Self(31);
    /// 4.4-IV1: ACLs of address ranges.
    pub const IBP_4_4_IV1: Self = Self(32);
    /// 4.4-IV2: controllers can be unregistered.
    pub const IBP_4_4_IV2: Self = Self(33);

    /// Every level, lowest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        LEVELS.iter().map(|level| Self(level.0))
    }

    /// The level with this number, if Kafka 4.4 knows it.
    pub fn from_feature_level(level: i16) -> Option<Self> {
        (Self::MINIMUM.0..=Self::LATEST_PRODUCTION.0).contains(&level).then_some(Self(level))
    }

    /// Reads `3.8`, `3.8.1` or `3.8-IV0`. A release stands for its highest level.
    pub fn from_version_string(text: &str) -> Option<Self> {
        let mut segments = text.splitn(3, '.');
        let key = match (segments.next(), segments.next(), segments.next()) {
            (Some(major), Some(minor), Some(_)) => format!("{major}.{minor}"),
            _ => text.to_owned(),
        };
        LEVELS
            .iter()
            .rev()
            .find(|level| level.1 == key || format!("{}-{}", level.1, level.2) == key)
            .map(|level| Self(level.0))
    }

    /// The number written in FeatureLevelRecords.
    pub const fn feature_level(self) -> i16 {
        self.0
    }

    /// The release this level belongs to, such as `4.4`.
    pub fn short_version(self) -> &'static str {
        self.level().1
    }

    fn level(self) -> &'static Level {
        // Levels are dense from the minimum, which a test pins.
        &LEVELS[usize::from((self.0 - Self::MINIMUM.0).unsigned_abs())]
    }

    /// Whether moving between the two levels can lose or reinterpret metadata.
    pub fn check_if_metadata_changed(self, other: Self) -> bool {
        let (low, high) = if self < other { (self, other) } else { (other, self) };
        Self::all().any(|version| version > low && version <= high && version.level().3)
    }

    /// Whether SCRAM credentials may be written.
    pub fn is_scram_supported(self) -> bool {
        self >= Self::IBP_3_5_IV2
    }

    /// Whether shrinking an ISR must also bump the leader epoch.
    pub fn is_leader_epoch_bump_required_on_isr_shrink(self) -> bool {
        self < Self::IBP_3_6_IV0
    }

    /// Whether Begin/End/AbortTransactionRecords may be written.
    pub fn is_metadata_transaction_supported(self) -> bool {
        self >= Self::IBP_3_6_IV1
    }

    /// Whether delegation tokens may be written.
    pub fn is_delegation_token_supported(self) -> bool {
        self >= Self::IBP_3_6_IV2
    }

    /// Whether controllers register themselves.
    pub fn is_controller_registration_supported(self) -> bool {
        self >= Self::IBP_3_7_IV0
    }

    /// Whether controllers may be unregistered.
    pub fn is_controller_unregistration_supported(self) -> bool {
        self >= Self::IBP_4_4_IV2
    }

    /// Whether partitions remember the directory of each replica.
    pub fn is_directory_assignment_supported(self) -> bool {
        self >= Self::IBP_3_7_IV2
    }

    /// Whether partitions remember eligible leader replicas.
    pub fn is_elr_supported(self) -> bool {
        self >= Self::IBP_4_0_IV1
    }

    /// Whether registrations may say that the broker came from ZooKeeper.
    pub fn is_migration_supported(self) -> bool {
        self >= Self::IBP_3_4_IV0
    }

    /// Whether brokers report cordoned directories.
    pub fn is_cordoned_log_dirs_supported(self) -> bool {
        self >= Self::IBP_4_3_IV0
    }

    /// Version of RegisterBrokerRecord to write.
    pub fn register_broker_record_version(self) -> i16 {
        match self {
            v if v.is_cordoned_log_dirs_supported() => 4,
            v if v.is_directory_assignment_supported() => 3,
            v if v.is_migration_supported() => 2,
            _ => 1,
        }
    }

    /// Version of BrokerRegistrationChangeRecord that can carry everything this level knows.
    pub fn broker_registration_change_record_version(self) -> i16 {
        match self {
            v if v.is_cordoned_log_dirs_supported() => 3,
            v if v.is_directory_assignment_supported() => 2,
            _ => 1,
        }
    }

    /// Version of PartitionRecord to write.
    pub fn partition_record_version(self) -> i16 {
        match self {
            v if v.is_elr_supported() => 2,
            v if v.is_directory_assignment_supported() => 1,
            _ => 0,
        }
    }

    /// Version of PartitionChangeRecord to write.
    pub fn partition_change_record_version(self) -> i16 {
        self.partition_record_version()
    }

    /// Version of Fetch that brokers speak to each other.
    pub fn fetch_request_version(self) -> i16 {
        match self.0 {
            27.. => 18,
            21.. => 17,
            19.. => 16,
            10.. => 15,
            9 => 14,
            _ => 13,
        }
    }

    /// Version of ListOffsets that brokers speak to each other.
    pub fn list_offset_request_version(self) -> i16 {
        match self.0 {
            29.. => 11,
            25.. => 10,
            21.. => 9,
            9.. => 8,
            _ => 7,
        }
    }
}

impl fmt::Display for MetadataVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level();
        write!(f, "{}-{}", level.1, level.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_dense_and_named() {
        for (i, version) in MetadataVersion::all().enumerate() {
            assert_eq!(version.feature_level(), 7 + i as i16);
            assert_eq!(MetadataVersion::from_version_string(&version.to_string()), Some(version));
            assert_eq!(MetadataVersion::from_feature_level(version.feature_level()), Some(version));
        }
        assert_eq!(MetadataVersion::all().last(), Some(MetadataVersion::LATEST_PRODUCTION));
        assert_eq!(MetadataVersion::LATEST_PRODUCTION.to_string(), "4.4-IV2");
        assert_eq!(MetadataVersion::from_feature_level(6), None);
        assert_eq!(MetadataVersion::from_feature_level(34), None);
    }

    #[test]
    fn releases_stand_for_their_highest_level() {
        let parse = |text| MetadataVersion::from_version_string(text).map(|v| v.to_string());
        assert_eq!(parse("3.7").as_deref(), Some("3.7-IV4"));
        assert_eq!(parse("3.8.1").as_deref(), Some("3.8-IV0"));
        assert_eq!(parse("3.3").as_deref(), Some("3.3-IV3"));
        assert_eq!(parse("3.2"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn lossy_moves_are_known() {
        let v = |text| MetadataVersion::from_version_string(text).unwrap();
        assert!(!v("3.9").check_if_metadata_changed(v("3.8")));
        assert!(!v("3.7-IV3").check_if_metadata_changed(v("4.0-IV0")));
        assert!(v("4.0-IV0").check_if_metadata_changed(v("4.0-IV1")));
        assert!(!v("4.4").check_if_metadata_changed(v("4.4")));
    }
}

//! Feature levels: what the cluster as a whole has agreed to do (KIP-584, KIP-1022).

mod metadata_version;

pub use metadata_version::MetadataVersion;

use std::collections::BTreeMap;

/// The lowest and highest level of a feature that a node can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRange {
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

impl VersionRange {
    /// Whether the node can work at this level.
    pub fn contains(self, level: i16) -> bool {
        self.min <= level && level <= self.max
    }
}

/// A feature other than `metadata.version` whose level the cluster finalizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// `kraft.version`: 1 allows voters to change at run time (KIP-853). Lives in the raft log's
    /// control records, never in a FeatureLevelRecord.
    KRaftVersion,
    /// `transaction.version`: 2 bumps the producer epoch on each transaction (KIP-890).
    TransactionVersion,
    /// `group.version`: 1 is the new consumer group protocol (KIP-848).
    GroupVersion,
    /// `eligible.leader.replicas.version`: 1 keeps eligible leader replicas (KIP-966).
    EligibleLeaderReplicasVersion,
    /// `share.version`: 1 is share groups (KIP-932), 2 adds dead letter queues (KIP-1191).
    ShareVersion,
    /// `streams.version`: 1 is streams groups (KIP-1071).
    StreamsVersion,
}

/// A level above 0, the `metadata.version` that makes it the default, and the one it needs.
struct Level {
    bootstrap: MetadataVersion,
    needs: MetadataVersion,
}

const fn level(bootstrap: MetadataVersion) -> Level {
    Level { bootstrap, needs: MetadataVersion::MINIMUM }
}

impl Feature {
    /// Every feature, in Kafka's order.
    pub const ALL: &[Self] = &[
        Self::KRaftVersion,
        Self::TransactionVersion,
        Self::GroupVersion,
        Self::EligibleLeaderReplicasVersion,
        Self::ShareVersion,
        Self::StreamsVersion,
    ];

    /// The name on the wire.
    pub const fn feature_name(self) -> &'static str {
        match self {
            Self::KRaftVersion => "kraft.version",
            Self::TransactionVersion => "transaction.version",
            Self::GroupVersion => "group.version",
            Self::EligibleLeaderReplicasVersion => "eligible.leader.replicas.version",
            Self::ShareVersion => "share.version",
            Self::StreamsVersion => "streams.version",
        }
    }

    /// The feature with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|feature| feature.feature_name() == name)
    }

    fn levels(self) -> &'static [Level] {
        use MetadataVersion as V;
        const KRAFT: &[Level] = &[level(V::IBP_3_9_IV0)];
        const TRANSACTION: &[Level] = &[level(V::IBP_4_0_IV2), level(V::IBP_4_0_IV2)];
        const GROUP: &[Level] = &[level(V::IBP_4_0_IV0)];
        const ELR: &[Level] = &[Level { bootstrap: V::IBP_4_1_IV0, needs: V::IBP_4_0_IV1 }];
        const SHARE: &[Level] = &[level(V::IBP_4_2_IV0), level(V::IBP_4_4_IV0)];
        const STREAMS: &[Level] = &[level(V::IBP_4_2_IV1)];
        match self {
            Self::KRaftVersion => KRAFT,
            Self::TransactionVersion => TRANSACTION,
            Self::GroupVersion => GROUP,
            Self::EligibleLeaderReplicasVersion => ELR,
            Self::ShareVersion => SHARE,
            Self::StreamsVersion => STREAMS,
        }
    }

    /// The highest level that exists.
    pub fn latest_production(self) -> i16 {
        i16::try_from(self.levels().len()).unwrap_or(i16::MAX)
    }

    /// The levels a Kafka 4.4 node can work with.
    pub fn supported_range(self) -> VersionRange {
        VersionRange { min: 0, max: self.latest_production() }
    }

    /// The level a new cluster of this `metadata.version` gets.
    pub fn default_level(self, metadata_version: MetadataVersion) -> i16 {
        let reached = self.levels().iter().take_while(|level| level.bootstrap <= metadata_version).count();
        i16::try_from(reached).unwrap_or(i16::MAX)
    }

    /// Checks what the level depends on, given all levels as they would be.
    pub fn validate_level(self, level: i16, levels: &BTreeMap<String, i16>) -> Result<(), String> {
        if level < 1 {
            return Ok(());
        }
        let index = usize::from(level.unsigned_abs()) - 1;
        let Some(entry) = self.levels().get(index) else {
            return Err(format!("No feature:{} with feature level {level}", self.feature_name()));
        };
        let name = self.feature_name();
        let metadata_version = levels.get(MetadataVersion::FEATURE_NAME).copied().unwrap_or(0);
        let minimum = MetadataVersion::MINIMUM;
        if metadata_version < minimum.feature_level() {
            return Err(format!(
                "{name} could not be set to {level} because it depends on metadata.version={} ({minimum})",
                minimum.feature_level()
            ));
        }
        if metadata_version < entry.needs.feature_level() {
            return Err(format!(
                "{name} could not be set to {level} because it depends on metadata.version level {}",
                entry.needs.feature_level()
            ));
        }
        Ok(())
    }
}

/// The range of every feature this node supports, by name: what it puts in its registrations.
pub fn supported_features() -> BTreeMap<String, VersionRange> {
    let mut ranges: BTreeMap<String, VersionRange> =
        Feature::ALL.iter().map(|f| (f.feature_name().to_owned(), f.supported_range())).collect();
    ranges.insert(
        MetadataVersion::FEATURE_NAME.to_owned(),
        VersionRange {
            min: MetadataVersion::MINIMUM.feature_level(),
            max: MetadataVersion::LATEST_PRODUCTION.feature_level(),
        },
    );
    ranges
}

/// The levels above 0 that a new cluster of this `metadata.version` gets, by name, `kraft.version` and
/// `metadata.version` left out.
pub fn default_levels(metadata_version: MetadataVersion) -> BTreeMap<String, i16> {
    Feature::ALL
        .iter()
        .filter(|feature| **feature != Feature::KRaftVersion)
        .map(|feature| (feature.feature_name().to_owned(), feature.default_level(metadata_version)))
        .filter(|(_, level)| *level > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_metadata_version() {
        let at = |text| default_levels(MetadataVersion::from_version_string(text).unwrap());
        assert!(at("3.9").is_empty());
        assert_eq!(at("4.0").len(), 2);
        let newest = at("4.4");
        assert_eq!(newest.get("share.version"), Some(&2));
        assert_eq!(newest.get("transaction.version"), Some(&2));
        assert_eq!(newest.len(), 5);
        assert_eq!(Feature::KRaftVersion.default_level(MetadataVersion::LATEST_PRODUCTION), 1);
    }

    #[test]
    fn eligible_leader_replicas_need_their_records() {
        let mut levels = BTreeMap::from([("metadata.version".to_owned(), 22)]);
        let feature = Feature::EligibleLeaderReplicasVersion;
        assert!(feature.validate_level(1, &levels).is_err());
        assert!(feature.validate_level(0, &levels).is_ok());
        levels.insert("metadata.version".to_owned(), 23);
        assert!(feature.validate_level(1, &levels).is_ok());
        assert!(feature.validate_level(2, &levels).is_err());
    }
}

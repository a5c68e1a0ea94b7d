//! The schemas of everything that Kafka keeps in logs of its own.

use std::sync::OnceLock;

use super::schema::Schema;

macro_rules! schemas {
    ($($name:ident = [$($file:literal,)*];)*) => {
        $(pub(super) fn $name() -> &'static [Schema] {
            static SCHEMAS: OnceLock<Vec<Schema>> = OnceLock::new();
            SCHEMAS.get_or_init(|| {
                let texts = [$(include_str!(concat!("../../../protocol/schema/", $file, ".schema")),)*];
                texts.iter().filter_map(|text| Schema::parse(text)).collect()
            })
        })*
    };
}

schemas! {
    metadata = [
        "records/metadata/AbortTransactionRecord",
        "records/metadata/AccessControlEntryRecord",
        "records/metadata/BeginTransactionRecord",
        "records/metadata/BrokerRegistrationChangeRecord",
        "records/metadata/ClearElrRecord",
        "records/metadata/ClientQuotaRecord",
        "records/metadata/ConfigRecord",
        "records/metadata/DelegationTokenRecord",
        "records/metadata/EndTransactionRecord",
        "records/metadata/FeatureLevelRecord",
        "records/metadata/FenceBrokerRecord",
        "records/metadata/NoOpRecord",
        "records/metadata/PartitionChangeRecord",
        "records/metadata/PartitionRecord",
        "records/metadata/ProducerIdsRecord",
        "records/metadata/RegisterBrokerRecord",
        "records/metadata/RegisterControllerRecord",
        "records/metadata/RemoveAccessControlEntryRecord",
        "records/metadata/RemoveDelegationTokenRecord",
        "records/metadata/RemoveTopicRecord",
        "records/metadata/RemoveUserScramCredentialRecord",
        "records/metadata/TopicRecord",
        "records/metadata/UnfenceBrokerRecord",
        "records/metadata/UnregisterBrokerRecord",
        "records/metadata/UnregisterControllerRecord",
        "records/metadata/UserScramCredentialRecord",
        "records/metadata/ZkMigrationRecord",
    ];
    group = [
        "records/group/ConsumerGroupCurrentMemberAssignmentKey",
        "records/group/ConsumerGroupCurrentMemberAssignmentValue",
        "records/group/ConsumerGroupMemberMetadataKey",
        "records/group/ConsumerGroupMemberMetadataValue",
        "records/group/ConsumerGroupMetadataKey",
        "records/group/ConsumerGroupMetadataValue",
        "records/group/ConsumerGroupPartitionMetadataKey",
        "records/group/ConsumerGroupPartitionMetadataValue",
        "records/group/ConsumerGroupRegularExpressionKey",
        "records/group/ConsumerGroupRegularExpressionValue",
        "records/group/ConsumerGroupTargetAssignmentMemberKey",
        "records/group/ConsumerGroupTargetAssignmentMemberValue",
        "records/group/ConsumerGroupTargetAssignmentMetadataKey",
        "records/group/ConsumerGroupTargetAssignmentMetadataValue",
        "records/group/GroupMetadataKey",
        "records/group/GroupMetadataValue",
        "records/group/LegacyOffsetCommitKey",
        "records/group/LegacyOffsetCommitValue",
        "records/group/OffsetCommitKey",
        "records/group/OffsetCommitValue",
        "records/group/ShareGroupCurrentMemberAssignmentKey",
        "records/group/ShareGroupCurrentMemberAssignmentValue",
        "records/group/ShareGroupMemberMetadataKey",
        "records/group/ShareGroupMemberMetadataValue",
        "records/group/ShareGroupMetadataKey",
        "records/group/ShareGroupMetadataValue",
        "records/group/ShareGroupStatePartitionMetadataKey",
        "records/group/ShareGroupStatePartitionMetadataValue",
        "records/group/ShareGroupTargetAssignmentMemberKey",
        "records/group/ShareGroupTargetAssignmentMemberValue",
        "records/group/ShareGroupTargetAssignmentMetadataKey",
        "records/group/ShareGroupTargetAssignmentMetadataValue",
        "records/group/StreamsGroupCurrentMemberAssignmentKey",
        "records/group/StreamsGroupCurrentMemberAssignmentValue",
        "records/group/StreamsGroupMemberMetadataKey",
        "records/group/StreamsGroupMemberMetadataValue",
        "records/group/StreamsGroupMetadataKey",
        "records/group/StreamsGroupMetadataValue",
        "records/group/StreamsGroupTargetAssignmentMemberKey",
        "records/group/StreamsGroupTargetAssignmentMemberValue",
        "records/group/StreamsGroupTargetAssignmentMetadataKey",
        "records/group/StreamsGroupTargetAssignmentMetadataValue",
        "records/group/StreamsGroupTopologyKey",
        "records/group/StreamsGroupTopologyValue",
    ];
    transaction = [
        "records/transaction/TransactionLogKey",
        "records/transaction/TransactionLogValue",
    ];
    share = [
        "records/share/ShareSnapshotKey",
        "records/share/ShareSnapshotValue",
        "records/share/ShareUpdateKey",
        "records/share/ShareUpdateValue",
    ];
    control = [
        "messages/KRaftVersionRecord",
        "messages/LeaderChangeMessage",
        "messages/SnapshotFooterRecord",
        "messages/SnapshotHeaderRecord",
        "messages/VotersRecord",
    ];
    consumer_protocol = [
        "messages/ConsumerProtocolAssignment",
        "messages/ConsumerProtocolSubscription",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_read() {
        let counts =
            [metadata(), group(), transaction(), share(), control(), consumer_protocol()].map(<[_]>::len);
        assert_eq!(counts, [27, 44, 2, 4, 5, 2]);
        assert!(metadata().iter().all(|schema| schema.key.is_some()));
    }
}

//! Which group protocols are open to clients: the broker must offer them, and the cluster's features allow them.

use std::sync::Arc;

use bytestring::ByteString;
use ottla_apis::support::metadata_cache::MetadataCache;
use ottla_common::ErrorCode;
use ottla_metadata::Feature;
use ottla_protocol::messages::{
    AlterShareGroupOffsetsResponse, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse,
    DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse,
    ShareGroupDescribeResponse, ShareGroupHeartbeatResponse, StreamsGroupDescribeResponse,
    StreamsGroupHeartbeatResponse, StreamsGroupTopologyDescriptionUpdateResponse,
    consumer_group_describe_response, describe_share_group_offsets_response, share_group_describe_response,
    streams_group_describe_response,
};

const UNSUPPORTED: i16 = ErrorCode::UnsupportedVersion.code();

/// Tells which group protocols are open to clients.
#[derive(Debug)]
pub struct GroupProtocols {
    metadata: Arc<MetadataCache>,
    /// `group.coordinator.rebalance.protocols`
    offered: Vec<String>,
}

impl GroupProtocols {
    /// Goes by what the broker offers, and by the newest levels of the features.
    pub fn new(metadata: Arc<MetadataCache>, offered: Vec<String>) -> Self {
        Self { metadata, offered }
    }

    /// Whether there may be consumer groups of the new protocol (KIP-848).
    pub fn has_consumer(&self) -> bool {
        self.offers("consumer") && self.level(Feature::GroupVersion) >= 1
    }

    /// Whether there may be streams groups (KIP-1071).
    pub fn has_streams(&self) -> bool {
        self.offers("streams") && self.level(Feature::StreamsVersion) >= 1
    }

    /// Whether there may be share groups (KIP-932). As in Kafka 4.4, the feature alone decides.
    pub fn has_share(&self) -> bool {
        self.level(Feature::ShareVersion) >= 1
    }

    fn offers(&self, protocol: &str) -> bool {
        self.offered.iter().any(|offered| offered == protocol)
    }

    fn level(&self, feature: Feature) -> i16 {
        self.metadata.image().features.level(feature)
    }
}

pub(crate) fn unsupported_consumer_group_heartbeat() -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse { error_code: UNSUPPORTED, ..Default::default() }
}

pub(crate) fn unsupported_consumer_group_describe(
    group_ids: Vec<ByteString>,
) -> ConsumerGroupDescribeResponse {
    let group = |group_id| consumer_group_describe_response::DescribedGroup {
        group_id,
        error_code: UNSUPPORTED,
        ..Default::default()
    };
    ConsumerGroupDescribeResponse { groups: group_ids.into_iter().map(group).collect(), ..Default::default() }
}

pub(crate) fn unsupported_share_group_heartbeat() -> ShareGroupHeartbeatResponse {
    ShareGroupHeartbeatResponse { error_code: UNSUPPORTED, ..Default::default() }
}

pub(crate) fn unsupported_share_group_describe(group_ids: Vec<ByteString>) -> ShareGroupDescribeResponse {
    let group = |group_id| share_group_describe_response::DescribedGroup {
        group_id,
        error_code: UNSUPPORTED,
        ..Default::default()
    };
    ShareGroupDescribeResponse { groups: group_ids.into_iter().map(group).collect(), ..Default::default() }
}

pub(crate) fn unsupported_describe_share_group_offsets(
    request: DescribeShareGroupOffsetsRequest,
) -> DescribeShareGroupOffsetsResponse {
    let group = |group_id| describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup {
        group_id,
        error_code: UNSUPPORTED,
        ..Default::default()
    };
    let groups = request.groups.into_iter().map(|asked| group(asked.group_id)).collect();
    DescribeShareGroupOffsetsResponse { groups, ..Default::default() }
}

pub(crate) fn unsupported_alter_share_group_offsets() -> AlterShareGroupOffsetsResponse {
    AlterShareGroupOffsetsResponse { error_code: UNSUPPORTED, ..Default::default() }
}

pub(crate) fn unsupported_delete_share_group_offsets() -> DeleteShareGroupOffsetsResponse {
    DeleteShareGroupOffsetsResponse { error_code: UNSUPPORTED, ..Default::default() }
}

pub(crate) fn unsupported_streams_group_heartbeat() -> StreamsGroupHeartbeatResponse {
    StreamsGroupHeartbeatResponse { error_code: UNSUPPORTED, ..Default::default() }
}

pub(crate) fn unsupported_streams_group_describe(group_ids: Vec<ByteString>) -> StreamsGroupDescribeResponse {
    let group = |group_id| streams_group_describe_response::DescribedGroup {
        group_id,
        error_code: UNSUPPORTED,
        ..Default::default()
    };
    StreamsGroupDescribeResponse { groups: group_ids.into_iter().map(group).collect(), ..Default::default() }
}

pub(crate) fn unsupported_streams_group_topology_description_update()
-> StreamsGroupTopologyDescriptionUpdateResponse {
    StreamsGroupTopologyDescriptionUpdateResponse { error_code: UNSUPPORTED, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use ottla_metadata::MetadataDelta;
    use ottla_metadata::image::MetadataProvenance;
    use ottla_protocol::records::metadata::{FeatureLevelRecord, MetadataRecord};

    use super::*;

    fn protocols(offered: &[&str], features: &[(Feature, i16)]) -> GroupProtocols {
        let mut delta = MetadataDelta::new(Arc::default());
        for (feature, feature_level) in features {
            let name = feature.feature_name().into();
            let record = FeatureLevelRecord { name, feature_level: *feature_level, ..Default::default() };
            delta.replay(&MetadataRecord::FeatureLevelRecord(record)).unwrap();
        }
        let cache = Arc::new(MetadataCache::default());
        cache.publish(Arc::new(delta.apply(MetadataProvenance::EMPTY)), 1, true);
        GroupProtocols::new(cache, offered.iter().map(|name| (*name).to_owned()).collect())
    }

    const ALL: &[(Feature, i16)] =
        &[(Feature::GroupVersion, 1), (Feature::ShareVersion, 1), (Feature::StreamsVersion, 1)];

    #[test]
    fn a_protocol_needs_the_brokers_and_the_clusters_word() {
        let open = |protocols: GroupProtocols| {
            (protocols.has_consumer(), protocols.has_streams(), protocols.has_share())
        };
        assert_eq!(open(protocols(&["classic", "consumer", "streams"], ALL)), (true, true, true));
        assert_eq!(open(protocols(&["classic"], ALL)), (false, false, true));
        assert_eq!(open(protocols(&["classic", "consumer", "streams"], &[])), (false, false, false));
        assert_eq!(open(protocols(&["classic", "streams"], ALL)), (false, true, true));
    }

    #[test]
    fn each_group_is_told() {
        let asked = || vec!["a".into(), "b".into()];
        let codes: Vec<i16> = unsupported_consumer_group_describe(asked())
            .groups
            .iter()
            .map(|group| group.error_code)
            .collect();
        assert_eq!(codes, [UNSUPPORTED, UNSUPPORTED]);
        assert_eq!(unsupported_share_group_describe(asked()).groups.len(), 2);
        assert_eq!(&unsupported_streams_group_describe(asked()).groups[1].group_id[..], "b");
    }
}

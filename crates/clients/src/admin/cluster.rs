use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::internal_topics::CLUSTER_METADATA_TOPIC;
use ottla_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_protocol::messages::update_features_request::FeatureUpdateKey;
use ottla_protocol::messages::{
    ApiVersionsResponse, DescribeClusterRequest, DescribeQuorumRequest, DescribeQuorumResponse,
    UpdateFeaturesRequest,
};

use super::{Admin, Outcomes};
use crate::{ClientError, Node};

/// A cluster and its brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// The cluster's id.
    pub cluster_id: ByteString,
    /// The broker (or, asked of controllers, the controller) in charge.
    pub controller_id: Option<i32>,
    /// Its nodes in order.
    pub nodes: Vec<ClusterNode>,
}

/// A broker, and whether it may serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// Where it is.
    pub node: Node,
    /// Whether it is kept from serving (KIP-1073).
    pub is_fenced: bool,
}

/// What a cluster's features are and could be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeatureMetadata {
    /// Levels in force.
    pub finalized: BTreeMap<ByteString, FinalizedFeature>,
    /// Since which epoch; `None` when the broker does not say.
    pub finalized_epoch: Option<i64>,
    /// Lowest and highest level the broker asked supports.
    pub supported: BTreeMap<ByteString, (i16, i16)>,
}

/// The levels of a feature that are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalizedFeature {
    /// Lowest.
    pub min_level: i16,
    /// Highest.
    pub max_level: i16,
}

/// How dangerous a change of level may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum UpgradeType {
    /// Up only.
    Upgrade = 1,
    /// Down, if nothing is lost.
    SafeDowngrade = 2,
    /// Down, whatever is lost.
    UnsafeDowngrade = 3,
}

/// A change of a feature's level; 0 switches it off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Which.
    pub feature: String,
    /// To which level.
    pub max_version_level: i16,
    /// In which direction.
    pub upgrade_type: UpgradeType,
}

impl Admin {
    /// The cluster's brokers; those that are fenced too, if wanted.
    pub async fn describe_cluster(
        &self,
        include_fenced_brokers: bool,
    ) -> Result<ClusterDescription, ClientError> {
        const WITH_FENCED: i16 = 2;
        let response = self
            .client
            .retrying("DescribeCluster", || async {
                let connection = self.client.any().await?;
                let version = connection.version::<DescribeClusterRequest>()?;
                let request = DescribeClusterRequest {
                    include_fenced_brokers: include_fenced_brokers && version >= WITH_FENCED,
                    ..DescribeClusterRequest::default()
                };
                let patience = self.client.settings().request_timeout;
                let response = connection.send_version(&request, version, patience).await?;
                ClientError::check("cluster", response.error_code, response.error_message.as_deref())?;
                Ok(response)
            })
            .await?;
        let mut nodes: Vec<_> = response
            .brokers
            .into_iter()
            .map(|b| ClusterNode {
                node: Node { id: b.broker_id, host: b.host, port: b.port, rack: b.rack },
                is_fenced: b.is_fenced,
            })
            .collect();
        nodes.sort_by_key(|n| n.node.id);
        Ok(ClusterDescription {
            cluster_id: response.cluster_id,
            controller_id: (response.controller_id >= 0).then_some(response.controller_id),
            nodes,
        })
    }

    /// What each broker speaks.
    pub async fn api_versions(&self) -> Result<Outcomes<Node, ApiVersionsResponse>, ClientError> {
        let metadata = self.client.retrying("Metadata", || self.client.refresh_brokers()).await?;
        let mut outcomes = Vec::new();
        for node in metadata.brokers.values() {
            let connection = self.client.node(node.id).await;
            outcomes.push((node.clone(), connection.map(|c| c.api_versions().clone())));
        }
        Ok(outcomes)
    }

    /// The features in force and those supported by a broker (any, for `None`).
    pub async fn describe_features(&self, broker: Option<i32>) -> Result<FeatureMetadata, ClientError> {
        let request = ottla_protocol::messages::ApiVersionsRequest {
            client_software_name: "ottla".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        };
        let response = match broker {
            Some(id) => self.client.retrying("ApiVersions", || self.client.send_to(id, &request)).await?,
            None => self.client.send_any(&request).await?,
        };
        ClientError::check("features", response.error_code, None)?;
        let finalized = response.finalized_features.into_iter().map(|f| {
            (f.name, FinalizedFeature { min_level: f.min_version_level, max_level: f.max_version_level })
        });
        let supported =
            response.supported_features.into_iter().map(|f| (f.name, (f.min_version, f.max_version)));
        Ok(FeatureMetadata {
            finalized: finalized.collect(),
            finalized_epoch: (response.finalized_features_epoch >= 0)
                .then_some(response.finalized_features_epoch),
            supported: supported.collect(),
        })
    }

    /// Changes levels of features, or only says whether it could. A single refusal refuses all.
    pub async fn update_features(
        &self,
        updates: &[FeatureUpdate],
        validate_only: bool,
    ) -> Result<Outcomes<String, ()>, ClientError> {
        const ALL_OR_NOTHING: i16 = 2;
        let features = updates.iter().map(|u| FeatureUpdateKey {
            feature: u.feature.as_str().into(),
            max_version_level: u.max_version_level,
            upgrade_type: u.upgrade_type as i8,
            ..Default::default()
        });
        let request = UpdateFeaturesRequest {
            timeout_ms: self.timeout_ms(),
            feature_updates: features.collect(),
            validate_only,
            ..UpdateFeaturesRequest::default()
        };
        let connection = self.client.retrying("UpdateFeatures", || self.client.any()).await?;
        let version = connection.version::<UpdateFeaturesRequest>()?;
        let patience = self.client.settings().request_timeout;
        let response = connection.send_version(&request, version, patience).await?;
        let whole = ClientError::check("features", response.error_code, response.error_message.as_deref());
        if version >= ALL_OR_NOTHING || whole.is_err() {
            return Ok(updates.iter().map(|u| (u.feature.clone(), whole.clone())).collect());
        }
        let outcome = response.results.into_iter().map(|r| {
            let what = format!("feature {}", r.feature);
            (r.feature.to_string(), ClientError::check(what, r.error_code, r.error_message.as_deref()))
        });
        Ok(outcome.collect())
    }

    /// The state of the metadata quorum.
    pub async fn describe_metadata_quorum(&self) -> Result<DescribeQuorumResponse, ClientError> {
        let topic = TopicData {
            topic_name: CLUSTER_METADATA_TOPIC.into(),
            partitions: vec![PartitionData { partition_index: 0, ..Default::default() }],
            ..Default::default()
        };
        let request = DescribeQuorumRequest { topics: vec![topic], ..DescribeQuorumRequest::default() };
        self.client
            .retrying("DescribeQuorum", || async {
                let response = self.client.any().await?.send(&request).await?;
                ClientError::check(
                    "metadata quorum",
                    response.error_code,
                    response.error_message.as_deref(),
                )?;
                for p in response.topics.iter().flat_map(|t| &t.partitions) {
                    ClientError::check("metadata quorum", p.error_code, p.error_message.as_deref())?;
                }
                Ok(response)
            })
            .await
    }
}

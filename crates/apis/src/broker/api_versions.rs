//! ApiVersions (18), versions 0-5: what this broker speaks (KIP-35, KIP-511, KIP-584, KIP-1242).
//!
//! Errors: UNSUPPORTED_VERSION (answered in version 0, so that any client can read it),
//! INVALID_REQUEST for a nonsensical client software name, REBOOTSTRAP_REQUIRED for a client that
//! meant another cluster or node.

use ottla_common::ErrorCode;
use ottla_metadata::MetadataVersion;
use ottla_metadata::feature;
use ottla_metadata::image::{FeaturesImage, MetadataImage};
use ottla_protocol::ApiKey;
use ottla_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::table::API_TABLE;
use crate::{BrokerContext, Call};

/// Why the request gets no list, if it gets none.
pub fn refusal(
    broker: &BrokerContext,
    call: &Call,
    request: &ApiVersionsRequest,
) -> Option<ApiVersionsResponse> {
    if call.version >= 3
        && !(is_valid_name(&request.client_software_name) && is_valid_name(&request.client_software_version))
    {
        return Some(error(ErrorCode::InvalidRequest));
    }
    let meant = request.cluster_id.as_ref();
    if meant.is_some_and(|id| *id != broker.settings.cluster_id || request.node_id != broker.settings.node_id)
    {
        return Some(error(ErrorCode::RebootstrapRequired));
    }
    None
}

/// The list of this broker, in the version of the request.
pub fn list(broker: &BrokerContext, version: i16) -> ApiVersionsResponse {
    let unstable = broker.settings.unstable_api_versions_enable;
    let kraft_version = broker.metadata.kraft_version();
    let apis = API_TABLE.iter().map(|e| e.key);
    response(apis, version, unstable, &broker.metadata.image(), kraft_version)
}

/// The list of a node that serves these APIs, in the version of the request.
pub fn response(
    apis: impl Iterator<Item = ApiKey>,
    version: i16,
    unstable: bool,
    image: &MetadataImage,
    kraft_version: i16,
) -> ApiVersionsResponse {
    ApiVersionsResponse {
        api_keys: apis.map(|key| versions(key, unstable)).collect(),
        supported_features: supported_features(version),
        finalized_features_epoch: image.offset(),
        finalized_features: finalized_features(&image.features, kraft_version),
        ..Default::default()
    }
}

/// The answer to a version that this broker does not know: the range it does.
pub fn unsupported_version() -> ApiVersionsResponse {
    let api_keys = vec![versions(ApiKey::ApiVersions, false)];
    ApiVersionsResponse { api_keys, ..error(ErrorCode::UnsupportedVersion) }
}

fn error(code: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse { error_code: code.code(), ..Default::default() }
}

fn versions(key: ApiKey, unstable: bool) -> ApiVersion {
    ApiVersion {
        api_key: key as i16,
        // librdkafka takes a Produce minimum above 0 for a broker without compression (KAFKA-18659).
        min_version: if key == ApiKey::Produce { 0 } else { key.min_version() },
        max_version: if unstable { key.max_version() } else { key.latest_stable_version() },
        ..Default::default()
    }
}

fn finalized_features(features: &FeaturesImage, kraft_version: i16) -> Vec<FinalizedFeatureKey> {
    let metadata = features.metadata_version.map(|v| (MetadataVersion::FEATURE_NAME, v.feature_level()));
    let others = features.finalized_versions.iter().map(|(name, level)| (name.as_str(), *level));
    // The quorum keeps this one in control records of its own (KIP-853).
    let kraft = (kraft_version > 0).then_some(("kraft.version", kraft_version));
    let key = |(name, level): (&str, i16)| FinalizedFeatureKey {
        name: name.into(),
        max_version_level: level,
        min_version_level: level,
        ..Default::default()
    };
    metadata.into_iter().chain(kraft).chain(others).map(key).collect()
}

fn supported_features(version: i16) -> Vec<SupportedFeatureKey> {
    feature::supported_features()
        .into_iter()
        // Clients before version 4 take a minimum of 0 for a broken answer (KAFKA-17011).
        .filter(|(_, range)| version >= 4 || range.min > 0)
        .map(|(name, range)| SupportedFeatureKey {
            name: name.into(),
            min_version: range.min,
            max_version: range.max,
            ..Default::default()
        })
        .collect()
}

/// Letters, digits, and `-` or `.` inside (KIP-511).
fn is_valid_name(name: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

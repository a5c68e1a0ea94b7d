//! Finalized feature levels: what Kafka calls the feature control manager (KIP-584).

use std::collections::BTreeMap;

use ottla_common::ErrorCode;
use ottla_metadata::feature::supported_features;
use ottla_metadata::{ApiMessageAndVersion, Feature, MetadataVersion, VersionRange};
use ottla_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_protocol::messages::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};
use ottla_protocol::records::metadata::FeatureLevelRecord;

use crate::quorum_controller::QuorumController;
use crate::result::{ApiError, ControllerResult};

const NOT_SUPPORTED: VersionRange = VersionRange { min: 0, max: 0 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UpgradeType {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

impl QuorumController {
    /// Decides an UpdateFeatures request: all of its updates or none.
    pub fn update_features(
        &self,
        request: &UpdateFeaturesRequest,
        request_version: i16,
    ) -> ControllerResult<UpdateFeaturesResponse> {
        let mut response = UpdateFeaturesResponse { error_message: None, ..Default::default() };
        match self.feature_records(request, request_version) {
            Ok(records) => {
                if request_version <= 1 {
                    response.results = request.feature_updates.iter().map(succeeded).collect();
                }
                let records = if request.validate_only { Vec::new() } else { records };
                ControllerResult::atomic_of(records, response)
            }
            Err(error) => {
                let message = error.message.unwrap_or_default();
                response.error_code = error.code.code();
                response.error_message = Some(
                    format!(
                        "The update failed for all features since the following feature had an error: \
                         {message}"
                    )
                    .into(),
                );
                ControllerResult::of(Vec::new(), response)
            }
        }
    }

    fn feature_records(
        &self,
        request: &UpdateFeaturesRequest,
        request_version: i16,
    ) -> Result<Vec<ApiMessageAndVersion>, ApiError> {
        let mut proposed = self.finalized_features();
        for update in &request.feature_updates {
            proposed.insert(update.feature.to_string(), update.max_version_level);
        }
        let mut records = Vec::new();
        for update in &request.feature_updates {
            let enables_elr = &*update.feature == Feature::EligibleLeaderReplicasVersion.feature_name()
                && update.max_version_level > 0;
            let record = self.feature_record(update, request_version, &proposed)?;
            if enables_elr {
                records.splice(0..0, self.elr_safety_records());
            }
            records.extend(record);
        }
        Ok(records)
    }

    fn feature_record(
        &self,
        update: &FeatureUpdateKey,
        request_version: i16,
        proposed: &BTreeMap<String, i16>,
    ) -> Result<Option<ApiMessageAndVersion>, ApiError> {
        let (name, level) = (&*update.feature, update.max_version_level);
        let invalid = |message: &str| {
            let message = format!("Invalid update version {level} for feature {name}. {message}");
            ApiError::new(ErrorCode::InvalidUpdateVersion, message)
        };
        let upgrade_type = upgrade_type(update, request_version)
            .ok_or_else(|| invalid("The controller does not support the given upgrade type."))?;
        let current = self.finalized_features().get(name).copied().unwrap_or(0);
        if level < 0 {
            return Err(invalid("A feature version cannot be less than 0."));
        }
        if let Some(reason) = self.reason_not_supported(name, level) {
            return Err(invalid(&reason));
        }
        if level < current && upgrade_type == UpgradeType::Upgrade {
            return Err(invalid(
                "Can't downgrade the version of this feature without setting the upgrade type to either \
                 safe or unsafe downgrade.",
            ));
        }
        if level > current && upgrade_type != UpgradeType::Upgrade {
            return Err(invalid("Can't downgrade to a newer version."));
        }
        if name == MetadataVersion::FEATURE_NAME {
            self.check_metadata_version(level, upgrade_type)?;
        } else if name == Feature::KRaftVersion.feature_name() {
            return match level == current {
                true => Ok(None),
                // Raising it is a matter of the raft log's control records.
                false => Err(invalid("Can't change the version of this feature.")),
            };
        } else if let Some(feature) = Feature::from_name(name) {
            feature.validate_level(level, proposed).map_err(|reason| invalid(&reason))?;
        }
        let record = FeatureLevelRecord { name: name.into(), feature_level: level, ..Default::default() };
        Ok(Some(ApiMessageAndVersion::new(record, 0)))
    }

    fn check_metadata_version(&self, level: i16, upgrade_type: UpgradeType) -> Result<(), ApiError> {
        let invalid = |message| ApiError::new(ErrorCode::InvalidUpdateVersion, message);
        let current = self.state().metadata_version();
        let new = MetadataVersion::from_feature_level(level).ok_or_else(|| {
            invalid(format!(
                "Invalid metadata.version {level}. Valid versions are from {} to {}.",
                MetadataVersion::MINIMUM.feature_level(),
                MetadataVersion::LATEST_PRODUCTION.feature_level()
            ))
        })?;
        if new < current && current.check_if_metadata_changed(new) {
            let reason = match upgrade_type {
                UpgradeType::UnsafeDowngrade => "Unsafe metadata downgrade is not supported in this version.",
                _ => {
                    "Refusing to perform the requested downgrade because it might delete metadata information."
                }
            };
            return Err(invalid(format!(
                "Unsupported metadata.version downgrade from {} to {level}. {reason}",
                current.feature_level()
            )));
        }
        Ok(())
    }

    /// Why some node could not work at this level.
    fn reason_not_supported(&self, name: &str, level: i16) -> Option<String> {
        let own = supported_features().get(name).copied().unwrap_or(NOT_SUPPORTED);
        let node = self.config.node_id;
        let mut reason = reason_outside(own, level, &format!("Local controller {node}"));
        for broker in self.image().cluster.brokers.values() {
            let range = broker.supported_features.get(name).copied().unwrap_or(NOT_SUPPORTED);
            reason = reason.or_else(|| reason_outside(range, level, &format!("Broker {}", broker.id)));
        }
        if !self.state().metadata_version().is_controller_registration_supported() {
            return reason;
        }
        let controllers = &self.image().cluster.controllers;
        for controller in controllers.values().filter(|controller| controller.id != node) {
            let range = controller.supported_features.get(name).copied().unwrap_or(NOT_SUPPORTED);
            reason =
                reason.or_else(|| reason_outside(range, level, &format!("Controller {}", controller.id)));
        }
        let voters = self.config.quorum_node_ids.iter();
        let missing = voters.copied().find(|id| *id != node && !controllers.contains_key(id));
        reason.or_else(|| {
            missing.map(|id| format!("controller {id} has not registered, and may not support this feature"))
        })
    }
}

fn upgrade_type(update: &FeatureUpdateKey, request_version: i16) -> Option<UpgradeType> {
    match (request_version, update.upgrade_type) {
        // Version 0 has only a flag.
        (0, _) if update.allow_downgrade => Some(UpgradeType::SafeDowngrade),
        (0, _) | (_, 1) => Some(UpgradeType::Upgrade),
        (_, 2) => Some(UpgradeType::SafeDowngrade),
        (_, 3) => Some(UpgradeType::UnsafeDowngrade),
        _ => None,
    }
}

fn reason_outside(range: VersionRange, level: i16, who: &str) -> Option<String> {
    match range {
        range if range.contains(level) => None,
        VersionRange { max: 0, .. } => Some(format!("{who} does not support this feature.")),
        VersionRange { min, max } if min == max => Some(format!("{who} only supports versions {min}")),
        VersionRange { min, max } => Some(format!("{who} only supports versions {min}-{max}")),
    }
}

fn succeeded(update: &FeatureUpdateKey) -> UpdatableFeatureResult {
    UpdatableFeatureResult { feature: update.feature.clone(), error_message: None, ..Default::default() }
}

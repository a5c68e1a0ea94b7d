//! Brokers and controllers register and leave: what Kafka calls the cluster control manager.

use std::collections::{BTreeMap, HashSet};

use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::{ApiMessageAndVersion, Feature, MetadataVersion, VersionRange};
use ottla_protocol::messages::broker_registration_request::BrokerRegistrationRequest;
use ottla_protocol::messages::controller_registration_request::ControllerRegistrationRequest;
use ottla_protocol::records::metadata::UnregisterControllerRecord;
use ottla_protocol::records::metadata::register_broker_record::{
    BrokerEndpoint, BrokerFeature, RegisterBrokerRecord,
};
use ottla_protocol::records::metadata::register_controller_record::{
    ControllerEndpoint, ControllerFeature, RegisterControllerRecord,
};

use crate::quorum_controller::QuorumController;
use crate::result::{ApiError, ControllerResult};

/// Ids below this are reserved and name no directory.
const FIRST_UNRESERVED_DIRECTORY_ID: u128 = 100;

impl QuorumController {
    /// Decides a BrokerRegistration request; the answer is the broker's epoch. From version 3 on brokers
    /// say which epoch they had when they last stopped, which tells clean stops from crashes (KIP-966).
    pub fn register_broker(
        &self,
        request: &BrokerRegistrationRequest,
        request_version: i16,
        now_ms: i64,
    ) -> Result<ControllerResult<i64>, ApiError> {
        self.validate_registration(request, now_ms)?;
        let level = self.state().metadata_version();
        let features = self.registration_features(request)?;
        let id = request.broker_id;
        let existing = self.image().cluster.broker(id);
        let same_process = existing.filter(|broker| broker.incarnation_id == request.incarnation_id);
        let mut records = Vec::new();
        if same_process.is_none() {
            let stored_epoch = existing.map_or(-2, |broker| broker.epoch);
            let is_clean = request_version >= 3 && stored_epoch == request.previous_broker_epoch;
            self.handle_broker_shutdown(id, is_clean, &mut records);
        }
        // A broker's epoch is the offset at which its registration is written, as Kafka has it: one that
        // cannot have been given before.
        let broker_epoch = same_process.map_or(self.next_write_offset(), |broker| broker.epoch);
        let directories = level.is_directory_assignment_supported();
        let record = RegisterBrokerRecord {
            broker_id: id,
            is_migrating_zk_broker: false,
            incarnation_id: request.incarnation_id,
            broker_epoch,
            end_points: request
                .listeners
                .iter()
                .map(|l| BrokerEndpoint {
                    name: (&*l.name).into(),
                    host: (&*l.host).into(),
                    port: l.port,
                    security_protocol: l.security_protocol,
                    ..Default::default()
                })
                .collect(),
            features,
            rack: request.rack.as_ref().map(|rack| (&**rack).into()),
            fenced: same_process.is_none_or(|broker| broker.fenced),
            in_controlled_shutdown: same_process.is_some_and(|broker| broker.in_controlled_shutdown),
            log_dirs: if directories { request.log_dirs.clone() } else { Vec::new() },
            ..Default::default()
        };
        records.push(ApiMessageAndVersion::new(record, level.register_broker_record_version()));
        Ok(ControllerResult::of(records, broker_epoch))
    }

    /// Decides an UnregisterBroker request.
    pub fn unregister_broker(&self, broker_id: i32) -> Result<ControllerResult<()>, ApiError> {
        let Some(broker) = self.image().cluster.broker(broker_id) else {
            let message = format!("Broker ID {broker_id} is not currently registered");
            return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
        };
        let mut records = Vec::new();
        self.handle_broker_unregistered(broker_id, broker.epoch, &mut records);
        Ok(ControllerResult::of(records, ()))
    }

    /// Decides a ControllerRegistration request (KIP-919).
    pub fn register_controller(
        &self,
        request: &ControllerRegistrationRequest,
    ) -> Result<ControllerResult<()>, ApiError> {
        if !self.state().metadata_version().is_controller_registration_supported() {
            let message = "The current MetadataVersion is too old to support controller registrations.";
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
        let record = RegisterControllerRecord {
            controller_id: request.controller_id,
            incarnation_id: request.incarnation_id,
            zk_migration_ready: false,
            end_points: request
                .listeners
                .iter()
                .map(|l| ControllerEndpoint {
                    name: (&*l.name).into(),
                    host: (&*l.host).into(),
                    port: l.port,
                    security_protocol: l.security_protocol,
                    ..Default::default()
                })
                .collect(),
            features: request
                .features
                .iter()
                .map(|f| ControllerFeature {
                    name: (&*f.name).into(),
                    min_supported_version: f.min_supported_version,
                    max_supported_version: f.max_supported_version,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        Ok(ControllerResult::atomic_of(vec![ApiMessageAndVersion::new(record, 0)], ()))
    }

    /// Decides an UnregisterController request.
    pub fn unregister_controller(&self, controller_id: i32) -> Result<ControllerResult<()>, ApiError> {
        if !self.state().metadata_version().is_controller_unregistration_supported() {
            let message = "The current MetadataVersion is too old to support controller unregistration.";
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
        if !self.image().cluster.controllers.contains_key(&controller_id) {
            let message = format!("Controller ID {controller_id} is not currently registered.");
            return Err(ApiError::new(ErrorCode::ControllerIdNotRegistered, message));
        }
        let record = UnregisterControllerRecord { controller_id, ..Default::default() };
        Ok(ControllerResult::atomic_of(vec![ApiMessageAndVersion::new(record, 0)], ()))
    }

    fn validate_registration(
        &self,
        request: &BrokerRegistrationRequest,
        now_ms: i64,
    ) -> Result<(), ApiError> {
        let id = request.broker_id;
        if *request.cluster_id != *self.config.cluster_id {
            let message = format!(
                "Expected cluster ID {}, but got cluster ID {}",
                self.config.cluster_id, request.cluster_id
            );
            return Err(ApiError::new(ErrorCode::InconsistentClusterId, message));
        }
        if let Some(existing) = self.image().cluster.broker(id) {
            let is_own = self.config.has_co_located_broker && id == self.config.node_id;
            let is_alive = self.heartbeats.has_valid_session((id, existing.epoch), now_ms);
            if is_alive && !is_own && existing.incarnation_id != request.incarnation_id {
                let message = "Another broker is registered with that broker id. If the broker was recently \
                               restarted this should self-resolve once the heartbeat manager expires the \
                               broker's session.";
                return Err(ApiError::new(ErrorCode::DuplicateBrokerRegistration, message));
            }
        }
        if request.is_migrating_zk_broker {
            let message = "Controller does not support registering ZK brokers.";
            return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
        }
        if self.state().metadata_version().is_directory_assignment_supported() {
            self.validate_directories(id, &request.log_dirs)?;
        }
        Ok(())
    }

    fn validate_directories(&self, id: i32, directories: &[Uuid]) -> Result<(), ApiError> {
        let invalid = |message: &str| Err(ApiError::new(ErrorCode::InvalidRegistration, message));
        if directories.is_empty() {
            return invalid("No directories specified in request");
        }
        if directories.iter().any(|dir| dir.as_u128() < FIRST_UNRESERVED_DIRECTORY_ID) {
            return invalid("Reserved directory ID in request");
        }
        let distinct: HashSet<&Uuid> = directories.iter().collect();
        if distinct.len() != directories.len() {
            return invalid("Duplicate directory ID in request");
        }
        for other in self.image().cluster.brokers.values().filter(|broker| broker.id != id) {
            if let Some(dir) = other.directories.iter().find(|dir| distinct.contains(dir)) {
                let other = other.id;
                return invalid(&format!("Broker {other} is already registered with directory {dir}"));
            }
        }
        Ok(())
    }

    /// A broker that cannot work at a finalized level must stay out. Features it does not name, it supports
    /// at level 0 only.
    fn registration_features(
        &self,
        request: &BrokerRegistrationRequest,
    ) -> Result<Vec<BrokerFeature>, ApiError> {
        let finalized = self.finalized_features();
        let mut unnamed: BTreeMap<&str, i16> = finalized.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        let mut features = Vec::with_capacity(request.features.len());
        let mut names_metadata_version = false;
        for feature in &request.features {
            let range =
                VersionRange { min: feature.min_supported_version, max: feature.max_supported_version };
            let level = unnamed.remove(&*feature.name).unwrap_or(0);
            check_supports(&feature.name, range, level)?;
            names_metadata_version |= &*feature.name == MetadataVersion::FEATURE_NAME;
            features.push(BrokerFeature {
                name: (&*feature.name).into(),
                min_supported_version: range.min,
                max_supported_version: range.max,
                ..Default::default()
            });
        }
        if !names_metadata_version {
            let message = "Request features do not contain 'metadata.version'";
            return Err(ApiError::new(ErrorCode::InvalidRegistration, message));
        }
        for (name, level) in unnamed.into_iter().filter(|(_, level)| *level != 0) {
            check_supports(name, VersionRange { min: 0, max: 0 }, level)?;
        }
        Ok(features)
    }

    /// Every finalized feature level by name, `metadata.version` and `kraft.version` among them.
    pub fn finalized_features(&self) -> BTreeMap<String, i16> {
        let features = &self.image().features;
        let mut levels: BTreeMap<String, i16> =
            features.finalized_versions.iter().map(|(name, level)| (name.clone(), *level)).collect();
        let level = self.state().metadata_version().feature_level();
        levels.insert(MetadataVersion::FEATURE_NAME.to_owned(), level);
        if self.kraft_version() > 0 {
            levels.insert(Feature::KRaftVersion.feature_name().to_owned(), self.kraft_version());
        }
        levels
    }
}

fn check_supports(name: &str, range: VersionRange, level: i16) -> Result<(), ApiError> {
    if range.contains(level) {
        return Ok(());
    }
    let message = format!(
        "Unable to register because the broker does not support finalized version {level} of {name}. The \
         broker wants a version between {} and {}, inclusive.",
        range.min, range.max
    );
    Err(ApiError::new(ErrorCode::UnsupportedVersion, message))
}

//! Brokers and controllers as they registered themselves.

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_common::Uuid;
use ottla_protocol::records::metadata::broker_registration_change_record::BrokerRegistrationChangeRecord;
use ottla_protocol::records::metadata::register_broker_record::{
    BrokerEndpoint, BrokerFeature, RegisterBrokerRecord,
};
use ottla_protocol::records::metadata::register_controller_record::{
    ControllerEndpoint, ControllerFeature, RegisterControllerRecord,
};

use crate::feature::{MetadataVersion, VersionRange};
use crate::record::ApiMessageAndVersion;

/// Where a listener of a node can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub name: String,
    /// Host to connect to.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// Number of the security protocol (0 = PLAINTEXT, 1 = SSL, 2 = SASL_PLAINTEXT, 3 = SASL_SSL).
    pub security_protocol: i16,
}

/// A broker in the metadata log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokerRegistration {
    /// The broker's id.
    pub id: i32,
    /// Offset of its RegisterBrokerRecord: names this life of the broker.
    pub epoch: i64,
    /// Drawn by the broker at each start.
    pub incarnation_id: Uuid,
    /// Its listeners, in the order it named them.
    pub listeners: Vec<Endpoint>,
    /// Feature levels it can work with.
    pub supported_features: BTreeMap<String, VersionRange>,
    /// Its rack.
    pub rack: Option<String>,
    /// Fenced brokers lead nothing and are no choice for new replicas.
    pub fenced: bool,
    /// It asked to be relieved of its leaderships.
    pub in_controlled_shutdown: bool,
    /// It came from a ZooKeeper cluster (kept as found, never set).
    pub is_migrating_zk_broker: bool,
    /// Its online log directories, sorted.
    pub directories: Vec<Uuid>,
    /// Its directories that take no new partitions (KIP-1066); `None` when it never said.
    pub cordoned_directories: Option<Vec<Uuid>>,
}

/// A BrokerRegistrationChangeRecord with a number that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("broker registration change of broker {broker_id} has {field} = {value}")]
pub struct InvalidRegistrationChange {
    broker_id: i32,
    field: &'static str,
    value: i8,
}

fn sorted(mut ids: Vec<Uuid>) -> Vec<Uuid> {
    ids.sort();
    ids
}

impl BrokerRegistration {
    /// The registration a RegisterBrokerRecord describes.
    pub fn from_record(record: &RegisterBrokerRecord) -> Self {
        Self {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            listeners: record
                .end_points
                .iter()
                .map(|e| Endpoint {
                    name: e.name.to_string(),
                    host: e.host.to_string(),
                    port: e.port,
                    security_protocol: e.security_protocol,
                })
                .collect(),
            supported_features: record
                .features
                .iter()
                .map(|f| {
                    let range = VersionRange { min: f.min_supported_version, max: f.max_supported_version };
                    (f.name.to_string(), range)
                })
                .collect(),
            rack: record.rack.as_ref().map(ToString::to_string),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            is_migrating_zk_broker: record.is_migrating_zk_broker,
            directories: sorted(record.log_dirs.clone()),
            cordoned_directories: record.cordoned_log_dirs.clone().map(sorted),
        }
    }

    /// The record that brings this registration about. What the version cannot say is left out.
    pub fn to_record(&self, metadata_version: MetadataVersion) -> ApiMessageAndVersion {
        let directories = metadata_version.is_directory_assignment_supported();
        let cordoned = metadata_version.is_cordoned_log_dirs_supported();
        let record = RegisterBrokerRecord {
            broker_id: self.id,
            is_migrating_zk_broker: self.is_migrating_zk_broker && metadata_version.is_migration_supported(),
            incarnation_id: self.incarnation_id,
            broker_epoch: self.epoch,
            end_points: self
                .listeners
                .iter()
                .map(|e| BrokerEndpoint {
                    name: e.name.as_str().into(),
                    host: e.host.as_str().into(),
                    port: e.port,
                    security_protocol: e.security_protocol,
                    ..Default::default()
                })
                .collect(),
            features: self
                .supported_features
                .iter()
                .map(|(name, range)| BrokerFeature {
                    name: name.as_str().into(),
                    min_supported_version: range.min,
                    max_supported_version: range.max,
                    ..Default::default()
                })
                .collect(),
            rack: self.rack.as_deref().map(ByteString::from),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: if directories { self.directories.clone() } else { Vec::new() },
            cordoned_log_dirs: self.cordoned_directories.clone().filter(|_| cordoned),
            ..Default::default()
        };
        ApiMessageAndVersion::new(record, metadata_version.register_broker_record_version())
    }

    /// Replays a change of this registration.
    pub fn merge(
        &mut self,
        change: &BrokerRegistrationChangeRecord,
    ) -> Result<(), InvalidRegistrationChange> {
        let invalid = |field, value| InvalidRegistrationChange { broker_id: change.broker_id, field, value };
        match change.fenced {
            0 => {}
            1 => self.fenced = true,
            -1 => self.fenced = false,
            value => return Err(invalid("fenced", value)),
        }
        match change.in_controlled_shutdown {
            0 => {}
            1 => self.in_controlled_shutdown = true,
            value => return Err(invalid("inControlledShutdown", value)),
        }
        if !change.log_dirs.is_empty() {
            self.directories = sorted(change.log_dirs.clone());
        }
        if let Some(cordoned) = &change.cordoned_log_dirs {
            self.cordoned_directories = Some(sorted(cordoned.clone()));
        }
        Ok(())
    }

    /// Whether the broker may lead and be in an ISR.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Whether new replicas may go to some directory of the broker. Brokers that never named a directory
    /// count as able.
    pub fn has_uncordoned_dirs(&self) -> bool {
        let Some(cordoned) = &self.cordoned_directories else {
            return true;
        };
        self.directories.is_empty() || self.directories.iter().any(|dir| !cordoned.contains(dir))
    }

    /// Whether the directory is online. Reserved ids are given the benefit of the doubt, save "lost";
    /// so is every directory of a broker that reports none.
    pub fn has_online_dir(&self, dir: Uuid) -> bool {
        if dir == Uuid::UNASSIGNED_DIR || dir == Uuid::MIGRATING_DIR {
            return true;
        }
        if dir == Uuid::LOST_DIR {
            return false;
        }
        self.directories.is_empty() || self.directories.contains(&dir)
    }

    /// The listener with this name.
    pub fn listener(&self, name: &str) -> Option<&Endpoint> {
        self.listeners.iter().find(|endpoint| endpoint.name == name)
    }
}

/// A controller in the metadata log (KIP-919).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControllerRegistration {
    /// The controller's id.
    pub id: i32,
    /// Drawn by the controller at each start.
    pub incarnation_id: Uuid,
    /// Kept as found, never set.
    pub zk_migration_ready: bool,
    /// Its listeners, in the order it named them.
    pub listeners: Vec<Endpoint>,
    /// Feature levels it can work with.
    pub supported_features: BTreeMap<String, VersionRange>,
}

impl ControllerRegistration {
    /// The registration a RegisterControllerRecord describes.
    pub fn from_record(record: &RegisterControllerRecord) -> Self {
        Self {
            id: record.controller_id,
            incarnation_id: record.incarnation_id,
            zk_migration_ready: record.zk_migration_ready,
            listeners: record
                .end_points
                .iter()
                .map(|e| Endpoint {
                    name: e.name.to_string(),
                    host: e.host.to_string(),
                    port: e.port,
                    security_protocol: e.security_protocol,
                })
                .collect(),
            supported_features: record
                .features
                .iter()
                .map(|f| {
                    let range = VersionRange { min: f.min_supported_version, max: f.max_supported_version };
                    (f.name.to_string(), range)
                })
                .collect(),
        }
    }

    /// The record that brings this registration about.
    pub fn to_record(&self) -> ApiMessageAndVersion {
        let record = RegisterControllerRecord {
            controller_id: self.id,
            incarnation_id: self.incarnation_id,
            zk_migration_ready: self.zk_migration_ready,
            end_points: self
                .listeners
                .iter()
                .map(|e| ControllerEndpoint {
                    name: e.name.as_str().into(),
                    host: e.host.as_str().into(),
                    port: e.port,
                    security_protocol: e.security_protocol,
                    ..Default::default()
                })
                .collect(),
            features: self
                .supported_features
                .iter()
                .map(|(name, range)| ControllerFeature {
                    name: name.as_str().into(),
                    min_supported_version: range.min,
                    max_supported_version: range.max,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        ApiMessageAndVersion::new(record, 0)
    }
}

//! The controller says where it can be reached and what it supports (KIP-919).

use std::time::Duration;

use ottla_common::{ErrorCode, Uuid};
use ottla_metadata::{Endpoint, feature};
use ottla_protocol::messages::controller_registration_request::{
    ControllerRegistrationRequest, Feature, Listener,
};

use super::handle::QuorumControllerHandle;

const LOGGER: &str = "org.apache.kafka.controller.ControllerRegistrationManager";
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// The registration of this process: one incarnation, one set of listeners.
pub fn controller_registration(
    controller_id: i32,
    incarnation_id: Uuid,
    endpoints: &[Endpoint],
) -> ControllerRegistrationRequest {
    let listener = |endpoint: &Endpoint| Listener {
        name: endpoint.name.as_str().into(),
        host: endpoint.host.as_str().into(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
        ..Default::default()
    };
    let feature = |(name, range): (String, feature::VersionRange)| Feature {
        name: name.into(),
        min_supported_version: range.min,
        max_supported_version: range.max,
        ..Default::default()
    };
    ControllerRegistrationRequest {
        controller_id,
        incarnation_id,
        zk_migration_ready: false,
        listeners: endpoints.iter().map(listener).collect(),
        features: feature::supported_features().into_iter().map(feature).collect(),
        ..Default::default()
    }
}

/// Registers with the controller of this process as soon as it leads, and again and again until the records
/// are committed. Ends without registering when the cluster's `metadata.version` knows no such record.
pub async fn register_controller(handle: QuorumControllerHandle, request: ControllerRegistrationRequest) {
    loop {
        handle.wait_until_active().await;
        match handle.register_controller(request.clone()).await {
            Ok(()) => {
                tracing::info!(logger = LOGGER, "Controller {} registered", request.controller_id);
                return;
            }
            Err(error) if error.code == ErrorCode::UnsupportedVersion => return,
            Err(_) if handle.is_stopped() => return,
            Err(error) => tracing::debug!(logger = LOGGER, "Registration failed, trying again: {error}"),
        }
        tokio::time::sleep(RETRY_BACKOFF).await;
    }
}

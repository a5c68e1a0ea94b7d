use ottla_common::ErrorCode;
use ottla_metadata::{BootstrapMetadata, MetadataVersion};
use ottla_protocol::messages::controller_registration_request::ControllerRegistrationRequest;
use ottla_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};

use crate::test_support::*;

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

fn update(controller: &mut TestController, updates: &[(&str, i16, i8)]) -> (ErrorCode, String) {
    let feature_updates = updates.iter().map(|(feature, level, upgrade_type)| FeatureUpdateKey {
        feature: (*feature).into(),
        max_version_level: *level,
        upgrade_type: *upgrade_type,
        ..Default::default()
    });
    let request = UpdateFeaturesRequest { feature_updates: feature_updates.collect(), ..Default::default() };
    let result = controller.kernel.update_features(&request, 2);
    let response = controller.write(result);
    let prefix = "The update failed for all features since the following feature had an error: ";
    let message = response.error_message.unwrap_or_default().replace(prefix, "");
    (ErrorCode::from_code(response.error_code), message)
}

fn at(version: &str) -> TestController {
    let level = MetadataVersion::from_version_string(version).unwrap();
    TestController::with_bootstrap(BootstrapMetadata::with_defaults(level, "a test"))
}

#[test]
fn levels_go_up() {
    let mut controller = at("3.9").with_brokers(1);
    assert_eq!(controller.kernel.state().image().cluster.brokers.size(), 1);
    assert_eq!(update(&mut controller, &[("metadata.version", 33, UPGRADE)]).0, ErrorCode::None);
    assert_eq!(controller.kernel.state().metadata_version(), MetadataVersion::LATEST_PRODUCTION);
    let before = controller.log.len();
    assert_eq!(
        update(&mut controller, &[("eligible.leader.replicas.version", 1, UPGRADE)]).0,
        ErrorCode::None
    );
    let kinds: Vec<&str> = controller.log[before..].iter().map(|r| r.message.name()).collect();
    assert_eq!(kinds, ["ConfigRecord", "FeatureLevelRecord"]);
    assert!(controller.kernel.state().image().features.is_elr_enabled());
}

#[test]
fn refusals_are_kafkas() {
    let mut controller = at("4.0").with_brokers(1);
    let mut refused = |updates: &[(&str, i16, i8)]| {
        let (code, message) = update(&mut controller, updates);
        assert_eq!(code, ErrorCode::InvalidUpdateVersion);
        message
    };
    assert_eq!(
        refused(&[("nonsense", 1, UPGRADE)]),
        "Invalid update version 1 for feature nonsense. Local controller 3000 does not support this feature."
    );
    assert_eq!(
        refused(&[("group.version", 5, UPGRADE)]),
        "Invalid update version 5 for feature group.version. Local controller 3000 only supports versions 0-1"
    );
    assert_eq!(
        refused(&[("group.version", 0, UPGRADE)]),
        "Invalid update version 0 for feature group.version. Can't downgrade the version of this feature \
         without setting the upgrade type to either safe or unsafe downgrade."
    );
    assert!(refused(&[("group.version", 1, 0)]).contains("does not support the given upgrade type"));
    assert!(
        refused(&[("metadata.version", 26, SAFE_DOWNGRADE)]).contains("Can't downgrade to a newer version")
    );
    assert_eq!(
        refused(&[("metadata.version", 22, SAFE_DOWNGRADE)]),
        "Unsupported metadata.version downgrade from 25 to 22. Refusing to perform the requested downgrade \
         because it might delete metadata information."
    );
    assert!(refused(&[("metadata.version", 22, UNSAFE_DOWNGRADE)]).contains("Unsafe metadata downgrade"));
}

#[test]
fn lossless_downgrades_are_done() {
    let mut controller = at("4.0").with_brokers(1);
    assert_eq!(update(&mut controller, &[("metadata.version", 23, SAFE_DOWNGRADE)]).0, ErrorCode::None);
    assert_eq!(update(&mut controller, &[("group.version", 0, SAFE_DOWNGRADE)]).0, ErrorCode::None);
    assert!(!controller.kernel.finalized_features().contains_key("group.version"));
}

#[test]
fn controllers_register_from_3_7_on() {
    let mut controller = at("3.7-IV0");
    let request = ControllerRegistrationRequest { controller_id: 3000, ..Default::default() };
    let result = controller.kernel.register_controller(&request).unwrap();
    controller.write(result);
    assert_eq!(controller.kernel.state().image().cluster.controllers.size(), 1);
    assert_eq!(
        controller.kernel.unregister_controller(3000).unwrap_err().code,
        ErrorCode::UnsupportedVersion
    );
    let old = at("3.6");
    assert_eq!(old.kernel.register_controller(&request).unwrap_err().code, ErrorCode::UnsupportedVersion);
}

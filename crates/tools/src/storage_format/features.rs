//! `version-mapping` and `feature-dependencies`: which levels of features belong together.

use std::collections::BTreeMap;

use ottla_metadata::{Feature, MetadataVersion};

use crate::error::{Result, failed};
use crate::output::outln;

/// The release of this text.
pub(super) fn parse_release_version(text: &str) -> Result<MetadataVersion> {
    match MetadataVersion::from_version_string(text) {
        Some(version) => Ok(version),
        None => {
            let all: Vec<String> = MetadataVersion::all().map(|version| version.to_string()).collect();
            failed(format!(
                "Unknown metadata.version '{text}'. Supported metadata.version are: {}",
                all.join(", ")
            ))
        }
    }
}

pub(super) fn version_mapping(release_version: Option<&str>) -> Result {
    let text = release_version.map_or_else(|| MetadataVersion::LATEST_PRODUCTION.to_string(), str::to_owned);
    let version = parse_release_version(&text)?;
    outln!("metadata.version={} ({text})", version.feature_level());
    for feature in Feature::ALL {
        outln!("{}={}", feature.feature_name(), feature.default_level(version));
    }
    Ok(())
}

pub(super) fn feature_dependencies(features: &[String]) -> Result {
    for argument in features {
        let Some((name, version)) = argument.split_once('=') else {
            return failed(format!(
                "Invalid feature format: {argument}. Expected format: 'feature=version' (e.g. \
                 'group.version=1')"
            ));
        };
        let (name, version) = (name.trim(), version.trim());
        let Ok(level) = version.parse::<i16>() else {
            return failed(format!("Invalid version format: {version} for feature {name}"));
        };
        one_feature(name, level)?;
    }
    Ok(())
}

fn one_feature(name: &str, level: i16) -> Result {
    if name == MetadataVersion::FEATURE_NAME {
        return match MetadataVersion::from_feature_level(level) {
            Some(version) => {
                outln!("{name}={level} ({version}) has no dependencies.");
                Ok(())
            }
            None => failed(format!("Unknown metadata.version {level}")),
        };
    }
    let Some(feature) = Feature::from_name(name) else { return failed(format!("Unknown feature: {name}")) };
    if !feature.supported_range().contains(level) {
        return failed(format!("Feature level {level} is not supported for feature {name}"));
    }
    match needed_metadata_version(feature, level) {
        None => outln!("{name}={level} has no dependencies."),
        Some(needed) => {
            outln!("{name}={level} requires:");
            outln!("    {}={} ({needed})", MetadataVersion::FEATURE_NAME, needed.feature_level());
        }
    }
    Ok(())
}

/// The lowest `metadata.version` at which the level is allowed, if not every one allows it.
fn needed_metadata_version(feature: Feature, level: i16) -> Option<MetadataVersion> {
    let allowed = |version: &MetadataVersion| {
        let levels = BTreeMap::from([(MetadataVersion::FEATURE_NAME.to_owned(), version.feature_level())]);
        feature.validate_level(level, &levels).is_ok()
    };
    MetadataVersion::all().find(allowed).filter(|version| *version > MetadataVersion::MINIMUM)
}

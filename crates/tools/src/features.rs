//! `features`: what the cluster as a whole has agreed to do, as `kafka-features.sh` does.

use std::collections::BTreeMap;

use ottla_clients::admin::{FeatureUpdate, UpgradeType};
use ottla_metadata::{Feature, MetadataVersion};

use crate::cluster::{Cluster, refusal};
use crate::error::{Result, ToolError, failed};
use crate::options::{Options, Parser, command, flag, value};
use crate::output::{errln, outln};

pub(crate) const PARSER: Parser = Parser {
    purpose: "kafka-features [--bootstrap-server S | --bootstrap-controller S] [--command-config F] \
              {describe,upgrade,downgrade,disable,version-mapping,feature-dependencies}",
    options: &[
        value("bootstrap-server", "servers", "Brokers to connect to."),
        value("bootstrap-controller", "servers", "Controllers to connect to."),
        value("command-config", "file", "Property file with settings of the client."),
        value("node-id", "id", "describe: ask this node."),
        value("metadata", "version", "DEPRECATED: the metadata.version to go to, such as 4.4-IV2."),
        value("release-version", "version", "The release to bring all features to."),
        value("feature", "feature=level", "A feature and its level; may be repeated."),
        flag("unsafe", "Go down even where metadata may be lost."),
        flag("dry-run", "Only check the change."),
    ],
};

const COMMANDS: &[&str] =
    &["describe", "upgrade", "downgrade", "disable", "version-mapping", "feature-dependencies"];

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args).map_err(|error| match error {
        ToolError::Usage(message) if !message.starts_with("kafka-features") => {
            ToolError::Arguments(format!("Command line error: {message}. Type --help for help."))
        }
        other => other,
    })?;
    let Some(word) = options.rest.first() else {
        return Err(command_line_error("too few arguments"));
    };
    let command = command(COMMANDS, word).map_err(|what| command_line_error(&what))?;
    let downgrade =
        if options.has("unsafe") { UpgradeType::UnsafeDowngrade } else { UpgradeType::SafeDowngrade };
    match command {
        "version-mapping" => version_mapping(&options),
        "feature-dependencies" => feature_dependencies(&options),
        _ if !options.has_any(&["bootstrap-server", "bootstrap-controller"]) => {
            Err(command_line_error("You must specify either --bootstrap-controller or --bootstrap-server."))
        }
        "describe" => describe(&options),
        "upgrade" => change("upgrade", UpgradeType::Upgrade, &options),
        "downgrade" => change("downgrade", downgrade, &options),
        _ => disable(downgrade, &options),
    }
}

fn command_line_error(text: &str) -> ToolError {
    ToolError::Arguments(format!("Command line error: {text}. Type --help for help."))
}

fn level_text(feature: &str, level: i16) -> String {
    if feature != MetadataVersion::FEATURE_NAME {
        return level.to_string();
    }
    MetadataVersion::from_feature_level(level).map_or_else(|| format!("UNKNOWN {level}"), |v| v.to_string())
}

fn describe(options: &Options) -> Result {
    let node: Option<i32> = options.number("node-id")?;
    if let Some(id) = node.filter(|id| *id < 0) {
        return failed(format!("Invalid node id {id}: must be non-negative."));
    }
    let cluster = Cluster::from_options(options)?;
    let features = cluster.wait(cluster.admin.describe_features(node))?;
    let epoch = features.finalized_epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string());
    for (name, (min, max)) in &features.supported {
        let finalized = features.finalized.get(name).map_or(0, |finalized| finalized.max_level);
        outln!(
            "Feature: {name:<40}  SupportedMinVersion: {:<15}  SupportedMaxVersion: {:<15}  \
             FinalizedVersionLevel: {:<15}  Epoch: {epoch}",
            level_text(name, *min),
            level_text(name, *max),
            level_text(name, finalized),
        );
    }
    Ok(())
}

fn metadata_version(text: &str) -> Result<MetadataVersion> {
    match MetadataVersion::from_version_string(text) {
        Some(version) => Ok(version),
        None => failed(format!(
            "Unknown metadata.version '{text}'. Supported metadata.version are: {}",
            MetadataVersion::all().map(|version| version.to_string()).collect::<Vec<_>>().join(", ")
        )),
    }
}

fn name_and_level(text: &str) -> Result<(&str, i16)> {
    let Some((name, level)) = text.split_once('=') else {
        return failed(format!("Can't parse feature=level string {text}: equals sign not found."));
    };
    match level.trim().parse() {
        Ok(number) => Ok((name.trim(), number)),
        Err(_) => failed(format!(
            "Can't parse feature=level string {text}: unable to parse {} as a short.",
            level.trim()
        )),
    }
}

fn change(verb: &str, kind: UpgradeType, options: &Options) -> Result {
    let mut updates = BTreeMap::new();
    match options.one("release-version")? {
        Some(_) if options.has_any(&["metadata", "feature"]) => {
            return failed("Can not specify `release-version` with other feature flags.");
        }
        Some(release) => {
            let version = metadata_version(release)?;
            updates.insert(MetadataVersion::FEATURE_NAME.to_owned(), version.feature_level());
            for feature in Feature::ALL {
                let level = feature.default_level(version);
                if level > 0 || !matches!(kind, UpgradeType::Upgrade) {
                    updates.insert(feature.feature_name().to_owned(), level);
                }
            }
        }
        None => {
            if let Some(version) = options.one("metadata")? {
                outln!(" `metadata` flag is deprecated and may be removed in a future release.");
                let level = metadata_version(version)?.feature_level();
                updates.insert(MetadataVersion::FEATURE_NAME.to_owned(), level);
            }
            for text in options.many("feature") {
                let (name, level) = name_and_level(text)?;
                if updates.insert(name.to_owned(), level).is_some() {
                    return failed(format!("Feature {name} was specified more than once."));
                }
            }
        }
    }
    update(verb, kind, &updates, options)
}

fn disable(kind: UpgradeType, options: &Options) -> Result {
    let mut updates = BTreeMap::new();
    for name in options.many("feature") {
        if updates.insert(name.clone(), 0).is_some() {
            return failed(format!("Feature {name} was specified more than once."));
        }
    }
    update("disable", kind, &updates, options)
}

fn update(verb: &str, kind: UpgradeType, updates: &BTreeMap<String, i16>, options: &Options) -> Result {
    if updates.is_empty() {
        return failed(format!("You must specify at least one feature to {verb}"));
    }
    let dry_run = options.has("dry-run");
    let update = |(name, level): (&String, &i16)| FeatureUpdate {
        feature: name.clone(),
        max_version_level: *level,
        upgrade_type: kind,
    };
    let wanted: Vec<_> = updates.iter().map(update).collect();
    let cluster = Cluster::from_options(options)?;
    let outcomes = cluster.wait(cluster.admin.update_features(&wanted, dry_run))?;
    let mut failures = 0;
    for (update, (_, outcome)) in wanted.iter().zip(outcomes) {
        let (name, level) = (&update.feature, update.max_version_level);
        let disabling = verb == "disable";
        match outcome.map_err(refusal) {
            Err(error) => {
                failures += 1;
                let helper = if dry_run { "Can not" } else { "Could not" };
                let target =
                    if disabling { format!("disable {name}") } else { format!("{verb} {name} to {level}") };
                outln!("{helper} {target}. {error}");
            }
            Ok(()) => {
                let done = if dry_run { "can be" } else { "was" };
                let what = if disabling { "disabled.".to_owned() } else { format!("{verb}d to {level}.") };
                outln!("{name} {done} {what}");
            }
        }
    }
    if failures > 0 {
        errln!("{failures} out of {} operation(s) failed.", updates.len());
        return Err(ToolError::Exit(1));
    }
    Ok(())
}

fn version_mapping(options: &Options) -> Result {
    let latest = MetadataVersion::LATEST_PRODUCTION.to_string();
    let release = options.one("release-version")?.unwrap_or(&latest);
    let version = metadata_version(release)?;
    outln!("metadata.version={} ({release})", version.feature_level());
    for feature in features_by_name() {
        outln!("{}={}", feature.feature_name(), feature.default_level(version));
    }
    Ok(())
}

fn features_by_name() -> impl Iterator<Item = Feature> {
    Feature::ALL.iter().copied()
}

/// The oldest `metadata.version` on which a feature can have this level.
fn needed_version(feature: Feature, level: i16) -> Option<MetadataVersion> {
    MetadataVersion::all().find(|version| {
        let levels = BTreeMap::from([(MetadataVersion::FEATURE_NAME.to_owned(), version.feature_level())]);
        feature.validate_level(level, &levels).is_ok()
    })
}

fn feature_dependencies(options: &Options) -> Result {
    if !options.has("feature") {
        return Err(command_line_error("argument --feature is required"));
    }
    for text in options.many("feature") {
        let (name, level) = name_and_level(text)?;
        if name == MetadataVersion::FEATURE_NAME {
            match MetadataVersion::from_feature_level(level) {
                Some(version) => outln!("{name}={level} ({version}) has no dependencies."),
                None => return failed(format!("Unknown metadata.version {level}")),
            }
            continue;
        }
        let Some(feature) = Feature::from_name(name) else {
            return failed(format!("Unknown feature: {name}"));
        };
        if !feature.supported_range().contains(level) {
            return failed(format!("No feature:{name} with feature level {level}"));
        }
        match needed_version(feature, level).filter(|needed| *needed > MetadataVersion::MINIMUM) {
            None => outln!("{name}={level} has no dependencies."),
            Some(needed) => {
                outln!("{name}={level} requires:");
                outln!("    {}={} ({needed})", MetadataVersion::FEATURE_NAME, needed.feature_level());
            }
        }
    }
    Ok(())
}

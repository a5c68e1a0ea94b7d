//! The configuration of a tool's producer or consumer, out of files, properties and options.

use std::collections::BTreeMap;

use ottla_clients::ClientConfig;
use ottla_common::config::parse_properties;
use tokio::runtime::{Builder, Runtime};

use crate::error::{Result, ToolError, failed, usage};
use crate::options::Options;
use crate::output::outln;

/// Names of the options that configure a client: the new ones and the deprecated ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    pub(crate) property: &'static str,
    pub(crate) old_property: &'static str,
    pub(crate) file: &'static str,
    pub(crate) old_file: &'static str,
    /// How the tool begins its notes about deprecated names: `Warning:` or `Option`.
    pub(crate) note: &'static str,
}

/// Keys and values of a file.
pub(crate) type Properties = BTreeMap<String, String>;

/// Reads a file of properties, if there is one.
pub(crate) fn read_properties(path: Option<&str>) -> Result<Properties> {
    let Some(path) = path else { return Ok(Properties::new()) };
    let wrong = |error: &dyn std::fmt::Display| ToolError::Failed(format!("{path}: {error}"));
    let bytes = std::fs::read(path).map_err(|error| wrong(&error))?;
    parse_properties(&bytes).map_err(|error| wrong(&error))
}

/// Reads the properties file, then the properties, which are stronger.
pub(crate) fn read(options: &Options, names: Names) -> Result<ClientConfig> {
    let (property, file) = (
        pick(options, names.property, names.old_property, names.note)?,
        pick(options, names.file, names.old_file, names.note)?,
    );
    let mut config = ClientConfig::from_iter(read_properties(options.one(file)?)?);
    config.extend(pairs(options.many(property))?);
    Ok(config)
}

/// The name under which an option was given. A deprecated name is noted on standard output, as in Kafka.
pub(crate) fn pick(
    options: &Options,
    new: &'static str,
    old: &'static str,
    note: &str,
) -> Result<&'static str> {
    match (options.has(new), options.has(old)) {
        (true, true) => usage(format!("Options --{old} and --{new} cannot be specified together.")),
        (false, true) => {
            outln!(
                "{note} --{old} is deprecated and will be removed in a future version. Use --{new} instead."
            );
            Ok(old)
        }
        _ => Ok(new),
    }
}

/// Splits `key=value` words; a missing value is empty.
pub(crate) fn pairs(words: &[String]) -> Result<Vec<(String, String)>> {
    let split = |word: &String| match word.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None if word.is_empty() => usage("a property must be of the form key=value"),
        None => Ok((word.clone(), String::new())),
    };
    words.iter().map(split).collect()
}

/// Sets a key to an option's value: the option if given, else what is set already, else the default.
pub(crate) fn merge(config: &mut ClientConfig, key: &str, options: &Options, option: &str) -> Result {
    let wanted = options.has(option) || config.get(key).is_none();
    if let Some(value) = options.one(option)?.filter(|_| wanted) {
        config.set(key, value);
    }
    Ok(())
}

/// A runtime for a client: one thread for the tool, one for the client's own work.
pub(crate) fn runtime() -> Result<Runtime> {
    match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => Ok(runtime),
        Err(error) => failed(format!("cannot start: {error}")),
    }
}

impl From<ottla_clients::ClientError> for ToolError {
    fn from(error: ottla_clients::ClientError) -> Self {
        Self::Failed(error.to_string())
    }
}

use super::{ConfigError, ConfigValue};

/// What values a key allows. One variant per kind of check that Kafka's own definitions make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validator {
    /// Everything that can be read.
    Any,
    /// A number from here on.
    AtLeast(f64),
    /// A number from the first to the second, both allowed.
    Between(f64, f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, in any case.
    OneOfIgnoreCase(&'static [&'static str]),
    /// A list without empty entries; duplicates are dropped when it is read.
    List {
        /// The entries that are allowed; no entry means all.
        allowed: &'static [&'static str],
        /// Whether an empty list is allowed.
        empty: bool,
        /// Whether no list at all is allowed.
        null: bool,
    },
    /// Text with at least one character, or none set.
    NonEmpty,
    /// Anything but "not set".
    NonNull,
    /// A gzip level: 1 to 9, or -1 for the library's own choice.
    GzipLevel,
    /// `*`, or `partition:broker` pairs.
    ThrottledReplicas,
    /// `id@host:port` entries.
    QuorumVoters,
    /// `host:port` entries.
    HostPorts,
    /// `latest`, `earliest` or `by_duration:` and an ISO-8601 duration (KIP-1106).
    OffsetReset,
}

impl Validator {
    /// Checks a value that has been read.
    pub fn ensure_valid(&self, name: &str, value: &ConfigValue) -> Result<(), ConfigError> {
        let fail = |reason: String| Err(ConfigError::value(name, &value.to_string(), reason));
        match self {
            Self::Any => Ok(()),
            Self::AtLeast(min) => check_range(name, value, *min, f64::INFINITY),
            Self::Between(min, max) => check_range(name, value, *min, *max),
            Self::OneOf(allowed) => match value {
                ConfigValue::Text(text) if allowed.contains(&text.as_str()) => Ok(()),
                _ => fail(format!("String must be one of: {}", allowed.join(", "))),
            },
            Self::OneOfIgnoreCase(allowed) => match value {
                ConfigValue::Text(text) if allowed.iter().any(|a| a.eq_ignore_ascii_case(text)) => Ok(()),
                _ => fail(format!("String must be one of (case insensitive): {}", allowed.join(", "))),
            },
            Self::List { allowed, empty, null } => check_list(name, value, allowed, *empty, *null),
            Self::NonEmpty => match value {
                ConfigValue::Text(text) if text.is_empty() => fail("String must be non-empty".to_owned()),
                _ => Ok(()),
            },
            Self::NonNull => match value {
                ConfigValue::Null => fail("entry must be non null".to_owned()),
                _ => Ok(()),
            },
            Self::GzipLevel => match value {
                ConfigValue::Int(-1 | 1..=9) => Ok(()),
                _ => fail("Value must be between 1 and 9 or equal to -1".to_owned()),
            },
            Self::ThrottledReplicas => check_throttled(name, value),
            Self::QuorumVoters => items(value).iter().try_for_each(|entry| check_voter(name, entry)),
            Self::HostPorts => items(value).iter().try_for_each(|entry| check_host_port(name, entry)),
            Self::OffsetReset => check_offset_reset(name, value),
        }
    }

    /// What is allowed, as documentation shows it.
    pub fn describe(&self) -> String {
        match self {
            Self::Any => String::new(),
            Self::AtLeast(min) => format!("[{min},...]"),
            Self::Between(min, max) => format!("[{min},...,{max}]"),
            Self::OneOf(allowed) => format!("[{}]", allowed.join(", ")),
            Self::OneOfIgnoreCase(allowed) => format!("(case insensitive) [{}]", allowed.join(", ")),
            Self::List { allowed: [], .. } => String::new(),
            Self::List { allowed, .. } => format!("[{}]", allowed.join(", ")),
            Self::NonEmpty => "non-empty string".to_owned(),
            Self::NonNull => "non-null string".to_owned(),
            Self::GzipLevel => "[1,...,9] or -1".to_owned(),
            Self::ThrottledReplicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned(),
            Self::QuorumVoters | Self::HostPorts => "non-empty list".to_owned(),
            Self::OffsetReset => "[latest, earliest, by_duration:PnDTnHnMn.nS]".to_owned(),
        }
    }
}

fn items(value: &ConfigValue) -> &[String] {
    match value {
        ConfigValue::List(items) => items,
        _ => &[],
    }
}

fn check_range(name: &str, value: &ConfigValue, min: f64, max: f64) -> Result<(), ConfigError> {
    let number = match value {
        ConfigValue::Short(v) => f64::from(*v),
        ConfigValue::Int(v) => f64::from(*v),
        ConfigValue::Long(v) => *v as f64,
        ConfigValue::Double(v) => *v,
        _ => return Err(ConfigError::value(name, &value.to_string(), "Value must be non-null")),
    };
    if number < min {
        return Err(ConfigError::value(
            name,
            &value.to_string(),
            format_args!("Value must be at least {min}"),
        ));
    }
    if number > max {
        let reason = format_args!("Value must be no more than {max}").to_string();
        return Err(ConfigError::value(name, &value.to_string(), reason));
    }
    Ok(())
}

fn check_list(
    name: &str,
    value: &ConfigValue,
    allowed: &[&str],
    empty: bool,
    null: bool,
) -> Result<(), ConfigError> {
    let ConfigValue::List(items) = value else {
        return if null {
            Ok(())
        } else {
            Err(ConfigError::new(format!("Configuration '{name}' values must not be null.")))
        };
    };
    if items.is_empty() && !empty {
        let valid = if allowed.is_empty() {
            "any non-empty value".to_owned()
        } else {
            format!("[{}]", allowed.join(", "))
        };
        return Err(ConfigError::new(format!(
            "Configuration '{name}' must not be empty. Valid values include: {valid}"
        )));
    }
    for item in items {
        if item.is_empty() {
            return Err(ConfigError::new(format!("Configuration '{name}' values must not be empty.")));
        }
        if !allowed.is_empty() && !allowed.contains(&item.as_str()) {
            let reason = format!("String must be one of: {}", allowed.join(", "));
            return Err(ConfigError::value(name, item, reason));
        }
    }
    Ok(())
}

fn check_throttled(name: &str, value: &ConfigValue) -> Result<(), ConfigError> {
    let items = items(value);
    let is_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let is_pair = |s: &str| s.split_once(':').is_some_and(|(p, b)| is_digits(p) && is_digits(b));
    if items.iter().all(|s| s.is_empty() || is_pair(s)) || items.concat() == "*" {
        return Ok(());
    }
    let reason = format!(
        "{name} must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    );
    Err(ConfigError::value(name, &format!("[{}]", items.join(", ")), reason))
}

fn check_voter(name: &str, entry: &str) -> Result<(), ConfigError> {
    const FORM: &str = "Each entry should be in the form `{id}@{host}:{port}`.";
    let Some((id, address)) = entry.split_once('@').filter(|(_, address)| !address.contains('@')) else {
        return Err(ConfigError::new(format!("Invalid configuration value for {name}. {FORM}")));
    };
    if id.parse::<i32>().is_err() {
        return Err(ConfigError::new(format!("Failed to parse voter ID as an integer from {id}.")));
    }
    let (host, port) = split_host_port(address);
    if host.is_none() {
        return Err(ConfigError::new(format!(
            "Failed to parse host name from entry {entry} for the configuration {name}. {FORM}"
        )));
    }
    if port.is_none() {
        return Err(ConfigError::new(format!(
            "Failed to parse host port from entry {entry} for the configuration {name}. {FORM}"
        )));
    }
    Ok(())
}

fn check_host_port(name: &str, entry: &str) -> Result<(), ConfigError> {
    let (host, port) = split_host_port(entry);
    let missing = match (host, port) {
        (Some(_), Some(_)) => return Ok(()),
        (None, _) => "name",
        (_, None) => "port",
    };
    Err(ConfigError::new(format!(
        "Failed to parse host {missing} from {entry} for the configuration {name}. \
         Each entry should be in the form \"{{host}}:{{port}}\""
    )))
}

fn split_host_port(address: &str) -> (Option<&str>, Option<u16>) {
    let Some((host, port)) = address.rsplit_once(':') else {
        return (None, None);
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:%~".contains(c);
    let host = (!bare.is_empty() && bare.chars().all(allowed)).then_some(bare);
    (host, port.parse().ok())
}

fn check_offset_reset(name: &str, value: &ConfigValue) -> Result<(), ConfigError> {
    let text = value.to_string();
    let duration = |d: &str| d.len() > 2 && d.starts_with('P') && !d.starts_with("P-");
    match text.split_once(':') {
        None if matches!(text.as_str(), "latest" | "earliest") => Ok(()),
        Some(("by_duration", d)) if duration(d) => Ok(()),
        Some(("by_duration", _)) => {
            Err(ConfigError::value(name, &text, "Invalid duration provided in by_duration strategy"))
        }
        _ => Err(ConfigError::value(
            name,
            &text,
            "the value must be 'earliest', 'latest', or of the format 'by_duration:<PnDTnHnMn.nS.>'.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(validator: Validator, value: ConfigValue) -> String {
        validator.ensure_valid("k", &value).map_or_else(|e| e.to_string(), |()| String::new())
    }

    #[test]
    fn ranges_say_the_bound() {
        let zero = ConfigValue::Int(0);
        assert_eq!(
            message(Validator::AtLeast(1.0), zero),
            "Invalid value 0 for configuration k: Value must be at least 1"
        );
        let ten = ConfigValue::Double(0.7);
        assert_eq!(
            message(Validator::Between(0.0, 0.5), ten),
            "Invalid value 0.7 for configuration k: Value must be no more than 0.5"
        );
    }

    #[test]
    fn lists_refuse_strangers_and_blanks() {
        let v = Validator::List { allowed: &["compact", "delete"], empty: true, null: false };
        assert_eq!(message(v, ConfigValue::List(vec![])), "");
        assert!(message(v, ConfigValue::List(vec!["x".into()])).contains("must be one of: compact, delete"));
        assert_eq!(
            message(v, ConfigValue::List(vec![String::new()])),
            "Configuration 'k' values must not be empty."
        );
    }

    #[test]
    fn voters_and_hosts() {
        let list = |s: &str| ConfigValue::List(s.split(',').map(Into::into).collect());
        assert_eq!(message(Validator::QuorumVoters, list("1@localhost:9093,2@[::1]:9093")), "");
        assert!(message(Validator::QuorumVoters, list("1:localhost")).contains("{id}@{host}:{port}"));
        assert!(message(Validator::HostPorts, list("localhost")).contains("{host}:{port}"));
    }

    #[test]
    fn throttles() {
        let list = |s: &str| ConfigValue::List(s.split(',').map(Into::into).collect());
        assert_eq!(message(Validator::ThrottledReplicas, list("*")), "");
        assert_eq!(message(Validator::ThrottledReplicas, list("0:1,1:2")), "");
        assert!(!message(Validator::ThrottledReplicas, list("0-1")).is_empty());
    }
}

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::ClientError;

/// A client's properties, under Kafka's names and with Kafka's values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientConfig(BTreeMap<String, String>);

impl ClientConfig {
    /// No property but `bootstrap.servers`.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self::default().with("bootstrap.servers", bootstrap_servers)
    }

    /// The same with one property set.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets a property.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// Sets a property unless it is set already.
    pub fn set_default(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.entry(key.into()).or_insert_with(|| value.into());
    }

    /// A property as it was set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.trim())
    }

    /// A number or another value that is read from text.
    pub fn parse<T: FromStr>(&self, key: &str, default: T, expected: &str) -> Result<T, ClientError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.parse().map_err(|_| invalid(key, value, expected))
    }

    /// A number within bounds.
    pub fn number(&self, key: &str, default: i64, min: i64, max: i64) -> Result<i64, ClientError> {
        let expected = format!("a number from {min} to {max} is expected");
        let number = self.parse(key, default, &expected)?;
        if (min..=max).contains(&number) {
            return Ok(number);
        }
        Err(invalid(key, &number.to_string(), &expected))
    }

    /// A 32-bit number that is not negative.
    pub fn int(&self, key: &str, default: i32) -> Result<i32, ClientError> {
        Ok(self.number(key, i64::from(default), 0, i64::from(i32::MAX))? as i32)
    }

    /// A duration in milliseconds.
    pub fn millis(&self, key: &str, default: u64) -> Result<Duration, ClientError> {
        let millis = self.number(key, default as i64, 0, i64::from(i32::MAX))?;
        Ok(Duration::from_millis(millis as u64))
    }

    /// `true` or `false`.
    pub fn bool(&self, key: &str, default: bool) -> Result<bool, ClientError> {
        match self.get(key).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(invalid(key, other, "true or false is expected")),
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)], default: T) -> Result<T, ClientError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            invalid(key, value, &format!("one of {} is expected", names.join(", ")))
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for ClientConfig {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(properties: I) -> Self {
        Self(properties.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for ClientConfig {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, properties: I) {
        self.0.extend(properties.into_iter().map(|(k, v)| (k.into(), v.into())));
    }
}

pub(crate) fn invalid(key: &str, value: &str, expected: &str) -> ClientError {
    ClientError::Config { key: key.to_owned(), value: value.to_owned(), expected: expected.to_owned() }
}

/// The settings every client has.
#[derive(Debug, Clone)]
pub struct CommonSettings {
    /// `bootstrap.servers` or `bootstrap.controllers`, as `host:port`.
    pub bootstrap_servers: Vec<String>,
    /// Whether they are controllers, which know nodes but no topics (KIP-919).
    pub to_controllers: bool,
    /// `client.id`.
    pub client_id: String,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`.
    pub api_timeout: Duration,
    /// `socket.connection.setup.timeout.ms`.
    pub connection_setup_timeout: Duration,
    /// `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`.
    pub retry_backoff_max: Duration,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
}

impl CommonSettings {
    /// Reads and checks the properties.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let protocol = config.get("security.protocol").unwrap_or("PLAINTEXT");
        if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
            return Err(invalid("security.protocol", protocol, "only PLAINTEXT is available yet"));
        }
        Ok(Self {
            bootstrap_servers: bootstrap_servers(config)?,
            to_controllers: config.get(CONTROLLERS).is_some(),
            client_id: config.get("client.id").unwrap_or_default().to_owned(),
            request_timeout: config.millis("request.timeout.ms", 30_000)?,
            api_timeout: config.millis("default.api.timeout.ms", 60_000)?,
            connection_setup_timeout: config.millis("socket.connection.setup.timeout.ms", 10_000)?,
            retry_backoff: config.millis("retry.backoff.ms", 100)?,
            retry_backoff_max: config.millis("retry.backoff.max.ms", 1_000)?,
            metadata_max_age: config.millis("metadata.max.age.ms", 300_000)?,
        })
    }

    /// How long to wait before attempt number `attempt`, the first repetition being 0 (KIP-580).
    pub(crate) fn backoff(&self, attempt: u32) -> Duration {
        self.retry_backoff.saturating_mul(1 << attempt.min(16)).min(self.retry_backoff_max)
    }
}

const CONTROLLERS: &str = "bootstrap.controllers";
const SERVERS: &str = "bootstrap.servers";

fn bootstrap_servers(config: &ClientConfig) -> Result<Vec<String>, ClientError> {
    let key = if config.get(CONTROLLERS).is_some() { CONTROLLERS } else { SERVERS };
    let value = config.get(key).unwrap_or_default();
    let servers: Vec<_> =
        value.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
    if servers.is_empty() {
        return Err(invalid(key, value, "a list of host:port is expected, such as localhost:9092"));
    }
    for server in &servers {
        let port = server.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(invalid(key, server, "host:port is expected, such as localhost:9092"));
        }
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_values_name_key_value_and_remedy() {
        let config = ClientConfig::new("localhost").with("request.timeout.ms", "soon");
        let error = CommonSettings::new(&config).unwrap_err().to_string();
        assert_eq!(
            error,
            "bootstrap.servers=localhost cannot be used: host:port is expected, such as localhost:9092"
        );
        let error = config.millis("request.timeout.ms", 1).unwrap_err().to_string();
        assert!(error.contains("request.timeout.ms=soon") && error.contains("a number"), "{error}");
    }

    #[test]
    fn defaults_are_kafkas() {
        let settings = CommonSettings::new(&ClientConfig::new("a:1, [::1]:2")).unwrap();
        assert_eq!(settings.bootstrap_servers, ["a:1", "[::1]:2"]);
        assert_eq!(settings.request_timeout.as_millis(), 30_000);
        assert_eq!(settings.backoff(0).as_millis(), 100);
        assert_eq!(settings.backoff(9).as_millis(), 1_000);
    }
}

//! Listeners: where a node listens and what it tells clients.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ottla_common::config::ConfigError;

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum SecurityProtocol {
    /// Neither encryption nor login.
    Plaintext = 0,
    /// TLS.
    Ssl = 1,
    /// SASL without encryption.
    SaslPlaintext = 2,
    /// SASL over TLS.
    SaslSsl = 3,
}

impl SecurityProtocol {
    /// The protocol of this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];
        all.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }

    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// The number in records and requests.
    pub const fn id(self) -> i16 {
        self as i16
    }
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name, in capitals.
    pub listener_name: String,
    /// What is spoken there.
    pub security_protocol: SecurityProtocol,
    /// Host; `None` means every interface.
    pub host: Option<String>,
    /// Port; 0 lets the system choose.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or_default();
        if host.contains(':') {
            write!(f, "{}://[{host}]:{}", self.listener_name, self.port)
        } else {
            write!(f, "{}://{host}:{}", self.listener_name, self.port)
        }
    }
}

/// Which protocol each listener name speaks.
pub type ProtocolMap = BTreeMap<String, SecurityProtocol>;

/// Reads `NAME:PROTOCOL` pairs.
pub(super) fn parse_protocol_map(text: &str) -> Result<ProtocolMap, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let mut map = ProtocolMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((name, protocol)) = pair.rsplit_once(':') else {
            return Err(ConfigError::new(format!(
                "Error parsing configuration property '{KEY}': `{pair}` is not of the form NAME:PROTOCOL"
            )));
        };
        let protocol = protocol.trim();
        let Some(protocol) = SecurityProtocol::from_name(protocol) else {
            return Err(ConfigError::new(format!("Invalid security protocol `{protocol}` defined in {KEY}")));
        };
        map.insert(name.trim().to_uppercase(), protocol);
    }
    Ok(map)
}

/// Reads a list of listeners and checks that they do not stand in each other's way.
pub(super) fn parse_endpoints(
    entries: &[String],
    protocols: &ProtocolMap,
    distinct_ports: bool,
) -> Result<Vec<Endpoint>, ConfigError> {
    let read = || {
        let endpoints: Vec<_> =
            entries.iter().map(|entry| parse_endpoint(entry, protocols)).collect::<Result<_, _>>()?;
        check_names(&endpoints, entries)?;
        if distinct_ports {
            check_ports(&endpoints, entries)?;
        }
        Ok(endpoints)
    };
    read().map_err(|reason: String| {
        ConfigError::new(format!("Error creating broker listeners from '{}': {reason}", show(entries)))
    })
}

/// The name in front of `://`, in capitals.
pub(super) fn listener_name_of(entry: &str) -> Option<String> {
    entry.split_once(':').map(|(name, _)| name.to_uppercase())
}

fn parse_endpoint(entry: &str, protocols: &ProtocolMap) -> Result<Endpoint, String> {
    let unreadable = || format!("Unable to parse {entry} to a broker endpoint");
    let (name, address) = entry.rsplit_once("://").ok_or_else(unreadable)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(unreadable)?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    if !host.chars().all(|c| c.is_ascii_alphanumeric() || "-%._:".contains(c)) {
        return Err(unreadable());
    }
    let port = port.parse::<u16>().map_err(|_| format!("{}: the port must be 0 to 65535", unreadable()))?;
    let listener_name = name.to_uppercase();
    let security_protocol = *protocols
        .get(&listener_name)
        .ok_or_else(|| format!("No security protocol defined for listener {listener_name}"))?;
    let host = (!host.is_empty()).then(|| host.to_owned());
    Ok(Endpoint { listener_name, security_protocol, host, port })
}

fn check_names(endpoints: &[Endpoint], entries: &[String]) -> Result<(), String> {
    let names: std::collections::BTreeSet<_> = endpoints.iter().map(|e| &e.listener_name).collect();
    if names.len() == endpoints.len() {
        return Ok(());
    }
    Err(format!("Each listener must have a different name, listeners: {}", show(entries)))
}

/// Two listeners may share a port when one is an IPv4 and the other an IPv6 address.
fn check_ports(endpoints: &[Endpoint], entries: &[String]) -> Result<(), String> {
    for (i, first) in endpoints.iter().enumerate().filter(|(_, e)| e.port != 0) {
        let same: Vec<_> = endpoints[i + 1..].iter().filter(|other| other.port == first.port).collect();
        let [second] = same.as_slice() else {
            if same.is_empty() {
                continue;
            }
            return Err(format!(
                "Each listener must have a different port unless exactly one listener has an IPv4 address \
                 and the other IPv6 address, listeners: {}, port: {}",
                show(entries),
                first.port
            ));
        };
        let ip = |e: &Endpoint| e.host.as_deref().map_or((false, false), kind_of_ip);
        match (ip(first), ip(second)) {
            ((true, _), (_, true)) | ((_, true), (true, _)) => {}
            ((false, false), _) | (_, (false, false)) => {
                return Err(format!(
                    "Each listener must have a different port, listeners: {}",
                    show(entries)
                ));
            }
            _ => {
                return Err(format!(
                    "If you have two listeners on the same port then one needs to be IPv4 and the other IPv6, \
                     listeners: {}, port: {}",
                    show(entries),
                    first.port
                ));
            }
        }
    }
    Ok(())
}

fn kind_of_ip(host: &str) -> (bool, bool) {
    (host.parse::<Ipv4Addr>().is_ok(), host.parse::<Ipv6Addr>().is_ok())
}

fn show(entries: &[String]) -> String {
    format!("[{}]", entries.join(", "))
}

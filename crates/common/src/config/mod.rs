//! Configuration definitions: what keys there are, how their text is read, what is allowed.
//!
//! A key is one row ([`ConfigKey`]): name, type, default, bounds, importance, update mode and a sentence of
//! documentation. Rows stand beside the code that reads them; a [`ConfigDef`] is a list of tables of rows.
//! Parser, validation, `DescribeConfigs` and the tools all come from the row, so nothing drifts.

mod def;
mod describe;
mod error;
mod key;
mod nearest;
mod properties;
mod validator;
mod value;

pub use def::{ConfigDef, ConfigValues, FromConfig};
pub use describe::{ConfigEntry, ConfigLayer, ConfigLayers, ConfigSource, ConfigSynonym};
pub use error::ConfigError;
pub use key::{ConfigKey, ConfigType, Importance, UpdateMode, key, required};
pub use nearest::nearest;
pub use properties::{PropertiesError, parse_properties};
pub use validator::Validator;
pub use value::{ConfigValue, java_double};

/// What a file of rows brings into scope, so that a row reads as a row.
pub mod rows {
    pub use super::ConfigType::{Boolean, Class, Double, Int, List, Long, Password, Short, String as Text};
    pub use super::Importance::{High, Low, Medium};
    pub use super::UpdateMode::{ClusterWide, PerBroker, ReadOnly};
    pub use super::Validator::{
        self, Any, AtLeast, Between, GzipLevel, HostPorts, NonEmpty, NonNull, OffsetReset, OneOf,
        OneOfIgnoreCase, QuorumVoters, ThrottledReplicas,
    };
    pub use super::{ConfigKey, key, required};

    /// A list that may be empty.
    pub const LIST: Validator = Validator::List { allowed: &[], empty: true, null: false };
    /// A list with at least one entry.
    pub const FILLED_LIST: Validator = Validator::List { allowed: &[], empty: false, null: false };
    /// No list, or one that may be empty.
    pub const MAYBE_LIST: Validator = Validator::List { allowed: &[], empty: true, null: true };
    /// No list, or one with at least one entry.
    pub const MAYBE_FILLED_LIST: Validator = Validator::List { allowed: &[], empty: false, null: true };

    /// A list of some of these.
    pub const fn list_of(allowed: &'static [&'static str], empty: bool) -> Validator {
        Validator::List { allowed, empty, null: false }
    }
}

/// The kinds of things that carry dynamic configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i8)]
pub enum ConfigResourceType {
    /// A number that this release does not know.
    Unknown = 0,
    /// A topic.
    Topic = 2,
    /// A broker, or all brokers when the name is empty.
    Broker = 4,
    /// The loggers of a broker.
    BrokerLogger = 8,
    /// A client metrics subscription (KIP-714).
    ClientMetrics = 16,
    /// A group (KIP-848).
    Group = 32,
}

impl ConfigResourceType {
    /// The type with this number on the wire.
    pub const fn from_id(id: i8) -> Self {
        match id {
            2 => Self::Topic,
            4 => Self::Broker,
            8 => Self::BrokerLogger,
            16 => Self::ClientMetrics,
            32 => Self::Group,
            _ => Self::Unknown,
        }
    }

    /// The number on the wire.
    pub const fn id(self) -> i8 {
        self as i8
    }

    /// Kafka's name, as in its error messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Topic => "TOPIC",
            Self::Broker => "BROKER",
            Self::BrokerLogger => "BROKER_LOGGER",
            Self::ClientMetrics => "CLIENT_METRICS",
            Self::Group => "GROUP",
        }
    }
}

use std::collections::BTreeMap;

use bytestring::ByteString;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use ottla_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
    alter_configs_request, incremental_alter_configs_request,
};

use super::{Admin, Outcomes};
use crate::ClientError;

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i8)]
        pub enum $name {
            /// A number from a newer Kafka.
            Unknown = 0,
            $($(#[$vdoc])* $variant = $number,)*
        }

        impl $name {
            /// By its number on the wire.
            pub const fn from_number(number: i8) -> Self {
                match number { $($number => Self::$variant,)* _ => Self::Unknown }
            }

            /// Kafka's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* Self::Unknown => "UNKNOWN" }
            }
        }
    };
}

numbered! {
    /// What configuration belongs to.
    ResourceType {
        /// A topic.
        Topic = 2, "TOPIC";
        /// A broker by its id; no name for the default of all brokers.
        Broker = 4, "BROKER";
        /// A broker's loggers.
        BrokerLogger = 8, "BROKER_LOGGER";
        /// A client metrics subscription (KIP-714).
        ClientMetrics = 16, "CLIENT_METRICS";
        /// A group (KIP-848).
        Group = 32, "GROUP";
    }
}

numbered! {
    /// Where a value comes from.
    ConfigSource {
        /// Set for this topic.
        DynamicTopicConfig = 1, "DYNAMIC_TOPIC_CONFIG";
        /// Set for this broker while it ran.
        DynamicBrokerConfig = 2, "DYNAMIC_BROKER_CONFIG";
        /// Set for all brokers while they ran.
        DynamicDefaultBrokerConfig = 3, "DYNAMIC_DEFAULT_BROKER_CONFIG";
        /// From the broker's file.
        StaticBrokerConfig = 4, "STATIC_BROKER_CONFIG";
        /// Built in.
        DefaultConfig = 5, "DEFAULT_CONFIG";
        /// A logger's level.
        DynamicBrokerLoggerConfig = 6, "DYNAMIC_BROKER_LOGGER_CONFIG";
        /// Set for a client metrics subscription.
        DynamicClientMetricsConfig = 7, "DYNAMIC_CLIENT_METRICS_CONFIG";
        /// Set for a group.
        DynamicGroupConfig = 8, "DYNAMIC_GROUP_CONFIG";
    }
}

numbered! {
    /// The type of a value.
    ConfigType {
        /// true or false.
        Boolean = 1, "BOOLEAN";
        /// Text.
        String = 2, "STRING";
        /// 32 bits.
        Int = 3, "INT";
        /// 16 bits.
        Short = 4, "SHORT";
        /// 64 bits.
        Long = 5, "LONG";
        /// Floating point.
        Double = 6, "DOUBLE";
        /// Texts between commas.
        List = 7, "LIST";
        /// A Java class.
        Class = 8, "CLASS";
        /// Text that is not shown.
        Password = 9, "PASSWORD";
    }
}

/// A thing that has configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigResource {
    /// What it is.
    pub resource_type: ResourceType,
    /// Its name; empty for the default of all brokers.
    pub name: String,
}

impl ConfigResource {
    /// Names a resource.
    pub fn new(resource_type: ResourceType, name: impl Into<String>) -> Self {
        Self { resource_type, name: name.into() }
    }

    /// A topic.
    pub fn topic(name: impl Into<String>) -> Self {
        Self::new(ResourceType::Topic, name)
    }

    /// A broker.
    pub fn broker(id: i32) -> Self {
        Self::new(ResourceType::Broker, id.to_string())
    }

    fn describe(&self) -> String {
        format!("{} {}", self.resource_type.name().to_ascii_lowercase(), self.name)
    }

    /// The one broker that can answer for this resource, if not every broker can.
    fn owner(&self) -> Option<i32> {
        match self.resource_type {
            ResourceType::Broker | ResourceType::BrokerLogger => self.name.parse().ok(),
            _ => None,
        }
    }
}

/// One key of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: ByteString,
    /// Its value; `None` when unset or not shown.
    pub value: Option<ByteString>,
    /// Whether it can only be changed in the file.
    pub read_only: bool,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether the value is not shown.
    pub is_sensitive: bool,
    /// Everything that could give it a value, the winner first.
    pub synonyms: Vec<ConfigSynonym>,
    /// Its type.
    pub config_type: ConfigType,
    /// What it is for.
    pub documentation: Option<ByteString>,
}

/// A place a value may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key there.
    pub name: ByteString,
    /// The value there.
    pub value: Option<ByteString>,
    /// Where.
    pub source: ConfigSource,
}

/// What to do with a value (KIP-339).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum AlterOperation {
    /// Give it this value.
    Set = 0,
    /// Give it back its default.
    Delete = 1,
    /// Add to a list.
    Append = 2,
    /// Remove from a list.
    Subtract = 3,
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterConfigOp {
    /// The key.
    pub name: String,
    /// What to do.
    pub operation: AlterOperation,
    /// The value; none to delete.
    pub value: Option<String>,
}

impl AlterConfigOp {
    /// Gives a key a value.
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), operation: AlterOperation::Set, value: Some(value.into()) }
    }

    /// Gives a key its default.
    pub fn delete(name: impl Into<String>) -> Self {
        Self { name: name.into(), operation: AlterOperation::Delete, value: None }
    }
}

impl Admin {
    /// The configuration of resources; all keys, or those named.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
        keys: Option<&[&str]>,
        include_synonyms: bool,
        include_documentation: bool,
    ) -> Result<Outcomes<ConfigResource, Vec<ConfigEntry>>, ClientError> {
        let mut outcomes = Vec::new();
        for (owner, resources) in by_owner(resources) {
            let wanted = resources.iter().map(|r| DescribeConfigsResource {
                resource_type: r.resource_type as i8,
                resource_name: r.name.as_str().into(),
                configuration_keys: keys.map(|keys| keys.iter().map(|k| (*k).into()).collect()),
                ..Default::default()
            });
            let request = DescribeConfigsRequest {
                resources: wanted.collect(),
                include_synonyms,
                include_documentation,
                ..DescribeConfigsRequest::default()
            };
            for result in self.send_owner(owner, &request).await?.results {
                let resource = resource(result.resource_type, &result.resource_name);
                let checked = ClientError::check(
                    resource.describe(),
                    result.error_code,
                    result.error_message.as_deref(),
                );
                let entries = result.configs.into_iter().map(ConfigEntry::read).collect();
                outcomes.push((resource, checked.map(|()| entries)));
            }
        }
        Ok(outcomes)
    }

    /// Changes single keys (KIP-339), or only says whether it could.
    pub async fn incremental_alter_configs(
        &self,
        changes: &[(ConfigResource, Vec<AlterConfigOp>)],
        validate_only: bool,
    ) -> Result<Outcomes<ConfigResource, ()>, ClientError> {
        use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let mut outcomes = Vec::new();
        for (resource, ops) in changes {
            let configs = ops.iter().map(|op| AlterableConfig {
                name: op.name.as_str().into(),
                config_operation: op.operation as i8,
                value: op.value.as_deref().map(Into::into),
                ..Default::default()
            });
            let wanted = AlterConfigsResource {
                resource_type: resource.resource_type as i8,
                resource_name: resource.name.as_str().into(),
                configs: configs.collect(),
                ..Default::default()
            };
            let request = IncrementalAlterConfigsRequest {
                resources: vec![wanted],
                validate_only,
                ..IncrementalAlterConfigsRequest::default()
            };
            for result in self.send_owner(resource.owner(), &request).await?.responses {
                let checked = ClientError::check(
                    resource.describe(),
                    result.error_code,
                    result.error_message.as_deref(),
                );
                outcomes.push((resource.clone(), checked));
            }
        }
        Ok(outcomes)
    }

    /// Replaces the whole configuration of resources: keys that are not named lose their value.
    pub async fn alter_configs(
        &self,
        configs: &[(ConfigResource, BTreeMap<String, String>)],
        validate_only: bool,
    ) -> Result<Outcomes<ConfigResource, ()>, ClientError> {
        use alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let mut outcomes = Vec::new();
        for (resource, values) in configs {
            let configs = values.iter().map(|(name, value)| AlterableConfig {
                name: name.as_str().into(),
                value: Some(value.as_str().into()),
                ..Default::default()
            });
            let wanted = AlterConfigsResource {
                resource_type: resource.resource_type as i8,
                resource_name: resource.name.as_str().into(),
                configs: configs.collect(),
                ..Default::default()
            };
            let request = AlterConfigsRequest {
                resources: vec![wanted],
                validate_only,
                ..AlterConfigsRequest::default()
            };
            for result in self.send_owner(resource.owner(), &request).await?.responses {
                let checked = ClientError::check(
                    resource.describe(),
                    result.error_code,
                    result.error_message.as_deref(),
                );
                outcomes.push((resource.clone(), checked));
            }
        }
        Ok(outcomes)
    }

    /// Resources of these types that have configuration of their own; all types for none (KIP-1142).
    pub async fn list_config_resources(
        &self,
        types: &[ResourceType],
    ) -> Result<Vec<ConfigResource>, ClientError> {
        let request = ListConfigResourcesRequest {
            resource_types: types.iter().map(|t| *t as i8).collect(),
            ..ListConfigResourcesRequest::default()
        };
        let response = self.client.send_any(&request).await?;
        ClientError::check("list of config resources", response.error_code, None)?;
        Ok(response
            .config_resources
            .into_iter()
            .map(|r| resource(r.resource_type, &r.resource_name))
            .collect())
    }

    async fn send_owner<R: ottla_protocol::Request>(
        &self,
        owner: Option<i32>,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        match owner {
            Some(id) => self.client.retrying(R::API_KEY.name(), || self.client.send_to(id, request)).await,
            None => self.client.send_any(request).await,
        }
    }
}

fn by_owner(resources: &[ConfigResource]) -> BTreeMap<Option<i32>, Vec<&ConfigResource>> {
    let mut sorted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for resource in resources {
        sorted.entry(resource.owner()).or_default().push(resource);
    }
    sorted
}

fn resource(number: i8, name: &str) -> ConfigResource {
    ConfigResource::new(ResourceType::from_number(number), name)
}

impl ConfigEntry {
    fn read(entry: DescribeConfigsResourceResult) -> Self {
        let synonyms = entry.synonyms.into_iter().map(|s| ConfigSynonym {
            name: s.name,
            value: s.value,
            source: ConfigSource::from_number(s.source),
        });
        Self {
            name: entry.name,
            value: entry.value,
            read_only: entry.read_only,
            source: ConfigSource::from_number(entry.config_source),
            is_sensitive: entry.is_sensitive,
            synonyms: synonyms.collect(),
            config_type: ConfigType::from_number(entry.config_type),
            documentation: entry.documentation,
        }
    }
}

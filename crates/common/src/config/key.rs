use super::{ConfigError, ConfigValue, Validator};

/// What kind of value a key takes. The numbers are those of `DescribeConfigs` (KIP-569).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum ConfigType {
    /// `true` or `false`, in any case.
    Boolean = 1,
    /// Text.
    String = 2,
    /// 32 bits.
    Int = 3,
    /// 16 bits.
    Short = 4,
    /// 64 bits.
    Long = 5,
    /// A floating point number.
    Double = 6,
    /// Texts between commas.
    List = 7,
    /// Name of a Java class. It is kept as text: nothing here loads classes.
    Class = 8,
    /// Text that is never shown.
    Password = 9,
}

impl ConfigType {
    /// The number on the wire.
    pub const fn id(self) -> i8 {
        self as i8
    }

    /// Kafka's name, as in its error messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// How much an operator should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Importance {
    /// Think about it before the first start.
    High,
    /// Think about it when the cluster grows.
    Medium,
    /// The default is nearly always right.
    Low,
}

/// When a changed value takes hold (KIP-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpdateMode {
    /// At the next start.
    ReadOnly,
    /// At once, for one broker.
    PerBroker,
    /// At once, for one broker or for all.
    ClusterWide,
}

impl UpdateMode {
    /// Whether a running broker accepts a change.
    pub const fn is_dynamic(self) -> bool {
        !matches!(self, Self::ReadOnly)
    }
}

/// What happens when a key is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Default {
    Required,
    Null,
    Text(&'static str),
}

/// One configuration key, in one row.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    /// The key as it is written in a file.
    pub name: &'static str,
    /// The kind of its value.
    pub config_type: ConfigType,
    pub(super) default: Default,
    /// What values are allowed.
    pub validator: Validator,
    /// How much an operator should care.
    pub importance: Importance,
    /// When a change takes hold.
    pub update_mode: UpdateMode,
    /// One sentence of documentation.
    pub doc: &'static str,
    /// Kept out of `DescribeConfigs` and of the documentation unless somebody has set it.
    pub internal: bool,
}

/// A key that may be left out; `default` is its text, or `None` where nothing stands for the value.
pub const fn key(
    name: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    validator: Validator,
    importance: Importance,
    update_mode: UpdateMode,
    doc: &'static str,
) -> ConfigKey {
    let default = match default {
        Some(text) => Default::Text(text),
        None => Default::Null,
    };
    ConfigKey { name, config_type, default, validator, importance, update_mode, doc, internal: false }
}

/// A key that must be given.
pub const fn required(
    name: &'static str,
    config_type: ConfigType,
    validator: Validator,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    let update_mode = UpdateMode::ReadOnly;
    let default = Default::Required;
    ConfigKey { name, config_type, default, validator, importance, update_mode, doc, internal: false }
}

impl ConfigKey {
    /// Marks the key as internal.
    pub const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// Whether the value must never be shown.
    pub const fn is_sensitive(&self) -> bool {
        matches!(self.config_type, ConfigType::Password)
    }

    /// Whether a file must set it.
    pub const fn is_required(&self) -> bool {
        matches!(self.default, Default::Required)
    }

    /// The text of the default, when there is one.
    pub const fn default_text(&self) -> Option<&'static str> {
        match self.default {
            Default::Text(text) => Some(text),
            Default::Required | Default::Null => None,
        }
    }

    /// Reads and checks a value, or takes the default when `text` is `None`.
    pub fn parse(&self, text: Option<&str>) -> Result<ConfigValue, ConfigError> {
        let mut value = match (text, self.default) {
            (Some(text), _) => ConfigValue::parse(self.name, self.config_type, text)?,
            (None, Default::Text(text)) => ConfigValue::parse(self.name, self.config_type, text)?,
            (None, Default::Null) => ConfigValue::Null,
            (None, Default::Required) => {
                return Err(ConfigError::new(format!(
                    "Missing required configuration \"{}\" which has no default value.",
                    self.name
                )));
            }
        };
        if let (Validator::List { .. }, ConfigValue::List(items)) = (self.validator, &mut value) {
            let mut seen = std::collections::HashSet::new();
            items.retain(|item| seen.insert(item.clone()));
        }
        self.validator.ensure_valid(self.name, &value)?;
        Ok(value)
    }
}

use std::collections::BTreeMap;

use super::{ConfigError, ConfigKey, ConfigValue};

/// A set of keys: tables of rows, looked up by name.
#[derive(Debug, Clone, Default)]
pub struct ConfigDef {
    keys: BTreeMap<&'static str, &'static ConfigKey>,
}

impl ConfigDef {
    /// Joins tables of rows. A name that appears twice is a mistake in the tables.
    pub fn new(tables: &[&'static [ConfigKey]]) -> Self {
        let mut keys = BTreeMap::new();
        for row in tables.iter().flat_map(|table| table.iter()) {
            let twice = keys.insert(row.name, row);
            debug_assert!(twice.is_none(), "{} is defined twice", row.name);
        }
        Self { keys }
    }

    /// The row of a key.
    pub fn get(&self, name: &str) -> Option<&'static ConfigKey> {
        self.keys.get(name).copied()
    }

    /// Whether the key is defined.
    pub fn contains(&self, name: &str) -> bool {
        self.keys.contains_key(name)
    }

    /// All rows, sorted by name.
    pub fn keys(&self) -> impl Iterator<Item = &'static ConfigKey> {
        self.keys.values().copied()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Reads and checks every key: from the first layer that has it, else from its default.
    /// Keys that are not defined are left alone.
    pub fn parse_layers(&self, layers: &[&BTreeMap<String, String>]) -> Result<ConfigValues, ConfigError> {
        let mut values = BTreeMap::new();
        for (name, row) in &self.keys {
            let text = layers.iter().find_map(|layer| layer.get(*name));
            values.insert(*name, row.parse(text.map(String::as_str))?);
        }
        Ok(ConfigValues { values })
    }

    /// Reads and checks every key of one map.
    pub fn parse(&self, props: &BTreeMap<String, String>) -> Result<ConfigValues, ConfigError> {
        self.parse_layers(&[props])
    }
}

/// The values of all keys of a [`ConfigDef`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigValues {
    values: BTreeMap<&'static str, ConfigValue>,
}

impl ConfigValues {
    /// The value of a key; [`ConfigValue::Null`] for a key that is not defined.
    pub fn get(&self, name: &str) -> &ConfigValue {
        self.values.get(name).unwrap_or(&ConfigValue::Null)
    }

    /// The value of a key as a Rust type, or that type's zero when nothing stands for it.
    pub fn typed<T: FromConfig>(&self, name: &str) -> T {
        T::from_config(self.get(name))
    }

    /// Puts a value in place of another.
    pub fn set(&mut self, name: &'static str, value: ConfigValue) {
        self.values.insert(name, value);
    }

    /// All values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &ConfigValue)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }
}

/// Types in which code reads settings. A [`ConfigDef`] has checked the type before, so that a value of
/// another type is a mistake in a table, which tests find; it reads as the type's zero.
pub trait FromConfig: Default {
    /// Turns a value into this type.
    fn from_config(value: &ConfigValue) -> Self;
}

macro_rules! from_config {
    ($($type:ty: $variant:ident;)*) => {
        $(impl FromConfig for $type {
            fn from_config(value: &ConfigValue) -> Self {
                debug_assert!(
                    matches!(value, ConfigValue::$variant(_) | ConfigValue::Null),
                    "{value:?} is read as another type"
                );
                match value {
                    ConfigValue::$variant(v) => v.clone(),
                    _ => Self::default(),
                }
            }
        })*
    };
}

from_config! {
    bool: Bool;
    i16: Short;
    i32: Int;
    i64: Long;
    f64: Double;
    String: Text;
    Vec<String>: List;
}

impl<T: FromConfig> FromConfig for Option<T> {
    fn from_config(value: &ConfigValue) -> Self {
        (!value.is_null()).then(|| T::from_config(value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ConfigType, Importance, UpdateMode, Validator, key, required};
    use super::*;

    static ROWS: &[ConfigKey] = &[
        required("node.id", ConfigType::Int, Validator::AtLeast(0.0), Importance::High, "Id."),
        key(
            "num.io.threads",
            ConfigType::Int,
            Some("8"),
            Validator::AtLeast(1.0),
            Importance::High,
            UpdateMode::ClusterWide,
            "Threads.",
        ),
    ];

    fn props(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn defaults_fill_and_layers_shadow() {
        let def = ConfigDef::new(&[ROWS]);
        let file = props(&[("node.id", "1"), ("num.io.threads", "4")]);
        let values = def.parse_layers(&[&props(&[("num.io.threads", "6")]), &file]).unwrap();
        assert_eq!(values.typed::<i32>("num.io.threads"), 6);
        assert_eq!(def.parse(&props(&[("node.id", "3")])).unwrap().typed::<i32>("num.io.threads"), 8);
    }

    #[test]
    fn a_missing_required_key_is_named() {
        let error = ConfigDef::new(&[ROWS]).parse(&BTreeMap::new()).unwrap_err();
        assert_eq!(error.message(), "Missing required configuration \"node.id\" which has no default value.");
    }
}

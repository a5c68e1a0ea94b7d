use std::fmt;

use super::{ConfigError, ConfigType};

/// A value that has been read. Its `Display` is the text Kafka shows for it.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// Nothing was set and nothing is the default.
    Null,
    /// A boolean.
    Bool(bool),
    /// A 16-bit number.
    Short(i16),
    /// A 32-bit number.
    Int(i32),
    /// A 64-bit number.
    Long(i64),
    /// A floating point number.
    Double(f64),
    /// Text, the name of a class or a password.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

impl ConfigValue {
    /// Reads a text as Kafka's `ConfigDef` does: blanks around it do not count.
    pub fn parse(name: &str, config_type: ConfigType, raw: &str) -> Result<Self, ConfigError> {
        let text = raw.trim_matches(|c: char| c <= ' ');
        let not_a_number =
            || ConfigError::value(name, raw, format_args!("Not a number of type {}", config_type.name()));
        match config_type {
            ConfigType::Boolean if text.eq_ignore_ascii_case("true") => Ok(Self::Bool(true)),
            ConfigType::Boolean if text.eq_ignore_ascii_case("false") => Ok(Self::Bool(false)),
            ConfigType::Boolean => {
                Err(ConfigError::value(name, raw, "Expected value to be either true or false"))
            }
            ConfigType::Short => text.parse().map(Self::Short).map_err(|_| not_a_number()),
            ConfigType::Int => text.parse().map(Self::Int).map_err(|_| not_a_number()),
            ConfigType::Long => text.parse().map(Self::Long).map_err(|_| not_a_number()),
            ConfigType::Double => parse_double(text).map(Self::Double).ok_or_else(not_a_number),
            ConfigType::String | ConfigType::Class | ConfigType::Password => Ok(Self::Text(text.to_owned())),
            ConfigType::List if text.is_empty() => Ok(Self::List(vec![])),
            ConfigType::List => Ok(Self::List(text.split(',').map(|item| item.trim().to_owned()).collect())),
        }
    }

    /// The text form, or `None` for [`ConfigValue::Null`].
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            value => Some(value.to_string()),
        }
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// Java's decimal texts; unlike Rust it takes a type suffix and refuses `inf`.
fn parse_double(text: &str) -> Option<f64> {
    let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    match digits {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ if digits.contains(['i', 'I', 'n', 'N']) => None,
        _ => digits.parse().ok(),
    }
}

/// A double as Java prints it: plain between 0.001 and ten million, else with an `E`.
pub fn java_double(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(v) => v.fmt(f),
            Self::Short(v) => v.fmt(f),
            Self::Int(v) => v.fmt(f),
            Self::Long(v) => v.fmt(f),
            Self::Double(v) => f.write_str(&java_double(*v)),
            Self::Text(v) => f.write_str(v),
            Self::List(v) => f.write_str(&v.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_trimmed_and_typed() {
        let parse = |t, s| ConfigValue::parse("k", t, s);
        assert_eq!(parse(ConfigType::Boolean, " TRUE "), Ok(ConfigValue::Bool(true)));
        assert_eq!(parse(ConfigType::Int, " 7\t"), Ok(ConfigValue::Int(7)));
        assert_eq!(parse(ConfigType::Long, "-1"), Ok(ConfigValue::Long(-1)));
        assert_eq!(parse(ConfigType::List, " "), Ok(ConfigValue::List(vec![])));
        assert_eq!(
            parse(ConfigType::List, "a , b,,c"),
            Ok(ConfigValue::List(vec!["a".into(), "b".into(), String::new(), "c".into()]))
        );
        assert!(parse(ConfigType::Double, "inf").is_err());
    }

    #[test]
    fn errors_name_key_value_and_what_is_allowed() {
        let error = ConfigValue::parse("num.io.threads", ConfigType::Int, "eight").unwrap_err();
        assert_eq!(
            error.message(),
            "Invalid value eight for configuration num.io.threads: Not a number of type INT"
        );
    }

    #[test]
    fn doubles_print_as_in_java() {
        for (value, text) in [
            (0.5, "0.5"),
            (1.0, "1.0"),
            (f64::MAX, "1.7976931348623157E308"),
            (1e7, "1.0E7"),
            (0.0001, "1.0E-4"),
            (123_456.0, "123456.0"),
        ] {
            assert_eq!(java_double(value), text);
        }
    }
}

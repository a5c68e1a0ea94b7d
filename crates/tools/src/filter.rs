//! Which topics a pattern means.

use regex::Regex;

use crate::error::{Result, failed};

/// A pattern of topic names. As in Kafka a comma means "or", quotes around it do not count, and the whole
/// name must match.
#[derive(Debug)]
pub(crate) struct TopicFilter {
    pattern: Regex,
}

impl TopicFilter {
    /// Reads a pattern.
    pub(crate) fn new(text: &str) -> Result<Self> {
        const PATTERN_BYTES_MAX: usize = 1 << 20;
        let cleaned = text.trim().replace(',', "|").replace(' ', "");
        let cleaned = cleaned.trim_start_matches(['"', '\'']).trim_end_matches(['"', '\'']);
        let built =
            regex::RegexBuilder::new(&format!("^(?:{cleaned})$")).size_limit(PATTERN_BYTES_MAX).build();
        match built {
            Ok(pattern) => Ok(Self { pattern }),
            Err(_) => failed(format!("{text} is an invalid regex.")),
        }
    }

    /// Whether the pattern means this topic.
    pub(crate) fn allows(&self, topic: &str) -> bool {
        self.pattern.is_match(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_and_commas() {
        let filter = TopicFilter::new("pagos, envios.*").unwrap();
        assert!(filter.allows("pagos") && filter.allows("envios-2") && !filter.allows("pagos2"));
        assert_eq!(TopicFilter::new("(").unwrap_err().to_string(), "( is an invalid regex.");
    }
}

//! The pattern by which ListTransactions chooses transactional ids (KIP-1152).

use ottla_common::ErrorCode;
use regex::Regex;

/// A pattern in the syntax of RE2, as Kafka's brokers have it, that must match from begin to end.
///
/// It takes time in proportion to the text, and memory within the limits of the library, whatever is asked for.
#[derive(Debug, Clone)]
pub(super) struct TransactionalIdPattern {
    whole: Regex,
}

impl TransactionalIdPattern {
    /// Reads a pattern. `None` for one that lets everything pass.
    pub(super) fn parse(pattern: Option<&str>) -> Result<Option<Self>, ErrorCode> {
        let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else { return Ok(None) };
        let invalid = |_| ErrorCode::InvalidRegularExpression;
        // First on its own: what surrounds it must not make sense of a bracket too many.
        Regex::new(pattern).map_err(invalid)?;
        // A comment at its end must not swallow what follows.
        let whole = Regex::new(&format!(r"\A(?:{pattern})\z"))
            .or_else(|_| Regex::new(&format!("\\A(?:{pattern}\n)\\z")))
            .map_err(invalid)?;
        Ok(Some(Self { whole }))
    }

    pub(super) fn is_match(&self, transactional_id: &str) -> bool {
        self.whole.is_match(transactional_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, id: &str) -> bool {
        TransactionalIdPattern::parse(Some(pattern)).unwrap().unwrap().is_match(id)
    }

    #[test]
    fn a_pattern_matches_the_whole_id() {
        assert!(is_match("pagos-.*", "pagos-1"));
        assert!(!is_match("pagos", "pagos-1"));
        assert!(!is_match("agos-1", "pagos-1"));
        assert!(is_match("pago|pagos-1", "pagos-1"), "the longer alternative, too");
        assert!(is_match("(?i)PAGOS-[0-9]", "pagos-7"));
        assert!(is_match("(?x) pagos # y nada más", "pagos"));
    }

    #[test]
    fn no_pattern_lets_everything_pass() {
        assert!(TransactionalIdPattern::parse(None).unwrap().is_none());
        assert!(TransactionalIdPattern::parse(Some("")).unwrap().is_none());
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["(", "[", "*", "a)(b", r"(a)\1", "(?=a)", "(a{1000}){1000}"] {
            let parsed = TransactionalIdPattern::parse(Some(pattern));
            assert_eq!(parsed.err(), Some(ErrorCode::InvalidRegularExpression), "{pattern}");
        }
    }
}

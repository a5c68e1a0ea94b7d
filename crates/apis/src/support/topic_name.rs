//! What a topic may be called.

/// Longest name: with `-` and a partition number it must still be a folder's name.
const NAME_LEN_MAX: usize = 249;

/// Whether Kafka accepts the name: ASCII letters, digits, `.`, `_` and `-`, neither `.` nor `..`.
pub fn is_valid(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_LEN_MAX
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn names_follow_kafkas_rule() {
        for good in ["pagos", "a.b_c-D9", &"x".repeat(249)] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", ".", "..", "a b", "café", "a/b", &"x".repeat(250)] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}

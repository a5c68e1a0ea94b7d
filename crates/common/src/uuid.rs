use std::fmt;
use std::str::FromStr;

/// Kafka's 128-bit id of topics, directories, clusters and incarnations (KIP-516).
///
/// It prints as 22 characters of unpadded base64url, the form of Kafka's files and tools.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

/// A text that is no base64url of 16 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseUuidError(pub String);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT_LEN: usize = 22;

impl Uuid {
    /// The id that means "none".
    pub const ZERO: Self = Self([0; 16]);
    /// Reserved: the id of `__cluster_metadata`.
    pub const ONE: Self = Self::from_u128(1);
    /// Topic id of `__cluster_metadata`.
    pub const METADATA_TOPIC_ID: Self = Self::ONE;
    /// Directory id of a replica that was written before directories were tracked (KIP-858).
    pub const MIGRATING_DIR: Self = Self::ZERO;
    /// Directory id of a replica whose directory is not known yet (KIP-858).
    pub const UNASSIGNED_DIR: Self = Self::ONE;
    /// Directory id of a replica in a failed directory (KIP-858).
    pub const LOST_DIR: Self = Self::from_u128(2);

    /// The id with this value, most significant byte first.
    pub const fn from_u128(value: u128) -> Self {
        Self(value.to_be_bytes())
    }

    /// The value, most significant byte first.
    pub const fn as_u128(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Shapes random bytes into a version 4 id, or `None` where Kafka would draw again: reserved
    /// values, and texts that begin with `-` (a command line would take them for an option).
    pub fn from_random_bytes(mut bytes: [u8; 16]) -> Option<Self> {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = Self(bytes);
        let reserved = id.as_u128() < 100;
        (!reserved && !id.to_string().starts_with('-')).then_some(id)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.as_u128();
        let mut text = [0u8; TEXT_LEN];
        for (i, c) in text.iter_mut().enumerate() {
            // The first 21 digits carry 6 bits each; the last one carries the 2 that remain.
            let digit = if i < TEXT_LEN - 1 { value >> (122 - 6 * i) } else { value << 4 };
            *c = ALPHABET[(digit & 0x3f) as usize];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseUuidError(text.chars().take(64).collect());
        let bytes = text.strip_suffix("==").unwrap_or(text).as_bytes();
        if bytes.len() != TEXT_LEN {
            return Err(error());
        }
        let mut value: u128 = 0;
        for (i, c) in bytes.iter().enumerate() {
            let digit = ALPHABET.iter().position(|a| a == c).ok_or_else(error)? as u128;
            value = if i < TEXT_LEN - 1 { (value << 6) | digit } else { (value << 2) | (digit >> 4) };
        }
        Ok(Self::from_u128(value))
    }
}

impl fmt::Display for ParseUuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not an id: 22 characters of base64url are expected", self.0)
    }
}

impl std::error::Error for ParseUuidError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_kafkas() {
        // Values printed by Apache Kafka's own Uuid class.
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::ONE.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id: Uuid = "4L6g3nShT-eMCtK--X86sw".parse().unwrap();
        assert_eq!(id.to_string(), "4L6g3nShT-eMCtK--X86sw");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "abc", "AAAAAAAAAAAAAAAAAAAAA!", "AAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }

    #[test]
    fn random_ids_avoid_reserved_and_dashed() {
        assert_eq!(Uuid::from_random_bytes([0xf8; 16]), None);
        assert!(Uuid::from_random_bytes([7; 16]).is_some());
    }
}

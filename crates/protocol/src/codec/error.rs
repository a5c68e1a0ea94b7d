use thiserror::Error;

/// Why bytes are no message. The sender is at fault: it gets an error code or loses its connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The frame ends inside a field.
    #[error("the frame ends {missing} bytes too early")]
    Truncated {
        /// How many bytes more the field wants.
        missing: u64,
    },
    /// Bytes are left after the last field.
    #[error("{extra} bytes follow the end of the message")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// A length below -1, or -1 where null is not allowed.
    #[error("length {0} is not allowed here")]
    InvalidLength(i64),
    /// More elements than the rest of the frame could hold, or than Kafka accepts.
    #[error("an array of {0} elements cannot be in this frame")]
    ArrayTooLong(u64),
    /// More tagged fields than Kafka accepts.
    #[error("{0} tagged fields are more than any message has")]
    TooManyTaggedFields(u32),
    /// A tagged field that is not as long as it says.
    #[error("tagged field {tag} is not as long as it says")]
    TaggedFieldLength {
        /// Number of the field.
        tag: u32,
    },
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidUtf8,
    /// A variable-length integer of more than five (or ten) bytes.
    #[error("a variable-length integer is too long")]
    VarintTooLong,
    /// This release does not know this version of the message.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Kafka's name of the message.
        message: &'static str,
        /// What the sender asked for.
        version: i16,
    },
    /// No message or record has this number.
    #[error("no {what} has number {number}")]
    UnknownKind {
        /// What was looked for.
        what: &'static str,
        /// The number.
        number: i64,
    },
}

/// Why a value has no bytes in the version asked for: a mistake of the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The version has no such field, and leaving it out would change the meaning.
    #[error("version {version} has no field {field} to hold its value")]
    UnsupportedField {
        /// Struct and field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Null where the version wants a value.
    #[error("field {field} must not be null")]
    Null {
        /// Struct and field.
        field: &'static str,
    },
    /// A string or array longer than its length field can say.
    #[error("a value of {0} bytes or elements is too long")]
    TooLong(usize),
    /// This release does not know this version of the message.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Kafka's name of the message.
        message: &'static str,
        /// What the caller asked for.
        version: i16,
    },
}

//! What the targets share.

mod bounded_memory;

use bytes::Bytes;
use ottla_protocol::registry::{MESSAGES, MessageInfo};

/// Messages of these kinds, in an order that stays while none is added.
pub fn messages(kinds: &[&str]) -> Vec<&'static MessageInfo> {
    let wanted = |message: &&MessageInfo| kinds.contains(&message.kind);
    MESSAGES.iter().filter(wanted).filter(|message| message.min_version <= message.max_version).collect()
}

/// Kinds of the three targets.
pub const REQUESTS: &[&str] = &["request", "header"];
/// See [`REQUESTS`].
pub const RESPONSES: &[&str] = &["response"];
/// See [`REQUESTS`].
pub const RECORDS: &[&str] = &["data", "metadata", "coordinator-key", "coordinator-value"];

/// Two bytes choose message and version, the rest is its bytes.
pub fn fuzz(kinds: &[&str], input: &[u8]) {
    let [choice, version, bytes @ ..] = input else { return };
    let messages = messages(kinds);
    let message = messages[usize::from(*choice) % messages.len()];
    let versions = message.max_version - message.min_version + 1;
    let version = message.min_version + i16::from(*version) % versions;
    let Ok(encoded) = (message.round_trip)(Bytes::copy_from_slice(bytes), version) else { return };
    let canonical = match encoded {
        Ok(canonical) => canonical,
        Err(error) => panic!("{} v{version} decodes but does not encode: {error}", message.name),
    };
    let again =
        (message.round_trip)(canonical.clone(), version).expect("own bytes decode").expect("and encode");
    assert_eq!(again, canonical, "{} v{version} changes with every round", message.name);
}

use bytes::Bytes;
use ottla_protocol::registry::{MESSAGES, MessageInfo};
use ottla_protocol::{ApiKey, DecodeError};
use proptest::prelude::*;
use proptest::sample::select;

/// Any message in any of its versions.
pub(crate) fn message_and_version() -> impl Strategy<Value = (&'static MessageInfo, i16)> {
    select(every_message_and_version().collect::<Vec<_>>())
}

/// All of them; messages that Kafka 4 dropped have a name but no version.
pub(crate) fn every_message_and_version() -> impl Iterator<Item = (&'static MessageInfo, i16)> {
    MESSAGES.iter().flat_map(|message| {
        (message.min_version..=message.max_version).map(move |version| (message, version))
    })
}

fn is_flexible(message: &MessageInfo, version: i16) -> bool {
    let api =
        message.key.filter(|_| matches!(message.kind, "request" | "response")).and_then(ApiKey::from_i16);
    api.is_some_and(|api| version >= api.first_flexible_version())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_survive_decode_and_encode((message, version) in message_and_version(), seed in any::<u64>()) {
        let bytes = (message.sample)(seed, version).expect("samples can be encoded");
        let again = (message.round_trip)(bytes.clone(), version).expect("decodes").expect("encodes");
        prop_assert_eq!(again, bytes, "{} v{}", message.name, version);
    }

    #[test]
    fn fields_of_the_future_are_kept(
        (message, version) in message_and_version(),
        seed in any::<u64>(),
        data in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let bytes = (message.sample)(seed, version).expect("samples can be encoded");
        // Without tagged fields of its own, a flexible message ends with their number: none.
        if let Some(body) = bytes.strip_suffix(&[0]).filter(|_| is_flexible(message, version)) {
            let tag_9999 = [0x8f, 0x4e];
            let bytes = Bytes::from([body, &[1], &tag_9999, &[data.len() as u8], &data].concat());
            match (message.round_trip)(bytes.clone(), version) {
                Ok(again) => prop_assert_eq!(again.expect("encodes"), bytes, "{} v{}", message.name, version),
                // The zero was no number of fields, but the end of a tagged field.
                Err(error) => prop_assert!(matches!(
                    error,
                    DecodeError::TaggedFieldLength { .. } | DecodeError::TrailingBytes { .. }
                ), "{} v{}: {}", message.name, version, error),
            }
        }
    }
}

#[test]
fn every_message_has_bytes_in_every_version() {
    for (message, version) in every_message_and_version() {
        for seed in 0..4 {
            let bytes = (message.sample)(seed, version).expect("samples can be encoded");
            let again = (message.round_trip)(bytes.clone(), version).expect("decodes").expect("encodes");
            assert_eq!(again, bytes, "{} v{version}", message.name);
        }
    }
}

#[test]
fn other_versions_are_refused() {
    for message in MESSAGES {
        for version in [message.min_version - 1, message.max_version + 1, i16::MIN, i16::MAX] {
            let told = (message.round_trip)(Bytes::new(), version);
            let is_version = matches!(told, Err(DecodeError::UnsupportedVersion { .. }));
            assert!(is_version, "{} v{version}", message.name);
        }
    }
}

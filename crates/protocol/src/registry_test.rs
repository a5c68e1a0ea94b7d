//! Every message keeps its bytes through decode and encode.

use crate::registry::MESSAGES;

#[test]
fn every_message_round_trips_in_every_version() {
    for message in MESSAGES {
        for version in message.min_version..=message.max_version {
            for seed in 0..20 {
                let bytes = (message.sample)(seed, version).expect("encodes");
                let again = (message.round_trip)(bytes.clone(), version).expect("decodes").expect("encodes");
                assert_eq!(again, bytes, "{} v{version} seed {seed}", message.name);
            }
        }
    }
}

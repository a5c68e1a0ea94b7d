//! Bytes of nobody's friend: no panic, and no memory that the frame did not pay for.

use bytes::Bytes;
use ottla_protocol::registry::MessageInfo;
use ottla_protocol::{DecodeError, EncodeError, Reader, Writer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::allocation::peak_of;
use crate::round_trip::{every_message_and_version, message_and_version};

/// What an element may take in memory for every byte it has in the frame. Structs of options and vectors
/// are wide, and a null field is one byte.
const BYTES_PER_BYTE_MAX: usize = 100;
/// Memory for the first thousand elements of an array may be taken at once.
const FREE_BYTES: usize = 512 << 10;

/// Lengths that only an attacker writes: in classic fields, and in compact ones.
const HUGE: [&[u8]; 6] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x00, 0x0f, 0x42, 0x40],
    &[0x80, 0x00, 0x00, 0x00],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0xff],
];

fn decode(message: &MessageInfo, version: i16, bytes: Vec<u8>) -> bool {
    let paid = bytes.len() * BYTES_PER_BYTE_MAX + FREE_BYTES;
    let len = bytes.len();
    let bytes = Bytes::from(bytes);
    let (decoded, peak) = peak_of(|| (message.round_trip)(bytes, version).is_ok());
    assert!(peak <= paid, "{} v{version}: {peak} bytes of memory for a frame of {len}", message.name);
    decoded
}

#[test]
fn huge_lengths_cost_nothing_wherever_they_are() {
    for (message, version) in every_message_and_version() {
        let bytes = (message.sample)(7, version).expect("samples can be encoded");
        for position in 0..bytes.len().min(400) {
            for huge in HUGE {
                decode(message, version, [&bytes[..position], huge, &bytes[position..]].concat());
                let rest = bytes.get(position + huge.len()..).unwrap_or_default();
                decode(message, version, [&bytes[..position], huge, rest].concat());
            }
        }
    }
}

#[test]
fn monotonous_frames_cost_no_more_than_their_size() {
    for (message, version) in every_message_and_version() {
        for byte in [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff] {
            let mut frame = vec![byte; 40_000];
            decode(message, version, frame.clone());
            // An array as long as the frame may hold, of the shortest elements there are.
            for length in [&[0x00, 0x00, 0x60, 0x00][..], &[0x80, 0xc0, 0x01][..]] {
                for position in [0, 2, 4, 8] {
                    frame[position..position + length.len()].copy_from_slice(length);
                    decode(message, version, frame.clone());
                    frame[position..position + length.len()].fill(byte);
                }
            }
        }
    }
}

#[test]
fn cut_frames_are_refused() {
    for (message, version) in every_message_and_version() {
        for seed in 0..2 {
            let bytes = (message.sample)(seed, version).expect("samples can be encoded");
            for len in 0..bytes.len() {
                let cut = bytes[..len].to_vec();
                assert!(!decode(message, version, cut), "{} v{version} cut after {len}", message.name);
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(!decode(message, version, longer), "{} v{version} with a byte more", message.name);
        }
    }
}

#[test]
fn compact_texts_are_no_longer_than_those_of_old() {
    let longest = "x".repeat(32_767);
    let mut w = Writer::default();
    w.string(&longest, true).expect("the longest text can be encoded");
    let read = Reader::new(w.into_bytes()).string(true).expect("the longest text can be decoded");
    assert_eq!(read.len(), longest.len());
    let longer = longest + "x";
    let mut w = Writer::default();
    assert_eq!(w.string(&longer, true), Err(EncodeError::TooLong(32_768)));
    w.bytes(longer.as_bytes(), true).expect("bytes may be longer");
    assert_eq!(Reader::new(w.into_bytes()).string(true), Err(DecodeError::InvalidLength(32_768)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_panics(
        (message, version) in message_and_version(),
        seed in any::<u64>(),
        damage in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = (message.sample)(seed, version).expect("samples can be encoded").to_vec();
        for (position, byte) in damage.iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
            let position = position.index(bytes.len());
            bytes[position] = *byte;
        }
        decode(message, version, bytes);
    }

    #[test]
    fn nonsense_never_panics((message, version) in message_and_version(), bytes in vec(any::<u8>(), 0..600)) {
        decode(message, version, bytes);
    }
}

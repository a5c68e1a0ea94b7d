use proptest::prelude::*;

use super::*;

/// Name, magic and bytes of what kafka-clients wrote.
fn fixtures() -> Vec<(&'static str, i8, Bytes)> {
    let lines = include_str!("../../tests/fixtures/legacy.txt").lines();
    let fixture = |line: &'static str| {
        let [magic, name, hex] = line.split(' ').collect::<Vec<_>>().try_into().expect("three words");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (name, magic.parse().expect("magic"), (0..hex.len()).step_by(2).map(byte).collect())
    };
    lines.map(fixture).collect()
}

fn read(bytes: Bytes) -> Result<Vec<OwnedRecord>, RecordError> {
    let mut records = Vec::new();
    for message in split(bytes)? {
        message.ensure_valid()?;
        records.extend(message.records(&DecompressionLimits::default())?);
    }
    Ok(records)
}

#[test]
fn what_java_wrote_is_read() {
    for (name, magic, bytes) in fixtures() {
        let records = read(bytes).expect(name);
        let times = match (magic, name) {
            (0, _) => [-1; 3],
            (_, "gzip-append-time") => [1_600_000_000_000; 3],
            _ => [5, 9, 7].map(|ms| 1_500_000_000_000 + ms),
        };
        let expected =
            [(Some("k0"), Some("value-0-value-0-value-0")), (None, Some("value-1")), (Some("k2"), None)];
        assert_eq!(records.len(), 3, "{name}");
        for (i, record) in records.iter().enumerate() {
            assert_eq!((record.offset, record.timestamp), (100 + i as i64, times[i]), "{magic} {name}");
            assert_eq!(record.key.as_deref(), expected[i].0.map(str::as_bytes));
            assert_eq!(record.value.as_deref(), expected[i].1.map(str::as_bytes));
        }
    }
}

#[test]
fn entries_of_all_formats_have_a_size() {
    for (name, magic, bytes) in fixtures() {
        let size = peek_log_entry_size(&bytes).unwrap().expect(name);
        let header = LegacyHeader::parse(&bytes[..LegacyHeader::MAX_BYTES.min(size)]).unwrap();
        assert_eq!((header.size_in_bytes(), header.magic()), (size, magic));
        assert!(matches!(peek_batch_size(&bytes), Err(RecordError::UnsupportedMagic(m)) if m == magic));
    }
    assert_eq!(peek_log_entry_size(&[0; 16]), Ok(None));
    assert_eq!(peek_log_entry_size(&[0; 17]), Err(RecordError::InvalidLength(0)));
}

proptest! {
    /// The checksum notices, and what does not look at it takes no harm.
    #[test]
    fn damage_is_noticed(which in 0..9_usize, at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let (_, _, bytes) = fixtures().swap_remove(which);
        let size = peek_log_entry_size(&bytes).unwrap().unwrap();
        let mut damaged = bytes[..size].to_vec();
        let at = at.index(size);
        damaged[at] ^= flip;
        if let Ok(message) = LegacyMessage::new(damaged) {
            prop_assert_eq!(message.is_valid(), at < 8);
            let _ = message.records(&DecompressionLimits::default());
        }
    }

    #[test]
    fn any_bytes_are_no_harm(magic in 0..3_u8, mut bytes in prop::collection::vec(any::<u8>(), 17..200)) {
        bytes[16] = magic;
        let length = (bytes.len() - LOG_OVERHEAD) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        if let Ok(message) = LegacyMessage::new(bytes) {
            let _ = message.records(&DecompressionLimits::default());
        }
    }
}

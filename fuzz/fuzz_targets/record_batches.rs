#![no_main]

use bytes::Bytes;
use ottla_fuzz as _; // its allocator
use ottla_record::{CompressionType, ControlRecordType, DecompressionLimits, MemoryRecords, RecordBatch};

const LIMITS: DecompressionLimits = DecompressionLimits::bytes(1 << 20);

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let records = MemoryRecords::new(Bytes::copy_from_slice(input));
    let _ = records.valid_bytes();
    for record in records.records(LIMITS).flatten() {
        let _ = ControlRecordType::parse(record.key.as_deref());
    }
    // Checksums and lengths would keep the fuzzer out of the codecs, so it may go in by the side door.
    if let [codec, data @ ..] = input {
        let codec = CompressionType::ALL[usize::from(*codec) % CompressionType::ALL.len()];
        if let Ok(unpacked) = codec.decompress(data, &LIMITS) {
            assert!(unpacked.len() <= 1 << 20 || codec == CompressionType::None);
        }
    }
    if let Some((header, data)) = input.split_first_chunk::<61>() {
        let mut bytes = [&header[..], data].concat();
        bytes[8..12].copy_from_slice(&(49 + data.len() as i32).to_be_bytes());
        bytes[16] = 2;
        let batch = RecordBatch::new(bytes).expect("sizes and magic are right");
        if let Ok(records) = batch.records(&LIMITS) {
            for record in records.iter().flatten() {
                assert_eq!(record.headers.iter().count(), record.headers.len());
            }
        }
    }
});

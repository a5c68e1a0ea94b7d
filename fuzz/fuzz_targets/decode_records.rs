#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::fuzz(ottla_fuzz::RECORDS, input));

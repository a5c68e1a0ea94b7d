//! `seed_corpus FOLDER` writes a sample of every message, version and codec, so that fuzzing starts deep.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use bytes::Bytes;
use libfuzzer_sys as _; // what the compiler's instrumentation calls
use ottla_fuzz::{RECORDS, REQUESTS, RESPONSES, messages};
use ottla_record::{CompressionType, MemoryRecords, RecordHeader, SimpleRecord};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).expect("a folder for the seeds"));
    of_messages(&folder.join("decode_requests"), REQUESTS)?;
    of_messages(&folder.join("decode_responses"), RESPONSES)?;
    of_messages(&folder.join("decode_records"), RECORDS)?;
    of_batches(&folder.join("record_batches"))
}

fn of_messages(folder: &Path, kinds: &[&str]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (choice, message) in messages(kinds).into_iter().enumerate() {
        for version in message.min_version..=message.max_version {
            let bytes = (message.sample)(1, version).expect("samples can be encoded");
            let head = [choice as u8, (version - message.min_version) as u8];
            fs::write(folder.join(format!("{}-{version}", message.name)), [&head, &bytes[..]].concat())?;
        }
    }
    Ok(())
}

/// Batches as they are, and packed data behind the number of its codec, for the target's side door.
fn of_batches(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let header = RecordHeader::new("name", Some(Bytes::from_static(b"value")));
    let mut keyed = SimpleRecord::of_value(1_000, "key");
    keyed.key = keyed.value.take();
    keyed.headers = vec![header];
    let records = [keyed, SimpleRecord::of_value(1_001, vec![b'x'; 300])];
    for codec in CompressionType::ALL {
        let bytes = MemoryRecords::with_idempotent_records(codec, 7, 1, 0, &records);
        let bytes = bytes.expect("two small records").into_bytes();
        fs::write(folder.join(format!("batch-{codec:?}")), &bytes)?;
        fs::write(folder.join(format!("packed-{codec:?}")), [&[codec.id() as u8], &bytes[61..]].concat())?;
    }
    Ok(())
}

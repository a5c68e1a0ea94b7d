//! Writes a sample of every message and version, so that fuzzing starts deep.

use std::fs;
use std::path::Path;

use ottla_fuzz::{RECORDS, REQUESTS, RESPONSES, messages};

fn main() -> std::io::Result<()> {
    for (target, kinds) in
        [("decode_requests", REQUESTS), ("decode_responses", RESPONSES), ("decode_records", RECORDS)]
    {
        let corpus = Path::new("corpus").join(target);
        fs::create_dir_all(&corpus)?;
        for (choice, message) in messages(kinds).into_iter().enumerate() {
            for version in message.min_version..=message.max_version {
                let bytes = (message.sample)(1, version).expect("samples can be encoded");
                let head = [choice as u8, (version - message.min_version) as u8];
                fs::write(corpus.join(format!("{}-{version}", message.name)), [&head, &bytes[..]].concat())?;
            }
        }
    }
    Ok(())
}

//! S3: bytes of the program, and what one GB of records becomes on disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;

use crate::bench::broker::Broker;
use crate::bench::run::{Figures, Run, figure, number};
use crate::paths;

/// Stores 1 GB in batches of 16 KiB and looks at the disk.
pub fn run(run: &Run<'_>) -> Result<Figures> {
    let place = run.place(&[])?;
    let server = place.start(true)?;
    run.kbench(&server, "create --topic cell --partitions 4")?;
    let bytes = if run.quick { 300_000_000 } else { 1_000_000_000 };
    let written = server.written_bytes()?;
    let load = format!("produce --topic cell --partitions 4 --connections 2 --bytes {bytes}");
    let produced = number(&run.kbench(&server, &load)?, "bytes")?;
    let written = server.written_bytes()? - written;
    let (length, blocks) = sizes(&place.logs())?;
    let program = match run.broker {
        Broker::Ottla | Broker::Floor => fs::metadata(run.program())?.len() as f64,
        Broker::Kafka | Broker::Kafka22 => sizes(&paths::jars())?.0,
    };
    run.finish(server)?;
    Ok(vec![
        figure("program, MiB", program / f64::from(1 << 20)),
        figure("bytes of files for each byte of batches", length / produced),
        figure("bytes of disk for each byte of batches", blocks / produced),
        figure("bytes handed to the disk for each byte of batches", written / produced),
    ])
}

/// Lengths of all files below a folder, and the room that they take.
fn sizes(folder: &Path) -> Result<(f64, f64)> {
    let mut sum = (0.0, 0.0);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let more = if metadata.is_dir() {
            sizes(&entry.path())?
        } else {
            (metadata.len() as f64, metadata.blocks() as f64 * 512.0)
        };
        sum = (sum.0 + more.0, sum.1 + more.1);
    }
    Ok(sum)
}

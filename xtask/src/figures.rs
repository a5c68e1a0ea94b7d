//! Start to first answer, memory at idle and size on disk, printed beside Kafka's.

use std::fs;
use std::time::Duration;

use anyhow::Result;

use crate::options::Options;
use crate::paths;
use crate::report::Report;
use crate::server::{Node, Quorum, Side};
use crate::setup::Parts;

/// How long a server is left in peace before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// Measures the server under test and, where Java is at hand, Kafka.
pub fn run(report: &mut Report, options: &Options, parts: &Parts) {
    let mut sides = vec![options.against];
    if options.against != Side::Kafka {
        match &parts.java {
            Ok(()) => sides.push(Side::Kafka),
            Err(obstacle) => report.leave_out("Kafka's figures", &format!("{obstacle:#}")),
        }
    }
    for side in sides {
        report.check(&format!("figures of {side}"), || {
            let figures = measure(side)?;
            println!(
                "figures {side}: first start {:.0} ms, restart {:.0} ms, resident at idle {:.1} MiB, {} {:.1} MiB",
                figures.first.as_secs_f64() * 1e3,
                figures.again.as_secs_f64() * 1e3,
                mebibytes(figures.resident),
                if side == Side::Kafka { "jars" } else { "binary" },
                mebibytes(figures.disk),
            );
            Ok(())
        });
    }
}

struct Figures {
    first: Duration,
    again: Duration,
    resident: u64,
    disk: u64,
}

fn measure(side: Side) -> Result<Figures> {
    let node = Node::new("figures", Quorum::Dynamic, &[])?;
    let server = node.launch(side)?;
    let first = server.until_answer();
    server.stop()?;
    let mut server = node.start(side)?;
    let again = server.until_answer();
    // The one sleep of the tests: idling is what is measured.
    std::thread::sleep(IDLE);
    server.expect_running()?;
    let resident = server.resident_bytes()?;
    server.stop()?;
    Ok(Figures { first, again, resident, disk: disk(side)? })
}

fn disk(side: Side) -> Result<u64> {
    match side {
        Side::Ottla => Ok(fs::metadata(paths::ottla())?.len()),
        Side::Kafka => fs::read_dir(paths::jars())?.map(|entry| Ok(entry?.metadata()?.len())).sum(),
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

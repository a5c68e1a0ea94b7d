//! The cells of the matrix, and what must be reached in them.

use super::broker::Broker;
use super::cells::{connections, evicted, groups, latency, partitions, produce, start, write_back};

/// What a cell does.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Produce, then consume what was produced.
    Produce(produce::Shape),
    /// Consume only: several consumers, and sizes of fetches.
    Consume(produce::Fetching),
    /// Open loop at several rates.
    Latency(latency::Shape),
    /// CPU time with next to nothing to do.
    Trickle,
    /// Write-back beneath an open loop.
    WriteBack(write_back::Shape),
    /// A reader of evicted data beside a producer.
    CatchUp(evicted::Shape),
    /// Many partitions.
    Partitions(partitions::Shape),
    /// Many connections.
    Connections(connections::Shape),
    /// Many groups.
    Groups(groups::Shape),
    /// Start and stop, and what they need.
    Start(start::Shape),
    /// Bytes at rest.
    Footprint,
}

/// One cell.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// Its id on the command line.
    pub id: &'static str,
    /// What it is, in words.
    pub title: &'static str,
    /// What it does.
    pub kind: Kind,
    /// Rounds of a full campaign.
    pub rounds: usize,
    /// Whether `--quick` runs it.
    pub quick: bool,
    /// Whether the floor can take part.
    pub floor: bool,
    /// Whether Apache Kafka also takes part with as many threads as there are CPUs.
    pub kafka_2_2: bool,
}

impl Cell {
    /// Whether a broker takes part.
    pub fn takes(&self, broker: Broker) -> bool {
        match broker {
            Broker::Ottla | Broker::Kafka => true,
            Broker::Floor => self.floor,
            Broker::Kafka22 => self.kafka_2_2,
        }
    }
}

const fn cell(id: &'static str, title: &'static str, kind: Kind) -> Cell {
    Cell { id, title, kind, rounds: 5, quick: false, floor: true, kafka_2_2: false }
}

/// A cell that most goals speak of: Apache Kafka takes part twice.
const fn core(cell: Cell) -> Cell {
    Cell { kafka_2_2: true, ..cell }
}

const fn p1(id: &'static str, title: &'static str, batch: usize, message: usize) -> Cell {
    cell(id, title, Kind::Produce(produce::Shape { batch, message, ..produce::Shape::PLAIN }))
}

const fn latency(id: &'static str, title: &'static str, shape: latency::Shape) -> Cell {
    Cell { rounds: 10, ..cell(id, title, Kind::Latency(shape)) }
}

const L1: latency::Shape =
    latency::Shape { message: 1024, partitions: 1, pinned: false, rates: &[200.0, 1000.0, 5000.0, 20_000.0] };

/// Every cell, in the order of the page.
pub const CELLS: &[Cell] = &[
    Cell { quick: true, ..core(p1("P1-1-1KiB", "produce one record of 1 KiB in each batch", 1, 1024)) },
    p1("P1-1-100B", "produce one record of 100 B in each batch", 1, 100),
    p1("P1-1KiB-100B", "produce batches of 1 KiB, records of 100 B", 1024, 100),
    Cell {
        quick: true,
        ..core(p1("P1-16KiB-1KiB", "produce batches of 16 KiB, records of 1 KiB", 16_384, 1024))
    },
    p1("P1-16KiB-100B", "produce batches of 16 KiB, records of 100 B", 16_384, 100),
    core(p1("P1-64KiB-1KiB", "produce batches of 64 KiB, records of 1 KiB", 65_536, 1024)),
    p1("P1-64KiB-100B", "produce batches of 64 KiB, records of 100 B", 65_536, 100),
    core(p1("P1-1MB-1KiB", "produce batches of 1 MB, records of 1 KiB", 1_000_000, 1024)),
    p1("P1-1MB-100B", "produce batches of 1 MB, records of 100 B", 1_000_000, 100),
    cell(
        "P3-lz4",
        "produce lz4 as received, batches of 16 KiB before compression, records of 100 B",
        Kind::Produce(produce::Shape { message: 100, compression: "lz4", ..produce::Shape::PLAIN }),
    ),
    cell(
        "P3-zstd",
        "produce zstd as received, batches of 16 KiB before compression, records of 100 B",
        Kind::Produce(produce::Shape { message: 100, compression: "zstd", ..produce::Shape::PLAIN }),
    ),
    Cell {
        floor: false,
        ..cell(
            "P3-recompress",
            "producers send lz4, the topic keeps zstd, records of 100 B",
            Kind::Produce(produce::Shape {
                message: 100,
                compression: "lz4",
                configs: "compression.type=zstd",
                alike: false,
                ..produce::Shape::PLAIN
            }),
        )
    },
    core(cell(
        "P4",
        "50 producers, random partitions of 100, 8 batches of 2 records of 1 KiB in each request",
        Kind::Produce(produce::Shape {
            batch: 2_200,
            partitions: 100,
            connections: 50,
            slots: 8,
            random: true,
            ..produce::Shape::PLAIN
        }),
    )),
    cell(
        "C1-64KiB",
        "consume from the page cache, 64 KiB at most in each fetch",
        Kind::Consume(produce::Fetching { max_bytes: 65_536, consumers: 1 }),
    ),
    core(cell(
        "C1-1MiB",
        "consume from the page cache, 1 MiB at most in each fetch",
        Kind::Consume(produce::Fetching { max_bytes: 1 << 20, consumers: 1 }),
    )),
    cell(
        "C1-10groups",
        "ten consumers read the same data, 1 MiB at most in each fetch",
        Kind::Consume(produce::Fetching { max_bytes: 1 << 20, consumers: 10 }),
    ),
    cell(
        "C2",
        "a reader of evicted data beside a producer of 1,000 messages a second",
        Kind::CatchUp(evicted::Shape { bytes: 3_000_000_000, seconds: 10.0, rate: 1000.0 }),
    ),
    Cell { quick: true, ..core(latency("L1-1KiB", "open loop, 1 KiB, 1 partition, both CPUs", L1)) },
    latency(
        "L1-1KiB-pinned",
        "open loop, 1 KiB, 1 partition, all on one CPU",
        latency::Shape { pinned: true, rates: &[200.0, 1000.0], ..L1 },
    ),
    latency("L1-100B", "open loop, 100 B, 1 partition, both CPUs", latency::Shape { message: 100, ..L1 }),
    latency(
        "L1-100p",
        "open loop, 1 KiB, 100 partitions, both CPUs",
        latency::Shape { partitions: 100, ..L1 },
    ),
    Cell {
        rounds: 3,
        ..cell(
            "L2",
            "ten minutes at half of the slower broker's peak, write-back running",
            Kind::WriteBack(write_back::Shape { seconds: 600.0, least_bytes: 3_000_000_000 }),
        )
    },
    cell(
        "N1-1k",
        "1,000 partitions of one topic",
        Kind::Partitions(partitions::Shape { topics: 1, partitions: 1_000 }),
    ),
    cell(
        "N1-1k-topics",
        "1,000 topics of one partition",
        Kind::Partitions(partitions::Shape { topics: 1_000, partitions: 1 }),
    ),
    Cell {
        rounds: 3,
        ..cell(
            "N1-10k",
            "10,000 partitions in 10 topics",
            Kind::Partitions(partitions::Shape { topics: 10, partitions: 1_000 }),
        )
    },
    Cell {
        rounds: 1,
        floor: false,
        ..cell(
            "N1-50k",
            "50,000 partitions in 50 topics",
            Kind::Partitions(partitions::Shape { topics: 50, partitions: 1_000 }),
        )
    },
    Cell {
        rounds: 1,
        floor: false,
        ..cell(
            "N1-100k",
            "100,000 partitions in 100 topics",
            Kind::Partitions(partitions::Shape { topics: 100, partitions: 1_000 }),
        )
    },
    cell("N2-1k", "1,000 idle connections", Kind::Connections(connections::Shape { idle: 1_000 })),
    cell("N2-10k", "10,000 idle connections", Kind::Connections(connections::Shape { idle: 10_000 })),
    cell("N2-19k", "19,000 idle connections", Kind::Connections(connections::Shape { idle: 19_000 })),
    Cell {
        floor: false,
        ..cell(
            "G1",
            "1,000 groups of ten members each, heartbeats of the consumer protocol and 10,000 commits a second",
            Kind::Groups(groups::Shape { groups: 1_000, members: 10, commits: 10_000.0 }),
        )
    },
    Cell {
        quick: true,
        ..cell(
            "S1-empty",
            "start and stop, empty",
            Kind::Start(start::Shape { partitions: 1, bytes: 0, killed: false }),
        )
    },
    Cell {
        rounds: 3,
        floor: false,
        ..cell(
            "S1-10k",
            "start after a clean stop with 10,000 partitions",
            Kind::Start(start::Shape { partitions: 10_000, bytes: 0, killed: false }),
        )
    },
    Cell {
        rounds: 3,
        floor: false,
        ..cell(
            "S1-10k-killed",
            "start after kill -9 with 10,000 partitions",
            Kind::Start(start::Shape { partitions: 10_000, bytes: 0, killed: true }),
        )
    },
    Cell {
        rounds: 3,
        floor: false,
        ..cell(
            "S1-20GB-killed",
            "start after kill -9 with 20 GB of log",
            Kind::Start(start::Shape { partitions: 4, bytes: 20_000_000_000, killed: true }),
        )
    },
    Cell { quick: true, ..cell("S3", "bytes of the program, and on disk for each GB", Kind::Footprint) },
    Cell { quick: true, ..core(cell("U1", "CPU time at 0, 10 and 1,000 messages a second", Kind::Trickle)) },
];

/// The same figure in several cells must clear the same bar.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// A cell's id; a star at its end stands for anything.
    pub cell: &'static str,
    /// The figure's name, or the end of it.
    pub figure: &'static str,
    /// At most this share of Apache Kafka's.
    pub kafka: Option<f64>,
    /// At most this multiple of the floor's.
    pub floor: Option<f64>,
    /// At most this much, in the figure's own unit.
    pub at_most: Option<f64>,
}

const fn shares(cell: &'static str, figure: &'static str, kafka: f64, floor: Option<f64>) -> Goal {
    Goal { cell, figure, kafka: Some(kafka), floor, at_most: None }
}

const fn bound(cell: &'static str, figure: &'static str, at_most: f64) -> Goal {
    Goal { cell, figure, kafka: None, floor: None, at_most: Some(at_most) }
}

/// All goals; a row is never weakened to pass.
pub const GOALS: &[Goal] = &[
    shares("P1-1-*", produce::PRODUCE, 0.25, None),
    shares("P1-16KiB-*", produce::PRODUCE, 0.25, Some(1.1)),
    shares("P1-64KiB-*", produce::PRODUCE, 0.25, Some(1.2)),
    shares("P1-1MB-*", produce::PRODUCE, 0.35, Some(1.15)),
    shares("P3-lz4", produce::PRODUCE, 0.4, None),
    shares("P4", produce::PRODUCE, 0.35, None),
    shares("P1-*", produce::CONSUME, 0.3, Some(1.2)),
    shares("C1-*", produce::CONSUME, 0.3, Some(1.2)),
    bound("P1-*", produce::ANONYMOUS, 100.0),
    bound("P3-*", produce::ANONYMOUS, 100.0),
    bound("P4", produce::ANONYMOUS, 100.0),
    bound("C1-*", produce::ANONYMOUS, 100.0),
    bound("L1-*", produce::ANONYMOUS, 100.0),
    shares("C2", evicted::RAISE, 0.5, None),
    bound("C2", evicted::RAISE, 2.0),
    shares("L1-*", "p50, µs", 0.5, Some(1.4)),
    shares("L1-*", "p99, µs", 0.25, None),
    shares("L1-*", "p99.9, µs", 0.25, None),
    shares("L2", "p99.9, µs", 0.2, None),
    bound("L2", write_back::WORST, 50.0),
    shares("N1-10k", partitions::CREATE, 1.0 / 3.0, None),
    bound("N1-*", partitions::MEMORY, 2.0),
    bound("N2-*", connections::MEMORY, 6.0),
    shares("G1", groups::CPU, 1.0, None),
    shares("G1", groups::HEARTBEAT_P99, 0.5, None),
    bound("S1-empty", start::ANSWER, 50.0),
    bound("S1-10k", start::ANSWER, 500.0),
    shares("S1-20GB-killed", start::ANSWER, 0.2, None),
    bound("S1-*", start::STOP, 500.0),
    bound("S1-empty", start::RESIDENT, 30.0),
    shares("U1", "CPU µs for each message", 0.15, Some(1.5)),
];

impl Goal {
    /// Whether it speaks of this figure of a cell.
    pub fn covers(&self, cell: &str, figure: &str) -> bool {
        let named = match self.cell.strip_suffix('*') {
            Some(start) => cell.starts_with(start),
            None => cell == self.cell,
        };
        named && figure.ends_with(self.figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_every_goal_has_a_cell() {
        for (index, cell) in CELLS.iter().enumerate() {
            assert!(CELLS[..index].iter().all(|other| other.id != cell.id), "{}", cell.id);
        }
        for goal in GOALS {
            assert!(CELLS.iter().any(|cell| goal.covers(cell.id, goal.figure)), "{goal:?}");
        }
    }
}

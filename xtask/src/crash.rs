//! kill -9 in the middle of a produce load: nothing acknowledged is lost, nothing comes twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};

use crate::batch::{Sequence, build, whole_batches};
use crate::options::Options;
use crate::report::Report;
use crate::server::{Node, Quorum};
use crate::wire::Client;

/// Rounds on one topic: each round reads all of it, so it must not grow without end.
const ROUNDS_PER_TOPIC: u32 = 4;
const PRODUCERS: i32 = 3;
const IN_FLIGHT: usize = 5;
/// Records in one batch.
const BATCH: i32 = 7;

/// Kills the server as often as asked, at a random point each time.
pub fn run(report: &mut Report, options: &Options) {
    let rounds = options.counts.crashes;
    report.check(&format!("{rounds} times kill -9 under produce load"), || {
        let more = [("log.segment.bytes", "1048576"), ("log.index.interval.bytes", "512")];
        let node = Node::new("crash", Quorum::Dynamic, &more)?;
        let mut server = node.launch(options.against)?;
        let mut producers = Vec::new();
        let mut records = 0;
        let mut chance = Chance::new();
        println!("seed {}", chance.0);
        for round in 1..=rounds {
            if round % ROUNDS_PER_TOPIC == 1 {
                records += producers.iter().map(|producer: &Producer| i64::from(producer.next)).sum::<i64>();
                producers = fresh(&mut Client::connect(&server.bootstrap())?, round)?;
            }
            let address = server.bootstrap();
            load(&mut producers, &address, chance.millis(150, 1500), || server.kill())
                .with_context(|| format!("round {round}"))?;
            server = node.start(options.against).with_context(|| format!("restart of round {round}"))?;
            let mut client = Client::connect(&server.bootstrap())?;
            for producer in &mut producers {
                producer.settle(&mut client).with_context(|| format!("round {round}"))?;
            }
        }
        records += producers.iter().map(|producer| i64::from(producer.next)).sum::<i64>();
        ensure!(records > 0, "no record was acknowledged at all");
        println!("{records} records acknowledged over {rounds} rounds");
        server.stop()
    });
}

/// A new topic with one producer for each partition.
fn fresh(client: &mut Client, round: u32) -> Result<Vec<Producer>> {
    let topic = format!("crashed-{round}");
    client.create_topic(&topic, PRODUCERS, &[])?;
    (0..PRODUCERS)
        .map(|partition| {
            let (id, epoch) = client.init_producer_id()?;
            let acknowledged = BTreeMap::new();
            Ok(Producer { topic: topic.clone(), id, epoch, partition, next: 0, acknowledged })
        })
        .collect()
}

/// An idempotent producer of one partition, and what it was promised.
struct Producer {
    topic: String,
    id: i64,
    epoch: i16,
    partition: i32,
    /// Sequence after the last one that is settled.
    next: i32,
    /// First sequence of a batch and the offset that was answered for it.
    acknowledged: BTreeMap<i32, i64>,
}

/// Everybody produces until the server is gone.
fn load(
    producers: &mut [Producer],
    address: &str,
    how_long: Duration,
    kill: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let running: Vec<_> =
            producers.iter_mut().map(|producer| scope.spawn(|| producer.produce(address, &stop))).collect();
        let begin = Instant::now();
        while begin.elapsed() < how_long {
            thread::sleep(Duration::from_millis(1));
        }
        let killed = kill();
        stop.store(true, Ordering::Relaxed);
        for handle in running {
            handle.join().map_err(|_| anyhow!("a producer died"))??;
        }
        killed
    })
}

impl Producer {
    fn batch(&self, first: i32) -> Vec<u8> {
        let values: Vec<Vec<u8>> = (first..first + BATCH)
            .map(|n| format!("{}-{n}-{}", self.partition, "x".repeat((n % 300) as usize)).into_bytes())
            .collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let sequence = Sequence { producer: self.id, epoch: self.epoch, first };
        build(&values, i64::try_from(now).unwrap_or(0), sequence)
    }

    /// Several batches in flight; an error of the socket is the crash we came for.
    fn produce(&mut self, address: &str, stop: &AtomicBool) -> Result<()> {
        let mut client = Client::connect(address)?;
        let mut sent = std::collections::VecDeque::new();
        let mut next = self.next;
        while !stop.load(Ordering::Relaxed) {
            while sent.len() < IN_FLIGHT {
                let Ok(correlation) = client.send_produce(&self.topic, self.partition, &self.batch(next))
                else {
                    return Ok(());
                };
                sent.push_back((correlation, next));
                next += BATCH;
            }
            let Some((correlation, first)) = sent.pop_front() else { continue };
            let Ok(produced) = client.receive_produce(correlation) else { return Ok(()) };
            ensure!(produced.error == 0, "Produce answered error {} for sequence {first}", produced.error);
            self.acknowledged.insert(first, produced.base_offset);
            self.next = first + BATCH;
        }
        Ok(())
    }

    /// After a restart: the last batch that arrived is known as a duplicate, the next ones are
    /// taken, and the whole partition is what it has to be.
    fn settle(&mut self, client: &mut Client) -> Result<()> {
        let (bytes, _) = client.read_partition(&self.topic, self.partition)?;
        if let Some(last) = whole_batches(&bytes)?.last() {
            let arrived = last.first_sequence + BATCH;
            ensure!(arrived >= self.next, "{} records were acknowledged and {arrived} are there", self.next);
            let duplicate = client.produce(&self.topic, self.partition, &self.batch(last.first_sequence))?;
            ensure!(duplicate.error == 0, "the duplicate was answered with error {}", duplicate.error);
            ensure!(
                duplicate.base_offset == last.base_offset,
                "the duplicate's offset: {}",
                duplicate.base_offset
            );
            self.next = arrived;
        }
        for _ in 0..3 {
            let produced = client.produce(&self.topic, self.partition, &self.batch(self.next))?;
            ensure!(produced.error == 0, "sequence {} was answered with error {}", self.next, produced.error);
            self.acknowledged.insert(self.next, produced.base_offset);
            self.next += BATCH;
        }
        self.compare(client)
    }

    fn compare(&self, client: &mut Client) -> Result<()> {
        let (bytes, end) = client.read_partition(&self.topic, self.partition)?;
        let mut offset = 0;
        let mut sequence = 0;
        for batch in whole_batches(&bytes)? {
            ensure!(batch.base_offset == offset, "offset {} where {offset} should be", batch.base_offset);
            ensure!(batch.producer == self.id, "a batch of producer {}", batch.producer);
            let first = batch.first_sequence;
            ensure!(first == sequence, "sequence {first} where {sequence} should be: lost or twice");
            ensure!(batch.count == BATCH, "{} records in a batch", batch.count);
            if let Some(answered) = self.acknowledged.get(&first) {
                ensure!(
                    *answered == offset,
                    "sequence {first} was answered with {answered} and is at {offset}"
                );
            }
            let records = &bytes[batch.start + 61..batch.end];
            let expected = &self.batch(first)[61..];
            ensure!(records == expected, "other records at offset {offset}");
            offset = batch.next_offset;
            sequence += BATCH;
        }
        ensure!(offset == end, "the batches end at {offset} and the partition at {end}");
        ensure!(sequence == self.next, "{sequence} records are there and {} were acknowledged", self.next);
        Ok(())
    }
}

/// Random points in time; the seed is printed.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos());
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        Self(seed.unwrap_or(now as u64) | 1)
    }

    fn millis(&mut self, low: u64, high: u64) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(low + self.0 % (high - low))
    }
}

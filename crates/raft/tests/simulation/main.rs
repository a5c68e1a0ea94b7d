//! Ring 1: whole quorums of kernels on a simulated network and simulated disks, from one seed.
//!
//! Messages are delayed, reordered, lost; nodes are cut off, crash, lose what was not flushed, and come back;
//! snapshots replace the beginning of logs. All the while:
//!
//! - ONE-LEADER-PER-EPOCH: no epoch has two leaders.
//! - COMMITTED-NEVER-LOST: what one node holds for committed, no node ever has otherwise at that offset.
//! - HW-MONOTONIC: what a running node holds for committed does not shrink.
//! - Once the trouble ends, a leader is found and commits on every node.

mod cluster;
mod disk;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cluster::{Cluster, Trouble};

fn run(seed: u64, nodes: i32, steps: usize) {
    let mut cluster = Cluster::new(seed, nodes);
    cluster.run(steps, Trouble::all());
    cluster.heal();
    cluster.run_until_settled();
}

#[test]
fn three_voters_survive_trouble() {
    for seed in 1..=60 {
        run(seed, 3, 3_000);
    }
}

#[test]
fn five_voters_survive_trouble() {
    for seed in 100..=115 {
        run(seed, 5, 4_000);
    }
}

#[test]
fn one_voter_survives_crashes() {
    for seed in 200..=230 {
        run(seed, 1, 1_000);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let history = |seed: u64| {
        let mut cluster = Cluster::new(seed, 3);
        cluster.run(2_000, Trouble::all());
        cluster.history().to_vec()
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

#[test]
fn without_trouble_the_first_leader_stays() {
    let mut cluster = Cluster::new(42, 3);
    cluster.run(5_000, Trouble::none());
    assert!(cluster.leaders().len() <= 2, "elections were repeated: {:?}", cluster.leaders());
    cluster.run_until_settled();
}

/// `OTTLA_SIM_SEEDS=1000..2000 cargo test -p ottla-raft --test simulation -- --ignored` looks further, and
/// with `OTTLA_SIM_SECONDS` it looks no longer than that.
#[test]
#[ignore = "as long as one likes"]
fn more_seeds() {
    let range = std::env::var("OTTLA_SIM_SEEDS").unwrap_or_else(|_| "1000..2000".to_owned());
    let (from, to) = range.split_once("..").expect("a range of seeds");
    let (from, to): (u64, u64) = (from.parse().expect("a seed"), to.parse().expect("a seed"));
    let seconds = std::env::var("OTTLA_SIM_SECONDS").map_or(u64::MAX, |text| text.parse().expect("seconds"));
    let start = Instant::now();
    let next = AtomicU64::new(from);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while start.elapsed().as_secs() < seconds {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to {
                        break;
                    }
                    let told = ToldWhenItFails(seed);
                    run(seed, 1 + (seed % 5) as i32, 5_000);
                    drop(told);
                }
            });
        }
    });
    let runs = next.into_inner().min(to) - from;
    println!("{runs} seeds from {from} in {} s", start.elapsed().as_secs());
}

/// Says how to see a failure again.
struct ToldWhenItFails(u64);

impl Drop for ToldWhenItFails {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {0} failed: OTTLA_SIM_SEEDS={0}..{1} runs it alone", self.0, self.0 + 1);
        }
    }
}

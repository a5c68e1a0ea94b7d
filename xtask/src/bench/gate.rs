//! Whether the machine was quiet while something was measured.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// How long the arithmetic loop runs.
const LOOP: Duration = Duration::from_millis(200);
/// A loop this much slower than the best means that the machine was slower.
const SLOWER: f64 = 1.2;
/// Share of all CPU time that the host may take away.
const STEAL: f64 = 0.05;
/// Share of one CPU that others may use meanwhile.
const FOREIGN: f64 = 0.15;

/// The best speed of the loop that was ever seen in this campaign.
#[derive(Debug, Default)]
pub struct Gate {
    best: f64,
}

/// The state before a run.
#[derive(Debug)]
pub struct Before {
    speed: f64,
    times: Times,
    begin: Instant,
}

/// CPU seconds since boot, without those of the kernel's own threads.
#[derive(Debug, Clone, Copy)]
struct Times {
    busy: f64,
    steal: f64,
}

impl Gate {
    /// Looks before a run.
    pub fn before(&mut self) -> Result<Before> {
        let speed = self.speed();
        Ok(Before { speed, times: times()?, begin: Instant::now() })
    }

    /// Looks after it; `own` is the CPU time of the server and of the load.
    pub fn after(&mut self, before: &Before, own: f64) -> Result<Value> {
        let now = times()?;
        let wall = before.begin.elapsed().as_secs_f64();
        let speed = self.speed();
        let slowest = self.best / speed.min(before.speed).max(1.0);
        let cpus = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let steal = (now.steal - before.times.steal) / (wall * cpus);
        let foreign = ((now.busy - before.times.busy - own) / wall).max(0.0);
        Ok(json!({
            "slowest_loop": round(slowest),
            "steal": round(steal),
            "foreign_cpus": round(foreign),
            "load": fs::read_to_string("/proc/loadavg")?.split(' ').next().and_then(|l| l.parse::<f64>().ok()),
            "noisy": slowest > SLOWER || steal > STEAL || foreign > FOREIGN,
        }))
    }

    /// Steps of arithmetic in a second, without any memory.
    fn speed(&mut self) -> f64 {
        let begin = Instant::now();
        let (mut steps, mut state) = (0_u64, 0x9E37_79B9_7F4A_7C15_u64);
        while begin.elapsed() < LOOP {
            for _ in 0..10_000 {
                state = black_box(state ^ (state << 13)).rotate_left(7).wrapping_mul(5);
            }
            steps += 10_000;
        }
        let speed = steps as f64 / begin.elapsed().as_secs_f64();
        self.best = self.best.max(speed);
        speed
    }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn times() -> Result<Times> {
    let text = fs::read_to_string("/proc/stat")?;
    let mut times = parse(&text).context("no CPU times in /proc/stat")?;
    times.busy -= kernel_threads();
    Ok(times)
}

fn parse(text: &str) -> Option<Times> {
    let line = text.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    let second = rustix::param::clock_ticks_per_second() as f64;
    let [user, nice, system, _idle, _wait, irq, softirq, steal, ..] = ticks[..] else { return None };
    Some(Times { busy: (user + nice + system + irq + softirq) / second, steal: steal / second })
}

/// CPU seconds of the kernel's own threads, which write back and reclaim for whoever wrote.
fn kernel_threads() -> f64 {
    let second = rustix::param::clock_ticks_per_second() as f64;
    let Ok(processes) = fs::read_dir("/proc") else { return 0.0 };
    let stat = |entry: fs::DirEntry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        let fields: Vec<&str> = text.rsplit(')').next()?.split_whitespace().collect();
        // Children of kthreadd, whose id is 2.
        let times = (fields.get(11)?.parse::<f64>().ok()?, fields.get(12)?.parse::<f64>().ok()?);
        (*fields.get(1)? == "2").then_some((times.0 + times.1) / second)
    };
    processes.flatten().filter_map(stat).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn cpu_times_of_the_kernel() {
        let times = super::parse("cpu  100 0 50 1000 5 1 9 200 0 0\ncpu0 1 2\n").unwrap();
        let second = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!((times.busy * second, times.steal * second), (160.0, 200.0));
        assert!(super::parse("intr 5").is_none());
    }
}

//! All members: who is due, and how long each answer took.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ottla_bench::histogram::Histogram;

use crate::connections::{Connections, Kind, Operation};
use crate::member::{Member, committed, frame};
use crate::{PASSING, SETTLE, group_name};

const CONSUMER_GROUP_HEARTBEAT: (i16, i16) = (68, 1);
const OFFSET_COMMIT: (i16, i16) = (8, 9);
/// Rounds of heartbeats without any change before the groups count as settled.
const QUIET_ROUNDS: u32 = 2;
/// The rest of the answers.
const DRAIN: Duration = Duration::from_secs(30);
/// Members whose turn comes one after the other are this far apart, in groups that have nothing to do with
/// each other, as clients have that know nothing of each other either. A prime number, so that every
/// member has its turn.
const STRIDE: usize = 7919;

/// The whole load and its figures.
pub(crate) struct Load {
    members: Vec<Member>,
    connections: Connections,
    pub(crate) figures: Figures,
    counting: bool,
}

/// What was seen while it counted.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) heartbeat: Histogram,
    pub(crate) commit: Histogram,
    /// How late requests were begun, which no server can help.
    pub(crate) late: Histogram,
    /// Answers with an error, and how often.
    pub(crate) refused: BTreeMap<(Kind, i16), u64>,
    /// Heartbeats that were told another epoch or assignment.
    pub(crate) rebalanced: u64,
}

/// Something that is due so often, by one member after the other.
struct Rhythm {
    kind: Kind,
    begin: Instant,
    per_second: f64,
    done: u64,
    all: u64,
}

impl Rhythm {
    fn new(kind: Kind, begin: Instant, per_second: f64, seconds: f64) -> Self {
        Self { kind, begin, per_second, done: 0, all: (per_second * seconds) as u64 }
    }

    /// When the next one is due.
    fn next(&self) -> Option<Instant> {
        let after = Duration::from_secs_f64(self.done as f64 / self.per_second);
        (self.done < self.all).then(|| self.begin + after)
    }

    fn take_due(&mut self, now: Instant, members: usize) -> Option<Operation> {
        let intended = self.next().filter(|due| *due <= now)?;
        let member = (self.done as usize % members) * STRIDE % members;
        self.done += 1;
        Some(Operation { kind: self.kind, member, intended })
    }
}

impl Load {
    /// Members that have not joined, and their connections.
    pub(crate) fn new(address: &str, groups: usize, members: usize, connections: usize) -> Result<Self> {
        ensure!(!(groups * members).is_multiple_of(STRIDE), "another number of members, please");
        let member = |number: usize| Member::new(group_name(number / members), format!("member-{number}"));
        let members = (0..groups * members).map(member).collect();
        let connections = Connections::new(address, connections)?;
        Ok(Self { members, connections, figures: Figures::default(), counting: false })
    }

    /// All members join, and send heartbeats until nothing changes any more.
    pub(crate) fn join(&mut self) -> Result<()> {
        let end = Instant::now() + SETTLE;
        let mut quiet = 0;
        while quiet < QUIET_ROUNDS {
            ensure!(Instant::now() < end, "the groups do not settle within {SETTLE:?}");
            self.members.iter_mut().for_each(|member| member.changed = false);
            for member in 0..self.members.len() {
                self.begin(Operation { kind: Kind::Heartbeat, member, intended: Instant::now() })?;
            }
            while !self.connections.idle() {
                self.receive(Duration::from_millis(100))?;
            }
            let settled = self.members.iter().all(|m| !m.changed && m.epoch > 0 && !m.owned.is_empty());
            quiet = if settled { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Heartbeats and commits at their times; gives the seconds that it took.
    pub(crate) fn steady(&mut self, commits: f64, seconds: f64, count: bool) -> Result<f64> {
        self.counting = count;
        let interval = self.members.first().map_or(5000, |member| member.interval_ms.max(1));
        let beats = self.members.len() as f64 * 1000.0 / f64::from(interval);
        let begin = Instant::now();
        let mut rhythms = [
            Rhythm::new(Kind::Heartbeat, begin, beats, seconds),
            Rhythm::new(Kind::Commit, begin, commits, seconds),
        ];
        let last = begin + Duration::from_secs_f64(seconds) + DRAIN;
        loop {
            let now = Instant::now();
            ensure!(now < last, "answers are still missing {DRAIN:?} after the end");
            for rhythm in &mut rhythms {
                while let Some(operation) = rhythm.take_due(now, self.members.len()) {
                    if count {
                        let late = now.saturating_duration_since(operation.intended);
                        self.figures.late.record(late.as_nanos() as u64);
                    }
                    self.begin(operation)?;
                }
            }
            let next = rhythms.iter().filter_map(Rhythm::next).min();
            if next.is_none() && self.connections.idle() {
                return Ok(begin.elapsed().as_secs_f64());
            }
            self.receive(next.unwrap_or(last).saturating_duration_since(Instant::now()))?;
        }
    }

    fn begin(&mut self, operation: Operation) -> Result<()> {
        let members = &mut self.members;
        self.connections.begin(operation, |operation| request(members, operation))
    }

    /// Waits for answers and takes all that are there.
    fn receive(&mut self, timeout: Duration) -> Result<()> {
        let mut answers = Vec::new();
        self.connections.receive(timeout, &mut answers)?;
        let now = Instant::now();
        for (operation, answer) in answers {
            self.take(now, operation, &answer)?;
            let members = &mut self.members;
            self.connections.proceed(operation.member, |operation| request(members, operation))?;
        }
        Ok(())
    }

    fn take(&mut self, now: Instant, operation: Operation, answer: &[u8]) -> Result<()> {
        let took = now.saturating_duration_since(operation.intended).as_nanos() as u64;
        let member = &mut self.members[operation.member];
        let (error, histogram) = match operation.kind {
            Kind::Heartbeat => (member.beaten(answer)?, &mut self.figures.heartbeat),
            Kind::Commit => (committed(answer)?, &mut self.figures.commit),
        };
        match (error, self.counting) {
            (0, false) => {}
            (0, true) => {
                histogram.record(took);
                let moved = operation.kind == Kind::Heartbeat && member.moved;
                self.figures.rebalanced += u64::from(moved);
            }
            (error, true) => *self.figures.refused.entry((operation.kind, error)).or_default() += 1,
            (error, false) if PASSING.contains(&error) => self.begin(operation)?,
            (error, false) => bail!("{:?} of {} answered {error}", operation.kind, member.id),
        }
        Ok(())
    }
}

fn request(members: &mut [Member], operation: Operation) -> Vec<u8> {
    let member = &mut members[operation.member];
    match operation.kind {
        Kind::Heartbeat => frame(CONSUMER_GROUP_HEARTBEAT, |w| member.heartbeat(w)),
        Kind::Commit => frame(OFFSET_COMMIT, |w| member.commit(w)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_member_has_its_turn_and_neighbours_are_of_other_groups() {
        let begin = Instant::now();
        let mut rhythm = Rhythm::new(Kind::Commit, begin, 10_000.0, 1.0);
        let end = begin + Duration::from_secs(1);
        let turns: Vec<usize> =
            std::iter::from_fn(|| rhythm.take_due(end, 10_000)).map(|operation| operation.member).collect();
        assert_eq!(turns.iter().collect::<HashSet<_>>().len(), 10_000);
        assert!(turns.windows(2).all(|pair| pair[0] / 10 != pair[1] / 10));
    }
}

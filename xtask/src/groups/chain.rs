//! Five hops of consume, transform, produce, each in transactions, while hops and the server are killed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::chance::{Chance, meanwhile};
use super::program::{Program, START};
use super::{SETTINGS, hanging, under_fire};
use crate::options::Options;
use crate::report::Report;
use crate::server::{Node, Quorum, Side};

const HOPS: usize = 5;
/// What is still on its way when the feeding ends, and the reading of all of it.
const DRAIN: Duration = Duration::from_secs(420);
/// Of so many blows one hits the server.
const SERVER_ONE_IN: usize = 5;

/// A chain under fire for half a minute, or for as long as a soak takes.
pub fn run(report: &mut Report, options: &Options, side: Side) {
    let how_long = under_fire(options);
    let mut told = None;
    report.check(&format!("{side}: {HOPS} hops under fire for {} s", how_long.as_secs()), || {
        told = Some(fire(side, how_long)?);
        Ok(())
    });
    if let Some((success, text)) = told {
        for line in text.lines().filter(|line| line.starts_with("fire: ")) {
            println!("{side}: {line}");
        }
        report.suite(&format!("{side}: chain"), success, &text);
    }
}

fn fire(side: Side, how_long: Duration) -> Result<(bool, String)> {
    let node = Node::new(&format!("chain-{side}"), Quorum::Dynamic, SETTINGS)?;
    let mut server = node.launch(side)?;
    let bootstrap = node.bootstrap();
    let (hops, seconds) = (HOPS.to_string(), how_long.as_secs().to_string());
    let mut ends = Program::start(&format!("fire-{side}"), &["fire", &bootstrap, &hops, &seconds])?;
    ends.await_line("ready", START)?;
    let mut workers =
        (1..=HOPS).map(|hop| Worker::start(side, &bootstrap, hop)).collect::<Result<Vec<_>>>()?;
    for worker in &mut workers {
        worker.program()?.await_line("up", START)?;
    }
    let mut chance = Chance::new();
    let (mut kills, mut crashes) = (0, 0);
    while !meanwhile(chance.millis(500, 2500), || ends.has_said("fed "))? {
        ends.expect_running()?;
        for worker in &mut workers {
            worker.program()?.expect_running()?;
        }
        if chance.below(SERVER_ONE_IN) == 0 || kills > 3 && crashes == 0 {
            server.kill()?;
            server = node.start(side).with_context(|| format!("restart {}", crashes + 1))?;
            crashes += 1;
        } else {
            workers[chance.below(HOPS)].kill_and_replace(&bootstrap)?;
            kills += 1;
        }
    }
    println!("{side}: {kills} times a hop was killed, {crashes} times the server");
    let told = ends.finish(DRAIN)?;
    ensure!(kills > 0 && crashes > 0, "nobody was killed");
    hanging::none(side, &bootstrap)?;
    server.expect_running()?;
    drop(workers);
    server.stop()?;
    Ok(told)
}

/// One hop's process; each second one speaks the consumer protocol.
struct Worker {
    hop: usize,
    program: Option<Program>,
}

impl Worker {
    fn start(side: Side, bootstrap: &str, hop: usize) -> Result<Self> {
        let number = hop.to_string();
        let program = Program::start(&format!("hop-{hop}-{side}"), &Self::args(bootstrap, hop, &number))?;
        Ok(Self { hop, program: Some(program) })
    }

    fn args<'a>(bootstrap: &'a str, hop: usize, number: &'a str) -> [&'a str; 5] {
        ["hop", bootstrap, number, if hop.is_multiple_of(2) { "consumer" } else { "classic" }, "1"]
    }

    fn program(&mut self) -> Result<&mut Program> {
        self.program.as_mut().context("the hop was not started again")
    }

    fn kill_and_replace(&mut self, bootstrap: &str) -> Result<()> {
        let number = self.hop.to_string();
        let program = self.program.take().context("the hop was not started again")?;
        self.program = Some(program.replace(&Self::args(bootstrap, self.hop, &number))?);
        Ok(())
    }
}

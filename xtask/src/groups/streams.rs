//! Kafka Streams with exactly_once_v2: two instances of an application, killed and restarted under load.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::chance::{Chance, meanwhile};
use super::program::{Program, START};
use super::{SETTINGS, hanging, under_fire};
use crate::options::Options;
use crate::paths;
use crate::report::Report;
use crate::server::{Node, Quorum, Side};

const INSTANCES: usize = 2;
const DRAIN: Duration = Duration::from_secs(420);
const SERVER_ONE_IN: usize = 4;

/// The application with both group protocols.
pub fn run(report: &mut Report, options: &Options, side: Side) {
    for protocol in ["classic", "streams"] {
        let how_long = under_fire(options);
        let mut told = None;
        let name = format!("{side}: Kafka Streams with group.protocol={protocol} under fire");
        report.check(&name, || {
            told = Some(scene(side, protocol, how_long)?);
            Ok(())
        });
        if let Some((success, text)) = told {
            report.suite(&format!("{side}: streams"), success, &text);
        }
    }
}

fn scene(side: Side, protocol: &str, how_long: Duration) -> Result<(bool, String)> {
    let node = Node::new(&format!("streams-{protocol}-{side}"), Quorum::Dynamic, SETTINGS)?;
    let mut server = node.launch(side)?;
    let bootstrap = node.bootstrap();
    let application = format!("app-{protocol}");
    let seconds = how_long.as_secs().to_string();
    let args = ["streams-load", &bootstrap, protocol, &application, &seconds];
    let mut load = Program::start(&format!("streams-load-{protocol}-{side}"), &args)?;
    load.await_line("ready", START)?;
    let mut instances = Vec::new();
    for number in 0..INSTANCES {
        instances.push(Some(Instance::new(side, protocol, number)?.start(&bootstrap)?));
    }
    for (instance, program) in instances.iter_mut().flatten() {
        program.await_line("state RUNNING", START).with_context(|| instance.name.clone())?;
    }
    let mut chance = Chance::new();
    let (mut kills, mut crashes) = (0, 0);
    while !meanwhile(chance.millis(2500, 6000), || load.has_said("fed "))? {
        load.expect_running()?;
        for (_, program) in instances.iter_mut().flatten() {
            program.expect_running()?;
        }
        if chance.below(SERVER_ONE_IN) == 0 || kills > 1 && crashes == 0 {
            server.kill()?;
            server = node.start(side)?;
            crashes += 1;
        } else {
            let slot = &mut instances[chance.below(INSTANCES)];
            let (instance, program) = slot.take().context("the instance was not started again")?;
            let program = program.replace(&instance.args(&bootstrap))?;
            *slot = Some((instance, program));
            kills += 1;
        }
    }
    println!("{side}: {kills} times an instance was killed, {crashes} times the server");
    let told = load.finish(DRAIN)?;
    ensure!(kills > 0 && crashes > 0, "nobody was killed");
    for (_, program) in instances.into_iter().flatten() {
        program.terminate(START)?;
    }
    hanging::none(side, &bootstrap)?;
    server.expect_running()?;
    server.stop()?;
    Ok(told)
}

/// One instance of the application; its folder outlives its processes.
struct Instance {
    name: String,
    protocol: String,
    folder: String,
}

impl Instance {
    fn new(side: Side, protocol: &str, number: usize) -> Result<Self> {
        let name = format!("streams-{protocol}-{side}-{number}");
        let folder = paths::interop().join("state").join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let folder = folder.to_str().context("a path that is no text")?.to_owned();
        Ok(Self { name, protocol: protocol.to_owned(), folder })
    }

    fn args<'a>(&'a self, bootstrap: &'a str) -> [&'a str; 5] {
        let application = if self.protocol == "streams" { "app-streams" } else { "app-classic" };
        ["streams", bootstrap, &self.protocol, application, &self.folder]
    }

    fn start(self, bootstrap: &str) -> Result<(Self, Program)> {
        let program = Program::start(&self.name, &self.args(bootstrap))?;
        Ok((self, program))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

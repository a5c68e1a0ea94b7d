//! Another server takes over in the middle of groups of all four kinds and an open transaction, and back.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::SETTINGS;
use super::program::Program;
use crate::paths;
use crate::report::Report;
use crate::server::{Node, Quorum, Server, Side};

/// All five at work.
const WORK: Duration = Duration::from_secs(180);
/// A server has taken over, and every group was seen to go on.
const OVER: Duration = Duration::from_secs(360);
const END: Duration = Duration::from_secs(300);

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Clean,
    Kill,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Clean { "a clean stop" } else { "kill -9" })
    }
}

/// Folders formatted by either server; each goes there and back, after a clean stop and after a kill.
pub fn run(report: &mut Report, other: Side) {
    for (first, second, stops) in
        [(other, Side::Kafka, [Stop::Clean, Stop::Kill]), (Side::Kafka, other, [Stop::Kill, Stop::Clean])]
    {
        let mut told = None;
        let name = format!(
            "{second} takes over from {first} after {}, and {first} takes it back after {}",
            stops[0], stops[1]
        );
        report.check(&name, || {
            told = Some(scene(first, second, stops)?);
            Ok(())
        });
        if let Some((success, text)) = told {
            report.suite(&format!("{first}, {second}, {first}"), success, &text);
        }
    }
}

fn scene(first: Side, second: Side, stops: [Stop; 2]) -> Result<(bool, String)> {
    let name = format!("over-{first}-{second}");
    let node = Node::new(&name, Quorum::Dynamic, SETTINGS)?;
    let mut server = node.launch(first)?;
    let folder = paths::interop().join("state").join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let control = Control(folder.join("control"));
    let state = folder.join("streams");
    let args = ["take-over", &node.bootstrap(), text(&control.0)?, text(&state)?];
    let mut program = Program::start(&name, &args)?;
    program.await_line("ok every group is at work", WORK)?;
    for (number, (next, stop)) in [second, first].into_iter().zip(stops).enumerate() {
        let number = number + 1;
        control.say(&format!("hold {number}"))?;
        program.await_line(&format!("held {number}"), WORK)?;
        end(server, stop)?;
        server = node.start(next).with_context(|| format!("{next} takes over"))?;
        control.say(&format!("go {number}"))?;
        program.await_line(&format!("over {number}"), OVER)?;
        server.expect_running()?;
    }
    control.say("end")?;
    let told = program.finish(END)?;
    server.stop()?;
    let _ = fs::remove_dir_all(&folder);
    Ok(told)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

fn end(server: Server, stop: Stop) -> Result<()> {
    match stop {
        Stop::Clean => server.stop(),
        Stop::Kill => server.kill(),
    }
}

/// The file through which the program is told what is next.
struct Control(PathBuf);

impl Control {
    /// In one step, so that no half of a line is ever read.
    fn say(&self, line: &str) -> Result<()> {
        let fresh = self.0.with_extension("fresh");
        fs::write(&fresh, line)?;
        fs::rename(&fresh, &self.0)?;
        Ok(())
    }
}

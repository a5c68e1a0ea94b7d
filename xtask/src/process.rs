//! Child processes: always with a deadline, never left behind.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a condition is looked at while it is awaited.
pub const POLL: Duration = Duration::from_millis(20);

/// A running child that dies with this value.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts a command whose output goes to the given file.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let err = out.try_clone()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("{name} does not start: {command:?}"))?;
        Ok(Self { child, name: name.to_owned() })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the child has ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// SIGTERM, and the exit status it led to.
    pub fn terminate(mut self, deadline: Duration) -> Result<ExitStatus> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("no process id")?;
        kill_process(pid, Signal::TERM).context("SIGTERM")?;
        self.wait(deadline)
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until the child ends by itself.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        await_some(&format!("{name} to end"), deadline, || Ok(self.child.try_wait()?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and returns what it wrote (stdout and stderr, in order).
pub fn output(name: &str, command: &mut Command, log: &Path, deadline: Duration) -> Result<(bool, String)> {
    let _ = fs::remove_file(log);
    let mut running = Running::start(name, command, log)?;
    let status = running.wait(deadline);
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    match status {
        Ok(status) => Ok((status.success(), text)),
        Err(error) => bail!("{error}; it wrote:\n{}", tail(&text, 15)),
    }
}

/// Like [`output`], but anything else than success is an error.
pub fn succeed(name: &str, command: &mut Command, log: &Path, deadline: Duration) -> Result<String> {
    let (success, text) = output(name, command, log, deadline)?;
    if !success {
        bail!("{name} failed; it wrote:\n{}", tail(&text, 25));
    }
    Ok(text)
}

/// Runs a command whose output goes to the terminal.
pub fn stream(command: &mut Command) -> Result<bool> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("{command:?}"))?;
    Ok(status.success())
}

/// Awaits a condition.
pub fn await_true(what: &str, deadline: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    await_some(what, deadline, || Ok(holds()?.then_some(())))
}

/// Awaits a value.
pub fn await_some<T>(
    what: &str,
    deadline: Duration,
    mut value: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = value()? {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("waited {deadline:?} in vain for {what}");
        }
        thread::sleep(POLL);
    }
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Whether a program can be found on the path.
pub fn available(program: &str) -> bool {
    Command::new(program)
        .arg(if program == "java" || program == "javac" { "-version" } else { "--version" })
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

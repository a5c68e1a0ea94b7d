//! A running program of `tests/java/groups` and the file of what it tells.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use super::setup;
use crate::paths;
use crate::process::{Running, await_true, tail};

/// How long a program may take until it is at work.
pub const START: Duration = Duration::from_secs(60);

/// Dies with this value.
#[derive(Debug)]
pub struct Program {
    name: String,
    running: Running,
    log: PathBuf,
}

impl Program {
    /// Starts a program with a fresh file.
    pub fn start(name: &str, args: &[&str]) -> Result<Self> {
        let log = paths::logs().join(format!("{name}.log"));
        let _ = fs::remove_file(&log);
        Self::start_on(name, args, log)
    }

    fn start_on(name: &str, args: &[&str], log: PathBuf) -> Result<Self> {
        let running = Running::start(name, &mut setup::program(args), &log)?;
        Ok(Self { name: name.to_owned(), running, log })
    }

    /// kill -9, and a new one that goes on in the same file.
    pub fn replace(self, args: &[&str]) -> Result<Self> {
        let Self { name, running, log } = self;
        running.kill()?;
        Self::start_on(&name, args, log)
    }

    /// Everything it has told.
    pub fn text(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// Whether a whole line with this beginning was told.
    pub fn has_said(&self, beginning: &str) -> Result<bool> {
        let text = self.text()?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        Ok(whole.lines().any(|line| line.starts_with(beginning)))
    }

    /// Fails when it has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        match self.running.ended()? {
            Some(status) => bail!("{} ended ({status}); it told:\n{}", self.name, tail(&self.text()?, 20)),
            None => Ok(()),
        }
    }

    /// Waits for a line with this beginning.
    pub fn await_line(&mut self, beginning: &str, deadline: Duration) -> Result<()> {
        let what = format!("\"{beginning}\" of {}", self.name);
        let said = await_true(&what, deadline, || {
            if self.has_said(beginning)? {
                return Ok(true);
            }
            self.expect_running().map(|()| false)
        });
        if let Err(error) = said {
            bail!("{error:#}; it told:\n{}", tail(&self.text()?, 20));
        }
        Ok(())
    }

    /// Waits for its end; whether it was a success, and everything it told.
    pub fn finish(mut self, deadline: Duration) -> Result<(bool, String)> {
        match self.running.wait(deadline) {
            Ok(status) => Ok((status.success(), self.text()?)),
            Err(error) => bail!("{error:#}; it told:\n{}", tail(&self.text()?, 20)),
        }
    }

    /// SIGTERM, and its end.
    pub fn terminate(self, deadline: Duration) -> Result<()> {
        self.running.terminate(deadline)?;
        Ok(())
    }
}

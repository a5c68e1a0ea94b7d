//! The Python clients in an environment of their own.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use super::step;
use crate::{paths, process};

/// Creates the environment and installs `tests/python/requirements.txt`.
pub fn prepare() -> Result<()> {
    if !process::available("python3") {
        bail!("python3 is not installed");
    }
    let requirements = paths::root().join("tests/python/requirements.txt");
    let stamp = paths::python().join(".requirements.txt");
    if fs::read(&stamp).ok() == Some(fs::read(&requirements)?) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(paths::python());
    step("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(paths::python()))?;
    let mut pip = Command::new(paths::python().join("bin/pip"));
    pip.args(["--quiet", "--disable-pip-version-check", "install", "-r"]).arg(&requirements);
    step("the Python clients with pip", &mut pip)?;
    fs::copy(&requirements, &stamp)?;
    Ok(())
}

//! The Node clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::step;
use crate::{paths, process};

const BINDING: &str = "@confluentinc/kafka-javascript";

/// Installs `tests/node/package.json` without running any package's own scripts.
pub fn kafkajs() -> Result<()> {
    for program in ["node", "npm"] {
        if !process::available(program) {
            bail!("{program} is not installed");
        }
    }
    let tests = paths::root().join("tests/node");
    let folder = paths::node();
    fs::create_dir_all(&folder)?;
    let manifest = folder.join("package.json");
    let fresh = fs::read(&manifest).ok() == Some(fs::read(tests.join("package.json"))?)
        && folder.join("node_modules/kafkajs").is_dir();
    if !fresh {
        fs::copy(tests.join("package.json"), &manifest)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        step("the Node clients with npm", &mut npm)?;
    }
    for entry in fs::read_dir(&tests)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "js") {
            fs::copy(&path, folder.join(path.file_name().context("a file without a name")?))?;
        }
    }
    Ok(())
}

/// librdkafka's binding needs machine code: the package's own prebuilt one where it can be had,
/// else one compiled against the librdkafka that the Python client ships.
pub fn confluent_javascript(python: &Result<()>) -> Result<()> {
    let package = paths::node().join("node_modules").join(BINDING);
    if !package.is_dir() {
        bail!("the Node clients are not installed");
    }
    if loads() {
        return Ok(());
    }
    let mut prebuilt = Command::new("npx");
    prebuilt.args(["--no-install", "node-pre-gyp", "install"]).current_dir(&package);
    if step("the prebuilt binding for Node", &mut prebuilt).is_ok() && loads() {
        return Ok(());
    }
    if python.is_err() {
        bail!("no prebuilt binding can be had, and no Python client to borrow librdkafka from");
    }
    let library = bundled_librdkafka()?;
    let mut build = Command::new("bash");
    build.arg(paths::root().join("tests/node/build-binding.sh")).arg(&package).arg(library);
    step("the binding for Node, compiled", &mut build)?;
    loads().then_some(()).context("the compiled binding does not load")
}

fn loads() -> bool {
    let script = format!("require('{BINDING}').librdkafkaVersion");
    Command::new("node")
        .args(["-e", &script])
        .current_dir(paths::node())
        .output()
        .is_ok_and(|output| output.status.success())
}

fn bundled_librdkafka() -> Result<PathBuf> {
    let lib = paths::python().join("lib");
    let version = only_entry(&lib, "python3")?;
    only_entry(&version.join("site-packages/confluent_kafka.libs"), "librdkafka-")
}

fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    found.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    found.pop().with_context(|| format!("nothing named {prefix}* in {}", folder.display()))
}

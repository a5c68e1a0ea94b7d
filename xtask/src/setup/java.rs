//! Apache Kafka's jars through Maven, and the tests' own classes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::step;
use crate::{paths, process};

/// What the newest published tools need and 4.4's jars have moved away; behind them on the class path.
const OLDER: &[&str] = &["org.apache.kafka:kafka_2.13:4.3.1", "org.apache.kafka:kafka-clients:4.3.1"];

/// Copies the jars that `tests/java/pom.xml` names and compiles `tests/java/interop`.
pub fn prepare() -> Result<()> {
    for program in ["java", "javac"] {
        if !process::available(program) {
            bail!("{program} is not installed (Java 17 or newer)");
        }
    }
    let pom = paths::root().join("tests/java/pom.xml");
    let stamp = paths::jars().join(".pom.xml");
    if fs::read(&stamp).ok() != Some(fs::read(&pom)?) {
        if !process::available("mvn") {
            bail!("mvn is not installed");
        }
        let _ = fs::remove_dir_all(paths::jars());
        let mut command = Command::new("mvn");
        command.args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
        command.arg(format!("-DoutputDirectory={}", paths::jars().display())).arg("-DincludeScope=runtime");
        step("Kafka's jars with mvn", &mut command)?;
        for artifact in OLDER {
            let mut command = Command::new("mvn");
            command.args(["-q", "-B", "dependency:copy"]).arg(format!("-Dartifact={artifact}"));
            command.arg(format!("-DoutputDirectory={}", paths::older_jars().display()));
            step(&format!("{artifact} with mvn"), &mut command)?;
        }
        fs::copy(&pom, &stamp)?;
    }
    compile()
}

fn compile() -> Result<()> {
    let sources = sources(&paths::root().join("tests/java/interop"))?;
    let classes = paths::java_classes();
    let _ = fs::remove_dir_all(&classes);
    let mut command = Command::new("javac");
    command.arg("-d").arg(&classes).arg("-cp").arg(format!("{}/*", paths::jars().display())).args(sources);
    step("javac", &mut command)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "java"));
    Ok(found)
}

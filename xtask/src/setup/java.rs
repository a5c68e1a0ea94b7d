//! Apache Kafka's jars through Maven, and the tests' own classes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::step;
use crate::{paths, process};

/// Copies the jars that `tests/java/pom.xml` names and compiles `tests/java/interop`.
pub fn prepare() -> Result<()> {
    for program in ["java", "javac"] {
        if !process::available(program) {
            bail!("{program} is not installed (Java 17 or newer)");
        }
    }
    let tests = paths::root().join("tests/java");
    resolve("Kafka's jars with mvn", &tests.join("pom.xml"), &paths::jars())?;
    resolve("Kafka's tools with mvn", &tests.join("tools/pom.xml"), &paths::tool_jars())?;
    compile()
}

/// Copies what a project names, unless the folder has it already.
fn resolve(name: &str, pom: &Path, folder: &Path) -> Result<()> {
    let stamp = folder.join(".pom.xml");
    if fs::read(&stamp).ok() == Some(fs::read(pom)?) {
        return Ok(());
    }
    if !process::available("mvn") {
        bail!("mvn is not installed");
    }
    let _ = fs::remove_dir_all(folder);
    let mut command = Command::new("mvn");
    command.args(["-q", "-B", "-f"]).arg(pom).arg("dependency:copy-dependencies");
    command.arg(format!("-DoutputDirectory={}", folder.display())).arg("-DincludeScope=runtime");
    step(name, &mut command)?;
    fs::copy(pom, &stamp)?;
    Ok(())
}

fn compile() -> Result<()> {
    let mut sources = sources(&paths::root().join("tests/java/interop"))?;
    sources.sort();
    let classes = paths::java_classes();
    let stamp = classes.join(".sources");
    let text = sources.iter().map(fs::read_to_string).collect::<Result<String, _>>()?;
    if fs::read_to_string(&stamp).is_ok_and(|compiled| compiled == text) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(&classes);
    let mut command = Command::new("javac");
    command.arg("-d").arg(&classes).arg("-cp").arg(format!("{}/*", paths::jars().display())).args(sources);
    step("javac", &mut command)?;
    fs::write(&stamp, text)?;
    Ok(())
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "java"));
    Ok(found)
}

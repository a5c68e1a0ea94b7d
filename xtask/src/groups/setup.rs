//! Kafka's clients and Kafka Streams through Maven, and the programs of `tests/java/groups`.
//!
//! Their jars are apart from the broker's, which therefore stay as small as they are. The newest Kafka Streams
//! that is published is older than the clients, and needs the internals of its own time: programs with an
//! application of Kafka Streams run on jars of that one version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{paths, process};

/// A slow registry may need this.
const STEP: Duration = Duration::from_secs(600);
/// Programs that have an application of Kafka Streams in them.
const WITH_STREAMS: &[&str] = &["streams", "streams-load", "take-over"];

fn jars() -> PathBuf {
    paths::interop().join("group-jars")
}

fn streams_jars() -> PathBuf {
    paths::interop().join("streams-jars")
}

fn classes() -> PathBuf {
    paths::interop().join("group-classes")
}

/// Copies the jars and compiles the programs, unless both are there.
pub fn prepare() -> Result<()> {
    let pom = paths::root().join("tests/java/groups/pom.xml");
    copy_jars("Kafka's clients with mvn", &pom, &jars(), "clients")?;
    copy_jars("Kafka Streams with mvn", &pom, &streams_jars(), "streams")?;
    compile()
}

/// Copies the jars of a profile of the pom, unless they are there.
fn copy_jars(name: &str, pom: &Path, folder: &Path, profile: &str) -> Result<()> {
    let stamp = folder.join(".pom.xml");
    if fs::read(&stamp).ok() == Some(fs::read(pom)?) {
        return Ok(());
    }
    if !process::available("mvn") {
        bail!("mvn is not installed");
    }
    let _ = fs::remove_dir_all(folder);
    let mut command = Command::new("mvn");
    command.args(["-q", "-B", "-P", profile, "-f"]).arg(pom).arg("dependency:copy-dependencies");
    command.arg(format!("-DoutputDirectory={}", folder.display())).arg("-DincludeScope=runtime");
    step(name, &mut command)?;
    fs::copy(pom, &stamp)?;
    Ok(())
}

fn compile() -> Result<()> {
    let tests = paths::root().join("tests/java");
    let mut sources = sources(&tests.join("groups"))?;
    sources.extend(["Check.java", "Corpus.java"].map(|name| tests.join("interop").join(name)));
    sources.sort();
    let stamp = classes().join(".sources");
    let text = sources.iter().map(fs::read_to_string).collect::<Result<String, _>>()?;
    if fs::read_to_string(&stamp).is_ok_and(|compiled| compiled == text) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(classes());
    let mut command = Command::new("javac");
    let path = format!("{}/*:{}/*", jars().display(), streams_jars().display());
    command.arg("-d").arg(classes()).arg("-cp").arg(path).args(sources);
    step("javac of the groups' programs", &mut command)?;
    fs::write(&stamp, text)?;
    Ok(())
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "java"));
    Ok(found)
}

fn step(name: &str, command: &mut Command) -> Result<()> {
    println!("set-up: {name}");
    fs::create_dir_all(paths::logs())?;
    let log = paths::logs().join(format!("setup-{}.log", name.replace([' ', '\''], "-")));
    process::succeed(name, command, &log, STEP)?;
    Ok(())
}

/// One of the programs: `Groups ARGUMENTS`.
pub fn program(args: &[&str]) -> Command {
    let with_streams = args.first().is_some_and(|program| WITH_STREAMS.contains(program));
    let jars = if with_streams { streams_jars() } else { jars() };
    let mut command = Command::new("java");
    command
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
        .arg("-Dottla.tests.level=WARN")
        .arg(format!(
            "-Dlog4j2.configurationFile={}",
            paths::root().join("tests/java/log4j2.properties").display()
        ))
        .arg("-cp")
        .arg(format!("{}:{}/*", classes().display(), jars.display()))
        .arg("Groups")
        .args(args);
    command
}

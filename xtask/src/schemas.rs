//! `cargo xtask schemas`: refreshes `crates/protocol/schema/` from the message definitions inside
//! the released Apache Kafka jars. Only facts are kept (names, types, versions, tags, defaults).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Jar (without its version), folder of the definitions inside it, folder of ours.
const SOURCES: &[(&str, &str, &str)] = &[
    ("kafka-clients", "common/message", "messages"),
    ("kafka-metadata", "common/metadata", "records/metadata"),
    ("kafka-group-coordinator", "common/message", "records/group"),
    ("kafka-transaction-coordinator", "common/message", "records/transaction"),
    ("kafka-share-coordinator", "common/message", "records/share"),
    ("kafka-storage", "message", "records/storage"),
    ("kafka-raft", "common/message", "records/raft"),
];

/// `--jars DIR` names the folder with the jars; `cargo xtask test` resolves one.
pub fn run(args: &[String]) -> Result<()> {
    let jars = match args {
        [flag, dir] if flag == "--jars" => PathBuf::from(dir),
        _ => bail!("usage: cargo xtask schemas --jars DIR (a folder with the released kafka-*.jar files)"),
    };
    let root = crate::codegen::workspace_root();
    for (jar, inside, ours) in SOURCES {
        let path = find_jar(&jars, jar)?;
        let unpacked = unpack(&path, jar)?;
        let target = root.join("crates/protocol/schema").join(ours);
        let _ = fs::remove_dir_all(&target);
        fs::create_dir_all(&target)?;
        let mut count = 0;
        for entry in fs::read_dir(unpacked.join(inside)).with_context(|| format!("{jar} has no {inside}"))? {
            let file = entry?.path();
            if file.extension().is_some_and(|e| e == "json") {
                let text =
                    convert(&fs::read_to_string(&file)?).with_context(|| file.display().to_string())?;
                fs::write(target.join(file.file_stem().context("name")?).with_extension("schema"), text)?;
                count += 1;
            }
        }
        println!("{jar}: {count} schemas");
    }
    Ok(())
}

fn find_jar(dir: &Path, name: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let file = path.file_name().map(|f| f.to_string_lossy().into_owned()).unwrap_or_default();
        let rest = file.strip_prefix(name).and_then(|r| r.strip_prefix('-'));
        if rest.is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()) && r.ends_with(".jar")) {
            return Ok(path);
        }
    }
    bail!("{} holds no {name} jar", dir.display())
}

fn unpack(jar: &Path, name: &str) -> Result<PathBuf> {
    let dir = env::temp_dir().join(format!("ottla-schemas-{}-{name}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let status = Command::new("jar").arg("xf").arg(fs::canonicalize(jar)?).current_dir(&dir).status();
    if !status.context("`jar` (part of the JDK) is needed to open the jars")?.success() {
        bail!("cannot unpack {}", jar.display());
    }
    Ok(dir)
}

/// One definition in our own form: a head line, then a line per field, indented by depth.
fn convert(json_with_comments: &str) -> Result<String> {
    let json: String = json_with_comments
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let spec: Value = serde_json::from_str(&json)?;
    let mut out = String::new();
    let text = |key: &str| spec[key].as_str().unwrap_or_default();
    write!(
        out,
        "{} {} versions={} flexible={}",
        text("type"),
        text("name"),
        text("validVersions"),
        text("flexibleVersions")
    )?;
    if let Some(key) = spec["apiKey"].as_i64() {
        write!(out, " key={key}")?;
    }
    if let Some(listeners) = spec["listeners"].as_array() {
        let names: Vec<_> = listeners.iter().filter_map(Value::as_str).collect();
        write!(out, " listeners={}", names.join(","))?;
    }
    if spec["latestVersionUnstable"].as_bool() == Some(true) {
        out.push_str(" latest-unstable");
    }
    out.push('\n');
    for field in spec["fields"].as_array().into_iter().flatten() {
        field_lines(&mut out, field, 1)?;
    }
    for common in spec["commonStructs"].as_array().into_iter().flatten() {
        let name = common["name"].as_str().context("struct name")?;
        writeln!(out, "struct {name} versions={}", common["versions"].as_str().context("struct versions")?)?;
        for field in common["fields"].as_array().into_iter().flatten() {
            field_lines(&mut out, field, 1)?;
        }
    }
    Ok(out)
}

fn field_lines(out: &mut String, field: &Value, depth: usize) -> Result<()> {
    let text = |key: &str| field[key].as_str();
    write!(out, "{:indent$}", "", indent = depth * 2)?;
    let name = text("name").context("field name")?;
    // Tagged fields may leave their versions to the tag.
    let versions = text("versions").or(text("taggedVersions")).context("field versions")?;
    write!(out, "{name} {} {versions}", text("type").context("field type")?)?;
    if let Some(nullable) = text("nullableVersions") {
        write!(out, " nullable={nullable}")?;
    }
    if let Some(tag) = field["tag"].as_i64() {
        write!(out, " tag={tag}@{}", text("taggedVersions").context("tagged versions")?)?;
    }
    if let Some(flexible) = text("flexibleVersions") {
        write!(out, " flexible={flexible}")?;
    }
    match field.get("default") {
        // A bare null is no default in Kafka's generator; the default null is the text "null".
        None | Some(Value::Null) => {}
        Some(Value::String(s)) if s.is_empty() => {}
        Some(Value::String(s)) => write!(out, " default={s}")?,
        Some(other) => write!(out, " default={other}")?,
    }
    if field["ignorable"].as_bool() == Some(true) {
        out.push_str(" ignorable");
    }
    if field["mapKey"].as_bool() == Some(true) {
        out.push_str(" key");
    }
    if let Some(entity) = text("entityType") {
        write!(out, " entity={entity}")?;
    }
    out.push('\n');
    for nested in field["fields"].as_array().into_iter().flatten() {
        field_lines(out, nested, depth + 1)?;
    }
    Ok(())
}

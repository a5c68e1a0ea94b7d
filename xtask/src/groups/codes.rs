//! The error codes that coordinators can answer with, and the tests that reach them.
//!
//! Two things must hold. Each code that an API is documented to have is named by a test of that API
//! ([`super::codes_table`]), and each code that a kernel's error enum maps to is named by a test of that
//! kernel, so that none is declared and never reached. Both are read from the sources: a code counts where
//! the body of a test names it, or names the variant of the enum that maps to it. Whether the test passes
//! is for `cargo test` to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::codes_table::{APIS, KERNELS};
use crate::paths;

/// One API, where its tests are, and the codes that they must reach.
#[derive(Debug)]
pub struct Api {
    /// As Kafka names it.
    pub name: &'static str,
    /// Files of tests, from the folder of the crates on.
    pub tests: &'static [&'static str],
    /// Names of the variants of `ErrorCode`.
    pub codes: &'static [&'static str],
}

/// One kernel: its error enums and where its tests are.
#[derive(Debug)]
pub struct Kernel {
    /// What it decides about.
    pub name: &'static str,
    /// The file with the enums that have a `code`.
    pub errors: &'static str,
    /// Files and folders of tests.
    pub tests: &'static [&'static str],
}

/// Names of tests by the code that they reach.
type Reached = BTreeMap<String, BTreeSet<String>>;
/// `Enum::Variant` and the code it maps to.
type Mapped = BTreeMap<String, String>;

/// Every declared code must be reached; gives the table.
pub fn table() -> Result<String> {
    let crates = paths::root().join("crates");
    let mut mapped = Mapped::new();
    for kernel in KERNELS {
        mapped.extend(mapping(&read(&crates.join(kernel.errors))?));
    }
    let mut text = String::new();
    let mut missing = Vec::new();
    for api in APIS {
        let reached = reached(&crates, api.tests, &mapped)?;
        for code in api.codes {
            match reached.get(*code) {
                Some(tests) => {
                    let first = tests.first().map(String::as_str).unwrap_or_default();
                    let _ = writeln!(text, "{:<34} {code:<32} {:>2}  {first}", api.name, tests.len());
                }
                None => missing.push(format!("{}: {code}", api.name)),
            }
        }
    }
    for kernel in KERNELS {
        let reached = reached(&crates, kernel.tests, &mapped)?;
        let declared: BTreeSet<String> = mapping(&read(&crates.join(kernel.errors))?).into_values().collect();
        ensure!(!declared.is_empty(), "{} declares no code", kernel.errors);
        missing.extend(
            declared
                .iter()
                .filter(|code| !reached.contains_key(*code))
                .map(|code| format!("{} (declared in {}): {code}", kernel.name, kernel.errors)),
        );
    }
    if !missing.is_empty() {
        bail!("no test reaches\n  {}", missing.join("\n  "));
    }
    Ok(text)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// What the tests of these files and folders reach.
fn reached(crates: &Path, places: &[&str], mapped: &Mapped) -> Result<Reached> {
    let mut all = Reached::new();
    for place in places {
        for file in files(&crates.join(place))? {
            for (test, body) in tests(&read(&file)?) {
                for code in codes(body, mapped) {
                    all.entry(code).or_default().insert(test.to_owned());
                }
            }
        }
    }
    Ok(all)
}

/// A file itself, or the Rust files below a folder.
fn files(place: &Path) -> Result<Vec<PathBuf>> {
    if place.is_file() {
        return Ok(vec![place.to_path_buf()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(place).with_context(|| place.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Names and bodies of the tests of a source file.
fn tests(source: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find("#[") {
        rest = &rest[at..];
        let Some(end) = rest.find(']') else { break };
        let attribute = &rest[2..end];
        rest = &rest[end..];
        if attribute != "test" && !attribute.starts_with("tokio::test") {
            continue;
        }
        let Some((name, body)) = function(rest) else { break };
        found.push((name, body));
    }
    found
}

/// The name and the body of the next function.
fn function(source: &str) -> Option<(&str, &str)> {
    let name = &source[source.find("fn ")? + 3..];
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    let body = &name[name.find('{')?..];
    let mut depth = 0_usize;
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return Some((&name[..end], &body[..at]));
        }
    }
    Some((&name[..end], body))
}

/// The codes that a test names; what it only tells a fake log to refuse with is none of its results.
fn codes(body: &str, mapped: &Mapped) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (before, enumeration, variant) in variants(body) {
        if enumeration == "ErrorCode" {
            if !before.ends_with("refuse = Some(") {
                found.insert(variant.to_owned());
            }
        } else if let Some(code) = mapped.get(&format!("{enumeration}::{variant}")) {
            found.insert(code.clone());
        }
    }
    found
}

/// Every `Enum::Variant` of a text, with what stands before it.
fn variants(text: &str) -> Vec<(&str, &str, &str)> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in text.match_indices("::") {
        let length: usize = text[..at].chars().rev().take_while(|c| word(*c)).map(char::len_utf8).sum();
        let start = at - length;
        let rest = &text[at + 2..];
        let end = rest.find(|c: char| !word(c)).unwrap_or(rest.len());
        let (enumeration, variant) = (&text[start..at], &rest[..end]);
        if variant.starts_with(char::is_uppercase) && enumeration.starts_with(char::is_uppercase) {
            found.push((&text[..start], enumeration, variant));
        }
    }
    found
}

/// What the enums of a file map their variants to in `fn code`.
fn mapping(source: &str) -> Mapped {
    let mut mapped = Mapped::new();
    for (at, _) in source.match_indices("fn code(") {
        let head = &source[..at];
        let Some(name) = head.rfind("impl ").and_then(|at| head[at + 5..].split_whitespace().next()) else {
            continue;
        };
        let Some((_, body)) = function(&source[at..]) else { continue };
        let mut waiting: Vec<&str> = Vec::new();
        let mut armed = false;
        let mut last = 0;
        for (before, enumeration, variant) in variants(body) {
            let position = before.len();
            armed |= body[last..position].contains("=>");
            last = position;
            if enumeration == "Self" {
                if armed {
                    // The arm before had no code of its own.
                    waiting.clear();
                    armed = false;
                }
                waiting.push(variant);
            } else if enumeration == "ErrorCode" && armed {
                for known in waiting.drain(..) {
                    mapped.insert(format!("{name}::{known}"), variant.to_owned());
                }
                armed = false;
            }
        }
    }
    mapped
}

#[cfg(test)]
mod unit {
    use super::*;

    const ERRORS: &str = "
        impl GroupError {
            pub fn code(&self) -> ErrorCode {
                match self {
                    Self::A(_) | Self::B { .. } => ErrorCode::One,
                    Self::C => {
                        ErrorCode::Two
                    }
                    Self::D(error) => error.code(),
                    Self::E => ErrorCode::Three,
                }
            }
        }";

    #[test]
    fn enums_are_read() {
        let mapped = mapping(ERRORS);
        let pairs: Vec<_> = mapped.iter().map(|(variant, code)| format!("{variant} {code}")).collect();
        let expected = ["GroupError::A One", "GroupError::B One", "GroupError::C Two", "GroupError::E Three"];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn tests_are_read() {
        let source = "
            fn helper() { ErrorCode::Helper }
            #[test]
            fn first() { if a { b } assert_eq!(x, Err(ErrorCode::One)); t.refuse = Some(ErrorCode::Fake); }
            #[tokio::test(start_paused = true)]
            async fn second() { assert!(matches!(x, GroupError::C)); }";
        let mapped = mapping(ERRORS);
        let found: Vec<_> =
            tests(source).into_iter().map(|(name, body)| (name, codes(body, &mapped))).collect();
        let set = |code: &str| BTreeSet::from([code.to_owned()]);
        assert_eq!(found, [("first", set("One")), ("second", set("Two"))]);
    }

    #[test]
    fn every_declared_code_is_reached() {
        println!("{}", table().unwrap());
    }
}

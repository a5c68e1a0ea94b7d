//! The committed figures, and when a new one is too much.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::paths;

const HEADER: &str = "\
# What the hot paths cost: instructions of a kernel's turn, system calls of a request.
# `cargo xtask guard --bless` writes this file; `cargo xtask test` fails when something grows.
";
/// Instructions may grow by this part.
const GROWTH_MAX: f64 = 0.02;
/// One more call for every request adds 1, one that happens now and then does not add this much.
const CALLS_MAX: f64 = 0.5;

/// Where the figures are.
pub(super) fn path() -> PathBuf {
    paths::root().join("crates/guard/figures.txt")
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Of one turn of a kernel.
    Instructions,
    /// For one request, all threads together.
    Syscalls,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Instructions => "instructions",
            Self::Syscalls => "syscalls",
        })
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub(super) value: f64,
    /// What it is made of.
    pub(super) parts: String,
}

/// All figures, and with what they were counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Figures {
    pub(super) with: String,
    pub(super) rows: BTreeMap<(Kind, String), Figure>,
}

impl Figures {
    /// The committed ones.
    pub(super) fn read() -> Result<Self> {
        let path = path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut figures = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(with) = line.strip_prefix("with ") {
                with.clone_into(&mut figures.with);
                continue;
            }
            let (row, parts) = line.split_once(" = ").unwrap_or((line, ""));
            let words: Vec<&str> = row.split_whitespace().collect();
            let [kind, name, value] = words[..] else { bail!("not a figure: {line}") };
            let kind = match kind {
                "instructions" => Kind::Instructions,
                "syscalls" => Kind::Syscalls,
                _ => bail!("not a figure: {line}"),
            };
            let value = value.parse().with_context(|| format!("not a figure: {line}"))?;
            figures.rows.insert((kind, name.to_owned()), Figure { value, parts: parts.to_owned() });
        }
        Ok(figures)
    }

    /// Commits these, as far as a file can.
    pub(super) fn write(&self) -> Result<()> {
        Ok(fs::write(path(), self.text())?)
    }

    fn text(&self) -> String {
        let mut text = format!("{HEADER}with {}\n", self.with);
        for ((kind, name), figure) in &self.rows {
            let _ = match kind {
                Kind::Instructions => writeln!(text, "{kind} {name:<20} {:>9.0}", figure.value),
                Kind::Syscalls => writeln!(text, "{kind} {name:<20} {:.1} = {}", figure.value, figure.parts),
            };
        }
        text
    }

    /// Old beside new.
    pub(super) fn table(&self, old: &Self) -> String {
        let mut text = format!("{:<12} {:<20} {:>11} {:>11} {:>8}\n", "", "", "committed", "now", "");
        for ((kind, name), new) in &self.rows {
            let committed = old.rows.get(&(*kind, name.clone())).map(|figure| figure.value);
            let digits = usize::from(*kind == Kind::Syscalls);
            let shown = committed.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"));
            let change = match (committed, kind) {
                (None, _) => String::new(),
                (Some(old), Kind::Instructions) => format!("{:+.2} %", (new.value / old - 1.0) * 100.0),
                (Some(old), Kind::Syscalls) => format!("{:+.1}", new.value - old),
            };
            let _ = writeln!(
                text,
                "{kind:<12} {name:<20} {shown:>11} {:>11.digits$} {change:>8}  {}",
                new.value, new.parts
            );
        }
        text
    }

    /// What grew, is new or has gone without its figure committed.
    pub(super) fn offences(&self, old: &Self, kind: Kind) -> Vec<String> {
        let mut offences = Vec::new();
        for ((_, name), new) in self.rows.iter().filter(|((k, _), _)| *k == kind) {
            let Some(old) = old.rows.get(&(kind, name.clone())) else {
                offences.push(format!("{name} has no committed figure"));
                continue;
            };
            let limit = match kind {
                Kind::Instructions => old.value * (1.0 + GROWTH_MAX),
                Kind::Syscalls => old.value + CALLS_MAX,
            };
            if new.value > limit {
                let parts = if new.parts.is_empty() { String::new() } else { format!(" ({})", new.parts) };
                offences.push(format!("{name} grew from {} to {}{parts}", old.value, new.value));
            }
        }
        let gone = old.rows.keys().filter(|row| row.0 == kind && !self.rows.contains_key(row));
        offences.extend(gone.map(|(_, name)| format!("{name} is committed and not counted")));
        offences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(append: f64, calls: f64) -> Figures {
        let row = |kind, name: &str, value, parts: &str| {
            ((kind, name.to_owned()), Figure { value, parts: parts.to_owned() })
        };
        Figures {
            with: "rustc 1, valgrind-3".to_owned(),
            rows: [
                row(Kind::Instructions, "append", append, ""),
                row(Kind::Syscalls, "produce", calls, "recvfrom 1.0 + sendto 2.0"),
            ]
            .into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = figures(12_345.0, 3.0);
        assert_eq!(Figures::parse(&written.text()).unwrap(), written);
    }

    #[test]
    fn growth_is_named_and_noise_is_not() {
        let old = figures(1_000.0, 3.0);
        let offences =
            |new: &Figures| [Kind::Instructions, Kind::Syscalls].map(|kind| new.offences(&old, kind).len());
        assert_eq!(offences(&figures(1_019.0, 3.4)), [0, 0]);
        assert_eq!(offences(&figures(1_021.0, 3.0)), [1, 0]);
        assert_eq!(offences(&figures(500.0, 4.0)), [0, 1]);
        assert_eq!(offences(&Figures::default()), [1, 1]);
        assert_eq!(figures(1.0, 1.0).offences(&Figures::default(), Kind::Syscalls).len(), 1);
    }
}

//! `docs/INVARIANTS.md` beside the sources: no assertion without a row, no row that the code does not know.

use std::collections::BTreeSet;

use crate::tidy;

/// The page's own sign that a name follows.
const ROW: &str = "| ";

/// What the page says, and what was seen of it.
pub struct Invariants {
    rows: BTreeSet<String>,
    seen: BTreeSet<String>,
    asserted: BTreeSet<String>,
}

impl Invariants {
    /// Nothing was seen yet.
    pub fn of(page: &str) -> Self {
        Self { rows: rows(page), seen: BTreeSet::new(), asserted: BTreeSet::new() }
    }

    /// Looks through a source; only what production asserts has to have a row.
    pub fn look(&mut self, source: &str, is_test: bool) {
        self.seen.extend(self.rows.iter().filter(|row| source.contains(row.as_str())).cloned());
        if !is_test {
            self.asserted.extend(asserted(tidy::production(source)));
        }
    }

    /// Once everything was looked through.
    pub fn finish(self, offences: &mut Vec<String>) {
        let without_row = self.asserted.difference(&self.rows);
        offences.extend(without_row.map(|name| format!("docs/INVARIANTS.md has no row for {name}")));
        let unknown = self.rows.difference(&self.seen);
        offences.extend(unknown.map(|name| format!("docs/INVARIANTS.md: no source knows {name}")));
    }
}

/// Names with a row.
fn rows(page: &str) -> BTreeSet<String> {
    page.lines().filter_map(|line| name(line.strip_prefix(ROW)?)).map(str::to_owned).collect()
}

/// Names that assertions of this production code begin their messages with.
fn asserted(production: &str) -> BTreeSet<String> {
    let statements = production.split("assert").skip(1).filter_map(|rest| rest.split(';').next());
    let messages = statements.flat_map(|statement| statement.split('"').skip(1).step_by(2));
    messages.filter_map(name).map(str::to_owned).collect()
}

/// The invariant's name that this text begins with: capitals, and a hyphen at least.
fn name(text: &str) -> Option<&str> {
    let is_part = |letter: char| letter.is_ascii_uppercase() || letter == '-';
    let name = text.split(|letter| !is_part(letter)).next()?;
    let ends = !text[name.len()..].starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
    (ends && name.contains('-') && name.split('-').all(|part| part.len() > 1)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn rows_are_named() {
        let page = "# Invariants\n\n| name | says |\n|---|---|\n| LEO-MONOTONIC | an end |\n";
        assert_eq!(rows(page), set(&["LEO-MONOTONIC"]));
    }

    #[test]
    fn assertions_are_named_whatever_their_layout() {
        let code = r#"
            assert!(new >= 0, "HW-NOT-NEGATIVE");
            let header = "CLIENT-ID";
            assert_eq!(
                a,
                b,
                "ONE-OWNER: {a}"
            );
            debug_assert!(x, "no name, but a UTF-8 word");
        "#;
        assert_eq!(asserted(code), set(&["HW-NOT-NEGATIVE", "ONE-OWNER"]));
    }

    #[test]
    fn what_has_no_row_and_what_nobody_knows_is_told() {
        let mut invariants = Invariants::of("| ONE-OWNER | one |\n| GONE-NOW | none |\n");
        let production = "// ONE-OWNER\nassert!(a, \"NEW-HERE\");\n";
        let source = format!("{production}#[cfg(test)]\nmod tests {{\nassert!(a, \"ONLY-TEST\");\n}}\n");
        invariants.look(&source, false);
        invariants.look("assert!(a, \"ONLY-TEST\");", true);
        let mut offences = Vec::new();
        invariants.finish(&mut offences);
        assert_eq!(
            offences,
            ["docs/INVARIANTS.md has no row for NEW-HERE", "docs/INVARIANTS.md: no source knows GONE-NOW"]
        );
    }
}

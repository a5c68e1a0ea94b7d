//! `--name value` pairs.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

/// What the command line says.
#[derive(Debug, Default)]
pub struct Arguments {
    pairs: BTreeMap<String, String>,
}

impl Arguments {
    /// Reads `--name value` pairs.
    pub fn parse(args: &[String]) -> Result<Self> {
        ensure!(args.len().is_multiple_of(2), "every --option needs a value");
        let mut pairs = BTreeMap::new();
        for pair in args.chunks(2) {
            let name = pair[0].strip_prefix("--").with_context(|| format!("{} is no --option", pair[0]))?;
            if pairs.insert(name.to_owned(), pair[1].clone()).is_some() {
                bail!("--{name} is given twice");
            }
        }
        Ok(Self { pairs })
    }

    /// The value of an option, or its default.
    pub fn get<T: FromStr>(&mut self, name: &str, default: T) -> Result<T>
    where
        T::Err: std::fmt::Display,
    {
        match self.pairs.remove(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(value) => Ok(value),
                Err(error) => bail!("--{name} {text}: {error}"),
            },
        }
    }

    /// The value of an option that must be given.
    pub fn require(&mut self, name: &str) -> Result<String> {
        self.pairs.remove(name).with_context(|| format!("--{name} is missing"))
    }

    /// Nothing may be left that nobody read.
    pub fn finish(self) -> Result<()> {
        match self.pairs.keys().next() {
            Some(unknown) => bail!("unknown option --{unknown}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_once_and_none_is_left() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut arguments = Arguments::parse(&words("--rate 7 --topic t")).unwrap();
        assert_eq!(arguments.get("rate", 1.5).unwrap(), 7.0);
        assert_eq!(arguments.get("size", 3).unwrap(), 3);
        assert_eq!(arguments.require("topic").unwrap(), "t");
        arguments.finish().unwrap();
        assert!(Arguments::parse(&words("--rate 7")).unwrap().finish().is_err());
        assert!(Arguments::parse(&words("rate 7")).is_err());
    }
}

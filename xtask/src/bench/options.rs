//! What the command line asks of `bench`.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::broker::Broker;
use super::plan::CELLS;

/// The wishes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Five minutes for everything.
    pub quick: bool,
    /// Cells or families of cells; all when empty.
    pub cells: Vec<String>,
    /// Rounds instead of each cell's own number.
    pub rounds: Option<usize>,
    /// Who takes part.
    pub brokers: Vec<Broker>,
    /// How often a noisy round is repeated before it is kept and marked.
    pub tries: usize,
    /// Longest warm-up of a just-in-time compiler, in seconds.
    pub warm_seconds: f64,
    /// A second place for the raw figures.
    pub copy: Option<PathBuf>,
    /// Only write the page from figures that are there.
    pub page_only: bool,
    /// Write `docs/benchmarks.md` also when not everything ran.
    pub publish: bool,
    /// Measure the binaries that are there.
    pub no_build: bool,
    /// Go on with the newest campaign of the same commit: only rounds that it lacks.
    pub resume: bool,
    /// After the rounds, one run of each cell that counts for nothing, under `perf record`.
    pub profile: bool,
    /// As it was typed.
    pub typed: String,
}

/// The options, told when one is wrong.
const KNOWN: &str = "--quick, --cell ID,..., --rounds N, --brokers ottla,floor,kafka,kafka-2-2, --tries N, \
                     --warm-seconds S, --copy FILE, --page, --publish, --no-build, --resume, --profile";

impl Options {
    /// Reads the options.
    pub fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            quick: false,
            cells: Vec::new(),
            rounds: None,
            brokers: Broker::ALL.to_vec(),
            tries: 2,
            warm_seconds: 30.0,
            copy: None,
            page_only: false,
            publish: false,
            no_build: false,
            resume: false,
            profile: false,
            typed: format!("cargo xtask bench {}", args.join(" ")).trim_end().to_owned(),
        };
        let mut tries = None;
        let mut brokers = None;
        let mut warm_seconds = None;
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            match flag.as_str() {
                "--quick" => options.quick = true,
                "--page" => options.page_only = true,
                "--publish" => options.publish = true,
                "--no-build" => options.no_build = true,
                "--resume" => options.resume = true,
                "--profile" => options.profile = true,
                _ => {
                    let Some(value) = args.next() else {
                        bail!("{flag} is unknown or lacks its value; known: {KNOWN}")
                    };
                    match flag.as_str() {
                        "--cell" | "--cells" => options.cells = value.split(',').map(str::to_owned).collect(),
                        "--rounds" => options.rounds = Some(value.parse()?),
                        "--brokers" => brokers = Some(parse_brokers(value)?),
                        "--tries" => tries = Some(value.parse()?),
                        "--warm-seconds" => warm_seconds = Some(value.parse()?),
                        "--copy" => options.copy = Some(value.into()),
                        _ => bail!("unknown option {flag}; known: {KNOWN}"),
                    }
                }
            }
        }
        if options.quick {
            options.rounds = options.rounds.or(Some(1));
            options.tries = 0;
            options.warm_seconds = 5.0;
            options.brokers.retain(|broker| *broker != Broker::Kafka22);
        }
        options.tries = tries.unwrap_or(options.tries);
        options.warm_seconds = warm_seconds.unwrap_or(options.warm_seconds);
        options.brokers = brokers.unwrap_or(options.brokers);
        Ok(options)
    }

    /// Whether a cell was asked for: by its id, or by the start of it when that is no id itself.
    pub fn wants(&self, id: &str, quick: bool) -> bool {
        if self.cells.is_empty() {
            return quick || !self.quick;
        }
        let asked = |wish: &String| {
            let family = CELLS.iter().all(|cell| cell.id != wish);
            let inside = id.strip_prefix(wish.as_str()).is_some_and(|rest| rest.starts_with('-'));
            id == wish || (family && inside)
        };
        self.cells.iter().any(asked)
    }
}

fn parse_brokers(list: &str) -> Result<Vec<Broker>> {
    let find = |name: &str| Broker::ALL.into_iter().find(|broker| broker.name() == name);
    list.split(',')
        .map(|name| match find(name) {
            Some(broker) => Ok(broker),
            None => bail!("unknown broker {name}; known: ottla, floor, kafka, kafka-2-2"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options> {
        Options::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn families_and_single_cells() {
        let options = parse("--cell P1,L1-100B").unwrap();
        assert!(options.wants("P1-16KiB-1KiB", false) && options.wants("L1-100B", false));
        assert!(!parse("--cell L1-1KiB").unwrap().wants("L1-1KiB-pinned", true));
        assert!(!options.wants("L1-1KiB", true) && !options.wants("P10-x", true));
        assert!(parse("").unwrap().wants("N1-1k", false));
        assert!(!parse("--quick").unwrap().wants("N1-1k", false));
    }

    #[test]
    fn quick_leaves_one_kafka_and_wishes_win() {
        let options = parse("--quick --brokers floor,kafka-2-2 --rounds 3").unwrap();
        assert_eq!(options.brokers, [Broker::Floor, Broker::Kafka22]);
        assert_eq!((options.rounds, options.tries), (Some(3), 0));
        assert!(
            parse("--brokers redis").is_err() && parse("--rounds").is_err() && parse("--slow yes").is_err()
        );
    }
}

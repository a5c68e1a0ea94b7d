//! Log lines in the shape that Kafka's own have, because tools and people read them:
//! `[2026-11-21 01:22:13,123] INFO text (kafka.server.KafkaRaftServer)`.

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Sends log lines to standard output. On a terminal, where the banner speaks, only warnings show;
/// `OTTLA_LOG` (for instance `info` or `ottla_storage=debug`) says otherwise.
pub fn init() {
    let default = if io::stdout().is_terminal() { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("OTTLA_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // A second server in one process keeps the first one's subscriber.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).event_format(KafkaFormat).try_init();
}

/// The pattern `[%d] %p %m (%c)` of Kafka's log4j configuration.
#[derive(Debug)]
struct KafkaFormat;

impl<S, N> FormatEvent<S, N> for KafkaFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let logger = line.logger.as_deref().unwrap_or_else(|| event.metadata().target());
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN",
            Level::INFO => "INFO",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "TRACE",
        };
        let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f");
        writeln!(writer, "[{now}] {level} {} ({logger})", line.text)
    }
}

/// The message, the other fields behind it, and the logger's name where the event gives Kafka's.
#[derive(Default)]
struct Line {
    text: String,
    logger: Option<String>,
}

impl Line {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        use fmt::Write as _;
        let result = match field.name() {
            "message" => {
                let fields = std::mem::take(&mut self.text);
                write!(self.text, "{value}{fields}")
            }
            "logger" => {
                self.logger = Some(value.to_string());
                Ok(())
            }
            name => write!(self.text, " {name}={value}"),
        };
        debug_assert!(result.is_ok(), "writing to a string cannot fail");
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

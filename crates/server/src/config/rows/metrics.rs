//! Metrics and telemetry.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("metrics.num.samples", Int, Some("2"), AtLeast(1.0), Low, ReadOnly, "Samples kept to compute a metric."),
    key("metrics.sample.window.ms", Long, Some("30000"), AtLeast(1.0), Low, ReadOnly, "Length of a sample."),
    key("metric.reporters", List, Some("org.apache.kafka.common.metrics.JmxReporter"), LIST, Low, ClusterWide, "Classes that receive metrics."),
    key("metrics.recording.level", Text, Some("INFO"), Any, Low, ReadOnly, "How fine metrics are: `INFO`, `DEBUG` or `TRACE`."),
    key("kafka.metrics.reporters", List, Some(""), LIST, Low, ReadOnly, "Classes that receive the server's older metrics."),
    key("kafka.metrics.polling.interval.secs", Int, Some("10"), AtLeast(1.0), Low, ReadOnly, "How often those classes are called."),
    key("telemetry.max.bytes", Int, Some("1048576"), AtLeast(1.0), Low, ReadOnly, "Largest push of metrics a client may send (KIP-714)."),
];

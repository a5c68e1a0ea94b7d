//! The server in general: ids, threads, request limits, compression.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("broker.id", Int, Some("-1"), Any, High, ReadOnly, "Old name of `node.id`; when both are set they must agree."),
    key("message.max.bytes", Int, Some("1048588"), AtLeast(0.0), High, ClusterWide, "Largest record batch a producer may send, after compression."),
    key("max.decompressed.message.bytes", Int, Some("2147483639"), Between(1.0, 2147483639.0), Medium, ClusterWide, "Largest size a record may have once it is decompressed."),
    key("num.io.threads", Int, Some("8"), AtLeast(1.0), High, ClusterWide, "Threads that work on requests, disk access included."),
    key("num.replica.alter.log.dirs.threads", Int, None, Any, High, ReadOnly, "Threads that move replicas between log directories; by default one per directory."),
    key("background.threads", Int, Some("10"), AtLeast(1.0), High, ClusterWide, "Threads for housekeeping tasks."),
    key("request.timeout.ms", Int, Some("30000"), Any, High, ReadOnly, "How long this node waits for an answer to its own requests."),
    key("socket.connection.setup.timeout.ms", Long, Some("10000"), Any, Medium, ReadOnly, "How long a connection of this node to another may take at first."),
    key("socket.connection.setup.timeout.max.ms", Long, Some("30000"), Any, Medium, ReadOnly, "How long it may take at most after failures in a row."),
    key("config.providers", List, Some(""), LIST, Low, ClusterWide, "Names of plugins that look up values such as `${name:path:key}`."),
    key("authorizer.class.name", Text, Some(""), NonNull, Low, ReadOnly, "Class that decides who may do what; empty allows everything to everybody."),
    key("early.start.listeners", List, None, MAYBE_LIST, High, ReadOnly, "Listeners that accept connections before the authorizer is ready."),
    key("broker.rack", Text, None, Any, Medium, ReadOnly, "Rack or zone of this broker, for placing replicas and fetching from near ones."),
    key("controlled.shutdown.enable", Boolean, Some("true"), Any, Medium, ReadOnly, "Whether the broker hands over its leaderships before it stops."),
    key("delete.topic.enable", Boolean, Some("true"), Any, High, ReadOnly, "Whether topics can be deleted."),
    key("compression.type", Text, Some("producer"), OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), High, ClusterWide, "How topics are compressed on disk: a codec, `uncompressed`, or `producer` to keep what was sent."),
    key("compression.gzip.level", Int, Some("-1"), GzipLevel, Medium, ClusterWide, "Gzip level used when the broker compresses."),
    key("compression.lz4.level", Int, Some("9"), Between(1.0, 17.0), Medium, ClusterWide, "LZ4 level used when the broker compresses."),
    key("compression.zstd.level", Int, Some("3"), Between(-131072.0, 22.0), Medium, ClusterWide, "Zstandard level used when the broker compresses."),
    key("max.incremental.fetch.session.cache.slots", Int, Some("1000"), AtLeast(0.0), Medium, ReadOnly, "How many incremental fetch sessions are remembered."),
    key("fetch.max.bytes", Int, Some("57671680"), AtLeast(1024.0), Medium, ReadOnly, "Most bytes that one fetch response carries."),
    key("max.request.partition.size.limit", Int, Some("2000"), AtLeast(1.0), Medium, ReadOnly, "Most partitions that one DescribeTopicPartitions answer lists."),
    key("unstable.api.versions.enable", Boolean, Some("false"), Any, High, ReadOnly, "Whether API versions that are not final yet are offered.").internal(),
    key("unstable.feature.versions.enable", Boolean, Some("false"), Any, High, ReadOnly, "Whether feature levels that are not final yet are allowed.").internal(),
];

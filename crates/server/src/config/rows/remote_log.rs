//! Tiered storage: the remote log manager (KIP-405).

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("remote.log.storage.system.enable", Boolean, Some("false"), Any, Medium, ReadOnly, "Whether this broker moves old segments to a remote tier."),
    key("remote.log.storage.manager.impl.prefix", Text, Some("rsm.config."), NonEmpty, Medium, ReadOnly, "Prefix of the keys handed to the remote storage plugin."),
    key("remote.log.metadata.manager.impl.prefix", Text, Some("rlmm.config."), NonEmpty, Medium, ReadOnly, "Prefix of the keys handed to the remote metadata plugin."),
    key("remote.log.storage.manager.class.name", Text, None, NonEmpty, Medium, ReadOnly, "Class of the plugin that stores segments remotely."),
    key("remote.log.storage.manager.class.path", Text, None, Any, Medium, ReadOnly, "Where the remote storage plugin is loaded from."),
    key("remote.log.metadata.manager.class.name", Text, Some("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"), NonEmpty, Medium, ReadOnly, "Class of the plugin that remembers which segments are remote."),
    key("remote.log.metadata.manager.class.path", Text, None, Any, Medium, ReadOnly, "Where the remote metadata plugin is loaded from."),
    key("remote.log.metadata.manager.listener.name", Text, None, NonEmpty, Medium, ReadOnly, "Listener through which the remote metadata plugin talks to the brokers."),
    key("remote.log.metadata.custom.metadata.max.bytes", Int, Some("128"), AtLeast(0.0), Low, ReadOnly, "Largest custom note a storage plugin may attach to a segment."),
    key("remote.log.index.file.cache.total.size.bytes", Long, Some("1073741824"), AtLeast(1.0), Low, ClusterWide, "Disk space for indexes fetched from the remote tier."),
    key("remote.log.index.file.cache.ttl.ms", Long, Some("900000"), AtLeast(-1.0), Low, ReadOnly, "How long an unused fetched index is kept.").internal(),
    key("remote.log.manager.thread.pool.size", Int, Some("2"), AtLeast(1.0), Medium, ReadOnly, "Threads that clean up followers' remote state; superseded by the three pools below."),
    key("remote.log.manager.copier.thread.pool.size", Int, Some("10"), AtLeast(1.0), Medium, ClusterWide, "Threads that copy segments to the remote tier."),
    key("remote.log.manager.expiration.thread.pool.size", Int, Some("10"), AtLeast(1.0), Medium, ClusterWide, "Threads that delete expired remote segments."),
    key("remote.log.manager.follower.thread.pool.size", Int, Some("2"), AtLeast(1.0), Medium, ClusterWide, "Threads that follow the remote log on followers."),
    key("remote.log.manager.task.interval.ms", Long, Some("30000"), AtLeast(1.0), Low, ReadOnly, "Pause between two rounds of copying and expiring."),
    key("remote.log.manager.task.retry.backoff.ms", Long, Some("500"), AtLeast(1.0), Low, ReadOnly, "First pause before a failed remote task is tried again.").internal(),
    key("remote.log.manager.task.retry.backoff.max.ms", Long, Some("30000"), AtLeast(1.0), Low, ReadOnly, "Longest pause before a failed remote task is tried again.").internal(),
    key("remote.log.manager.task.retry.jitter", Double, Some("0.2"), Between(0.0, 0.5), Low, ReadOnly, "Random part added to or taken from that pause.").internal(),
    key("remote.log.reader.threads", Int, Some("10"), AtLeast(1.0), Medium, ClusterWide, "Threads that read from the remote tier for fetches."),
    key("remote.log.reader.max.pending.tasks", Int, Some("100"), AtLeast(1.0), Medium, ReadOnly, "How many remote reads may wait for a thread before fetches are refused."),
    key("log.local.retention.ms", Long, Some("-2"), AtLeast(-2.0), Medium, ClusterWide, "How long a copied segment stays on the local disk; -2 means as long as the topic keeps it."),
    key("log.local.retention.bytes", Long, Some("-2"), AtLeast(-2.0), Medium, ClusterWide, "How many bytes of copied segments stay on the local disk; -2 means as many as the topic keeps."),
    key("log.remote.copy.lag.ms", Long, Some("0"), AtLeast(-1.0), Medium, ClusterWide, "How long a closed segment waits before it is copied to the remote tier."),
    key("log.remote.copy.lag.bytes", Long, Some("-1"), AtLeast(-1.0), Medium, ClusterWide, "How many newer bytes must follow a closed segment before it is copied to the remote tier."),
    key("remote.log.manager.copy.max.bytes.per.second", Long, Some("9223372036854775807"), AtLeast(1.0), Medium, ClusterWide, "Speed limit for copying to the remote tier."),
    key("remote.log.manager.copy.quota.window.num", Int, Some("11"), AtLeast(1.0), Medium, ReadOnly, "Samples kept to measure the speed of copying."),
    key("remote.log.manager.copy.quota.window.size.seconds", Int, Some("1"), AtLeast(1.0), Medium, ReadOnly, "Length of one of those samples."),
    key("remote.log.manager.fetch.max.bytes.per.second", Long, Some("9223372036854775807"), AtLeast(1.0), Medium, ClusterWide, "Speed limit for reading from the remote tier."),
    key("remote.log.manager.fetch.quota.window.num", Int, Some("11"), AtLeast(1.0), Medium, ReadOnly, "Samples kept to measure the speed of remote reads."),
    key("remote.log.manager.fetch.quota.window.size.seconds", Int, Some("1"), AtLeast(1.0), Medium, ReadOnly, "Length of one of those samples."),
    key("remote.fetch.max.wait.ms", Int, Some("500"), AtLeast(1.0), Medium, ClusterWide, "Longest time a fetch waits for the remote tier."),
    key("remote.list.offsets.request.timeout.ms", Long, Some("30000"), AtLeast(1.0), Medium, ClusterWide, "Longest time an offset lookup waits for the remote tier."),
];

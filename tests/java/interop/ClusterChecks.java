import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** The cluster as the Java admin client describes it. */
final class ClusterChecks {
    private final String bootstrap;

    ClusterChecks(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    void run(Check check) {
        check.that("describe cluster", this::cluster);
        check.that("describe log dirs", this::logDirs);
        check.that("describe producers", this::producers);
        check.that("describe quorum", this::quorum);
        check.that("describe features", this::features);
        check.that("broker configs: describe, alter, delete", this::brokerConfigs);
        check.that("list config resources", this::configResources);
    }

    private Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", 40_000));
    }

    private void cluster() throws Exception {
        try (Admin admin = admin()) {
            var cluster = admin.describeCluster();
            Check.equal(1, cluster.nodes().get().size(), "nodes");
            var node = cluster.nodes().get().iterator().next();
            Check.equal(bootstrap, node.host() + ":" + node.port(), "advertised address");
            Check.equal(22, cluster.clusterId().get().length(), "length of the cluster id");
            Check.isTrue(cluster.controller().get() != null, "a controller is named");
        }
    }

    private static int node(Admin admin) throws Exception {
        return admin.describeCluster().nodes().get().iterator().next().id();
    }

    private void logDirs() throws Exception {
        TopicPartition partition = new TopicPartition("sized", 0);
        try (Admin admin = admin(); var producer = Corpus.producer(bootstrap, Map.of())) {
            producer.send(new ProducerRecord<>("sized", 0, null, new byte[10_000])).get();
            var dirs = admin.describeLogDirs(List.of(node(admin))).allDescriptions().get().get(node(admin));
            Check.equal(1, dirs.size(), "log dirs");
            var dir = dirs.values().iterator().next();
            Check.equal(null, dir.error(), "error");
            var replica = dir.replicaInfos().get(partition);
            Check.isTrue(replica != null && replica.size() > 10_000 && replica.size() < 11_000, "size: " + replica);
            Check.isTrue(dir.totalBytes().isPresent() && dir.usableBytes().isPresent(), "bytes of the disk");
        }
    }

    private void producers() throws Exception {
        TopicPartition partition = new TopicPartition("produced", 0);
        try (Admin admin = admin(); var producer = Corpus.producer(bootstrap, Map.of("enable.idempotence", "true"))) {
            for (int i = 0; i < 3; i++) {
                producer.send(new ProducerRecord<>("produced", 0, null, Corpus.utf8("p" + i))).get();
            }
            var active = admin.describeProducers(List.of(partition)).all().get().get(partition).activeProducers();
            Check.equal(1, active.size(), "producers");
            Check.equal(2, active.get(0).lastSequence(), "last sequence");
            Check.equal(0, active.get(0).producerEpoch(), "epoch");
        }
    }

    private void quorum() throws Exception {
        try (Admin admin = admin()) {
            var quorum = admin.describeMetadataQuorum().quorumInfo().get();
            Check.equal(1, quorum.voters().size(), "voters");
            Check.equal(quorum.voters().get(0).replicaId(), quorum.leaderId(), "the voter leads");
            Check.isTrue(quorum.highWatermark() > 0, "high watermark");
            Check.isTrue(quorum.leaderEpoch() > 0, "epoch");
        }
    }

    private void features() throws Exception {
        try (Admin admin = admin()) {
            var features = admin.describeFeatures().featureMetadata().get();
            var version = features.finalizedFeatures().get("metadata.version");
            Check.isTrue(version != null && version.maxVersionLevel() >= 7, "metadata.version is finalized");
            var range = features.supportedFeatures().get("metadata.version");
            Check.equal(7, (int) range.minVersion(), "oldest metadata.version");
            Check.isTrue(range.maxVersion() >= version.maxVersionLevel(), "newest metadata.version");
        }
    }

    private void brokerConfigs() throws Exception {
        try (Admin admin = admin()) {
            var broker = new ConfigResource(ConfigResource.Type.BROKER, Integer.toString(node(admin)));
            Config config = admin.describeConfigs(List.of(broker)).all().get().get(broker);
            Check.equal(ConfigEntry.ConfigSource.STATIC_BROKER_CONFIG, config.get("node.id").source(), "node.id");
            Check.isTrue(config.get("node.id").isReadOnly(), "node.id is read only");
            Check.isTrue(config.entries().size() > 200, "every key is known: " + config.entries().size());
            alter(admin, broker, "log.retention.ms", "123456789", AlterConfigOp.OpType.SET);
            Check.eventually("altered", () -> "123456789".equals(admin.describeConfigs(List.of(broker)).all().get()
                .get(broker).get("log.retention.ms").value()));
            alter(admin, broker, "log.retention.ms", "", AlterConfigOp.OpType.DELETE);
            Check.fails(org.apache.kafka.common.errors.InvalidRequestException.class,
                () -> alter(admin, broker, "node.id", "77", AlterConfigOp.OpType.SET));
        }
    }

    private static void alter(Admin admin, ConfigResource resource, String key, String value,
            AlterConfigOp.OpType type) throws Exception {
        var op = new AlterConfigOp(new ConfigEntry(key, value), type);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(op))).all().get();
    }

    private void configResources() throws Exception {
        try (Admin admin = admin()) {
            var listed = admin.listConfigResources().all().get();
            Check.isTrue(listed.contains(new ConfigResource(ConfigResource.Type.TOPIC, "configured")),
                "a topic is listed");
        }
    }
}

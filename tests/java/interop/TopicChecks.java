import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Topics and their configuration through the Java admin client. */
final class TopicChecks {
    private final String bootstrap;

    TopicChecks(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    void run(Check check) {
        check.that("create, describe and delete topics", this::lifeOfATopic);
        check.that("create topic: refusals", this::refusals);
        check.that("create topic: validate only", this::validateOnly);
        check.that("create topic with given replicas", this::assignment);
        check.that("create partitions", this::partitions);
        check.that("topic configs: describe, alter, delete", this::configs);
        check.that("list offsets: earliest, latest, time, max timestamp", this::offsets);
        check.that("delete records", this::deleteRecords);
        check.that("delete topic by id", this::deleteById);
    }

    private Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", 40_000));
    }

    private static ConfigResource topic(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    private void lifeOfATopic() throws Exception {
        try (Admin admin = admin()) {
            var created = admin.createTopics(List.of(new NewTopic("life", 3, (short) 1)
                .configs(Map.of("retention.ms", "86400000"))));
            created.all().get();
            Check.equal(3, created.numPartitions("life").get(), "partitions answered");
            Check.equal("86400000", created.config("life").get().get("retention.ms").value(), "config answered");
            TopicDescription seen = describe(admin, "life");
            Check.equal(3, seen.partitions().size(), "partitions");
            Check.equal(created.topicId("life").get(), seen.topicId(), "topic id");
            for (var partition : seen.partitions()) {
                Check.equal(1, partition.replicas().size(), "replicas");
                Check.equal(partition.replicas(), partition.isr(), "isr");
                Check.isTrue(partition.leader() != null, "leader");
            }
            var byId = admin.describeTopics(TopicCollection.ofTopicIds(List.of(seen.topicId())));
            Check.equal("life", byId.allTopicIds().get().get(seen.topicId()).name(), "described by id");
            Check.isTrue(admin.listTopics().names().get().contains("life"), "listed");
            admin.deleteTopics(List.of("life")).all().get();
            Check.eventually("topic is gone", () -> !admin.listTopics().names().get().contains("life"));
            Check.fails(UnknownTopicOrPartitionException.class, () -> describe(admin, "life"));
            Check.fails(UnknownTopicOrPartitionException.class,
                () -> admin.deleteTopics(List.of("life")).all().get());
            admin.createTopics(List.of(new NewTopic("life", 1, (short) 1))).all().get();
            Check.isTrue(!describe(admin, "life").topicId().equals(seen.topicId()), "a new id after recreation");
        }
    }

    private static TopicDescription describe(Admin admin, String name) throws Exception {
        return admin.describeTopics(List.of(name)).allTopicNames().get(30, TimeUnit.SECONDS).get(name);
    }

    private void refusals() throws Exception {
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic("taken", 1, (short) 1))).all().get();
            Check.fails(TopicExistsException.class,
                () -> admin.createTopics(List.of(new NewTopic("taken", 1, (short) 1))).all().get());
            Check.fails(InvalidPartitionsException.class,
                () -> admin.createTopics(List.of(new NewTopic("none", 0, (short) 1))).all().get());
            Check.fails(InvalidReplicationFactorException.class,
                () -> admin.createTopics(List.of(new NewTopic("three", 1, (short) 3))).all().get());
            Check.fails(InvalidConfigurationException.class,
                () -> admin.createTopics(List.of(new NewTopic("odd", 1, (short) 1)
                    .configs(Map.of("retention.ms", "soon")))).all().get());
            Check.fails(InvalidConfigurationException.class,
                () -> admin.createTopics(List.of(new NewTopic("odd", 1, (short) 1)
                    .configs(Map.of("no.such.config", "1")))).all().get());
        }
    }

    private void validateOnly() throws Exception {
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic("never", 2, (short) 1)),
                new CreateTopicsOptions().validateOnly(true)).all().get();
            Check.isTrue(!admin.listTopics().names().get().contains("never"), "nothing was created");
        }
    }

    private void assignment() throws Exception {
        try (Admin admin = admin()) {
            int node = admin.describeCluster().nodes().get().iterator().next().id();
            Map<Integer, List<Integer>> replicas = Map.of(0, List.of(node), 1, List.of(node));
            admin.createTopics(List.of(new NewTopic("assigned", replicas))).all().get();
            Check.equal(2, describe(admin, "assigned").partitions().size(), "partitions");
        }
    }

    private void partitions() throws Exception {
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic("grows", 1, (short) 1))).all().get();
            admin.createPartitions(Map.of("grows", NewPartitions.increaseTo(4))).all().get();
            Check.eventually("four partitions", () -> describe(admin, "grows").partitions().size() == 4);
            Check.fails(InvalidPartitionsException.class,
                () -> admin.createPartitions(Map.of("grows", NewPartitions.increaseTo(2))).all().get());
            Check.fails(UnknownTopicOrPartitionException.class,
                () -> admin.createPartitions(Map.of("absent", NewPartitions.increaseTo(2))).all().get());
        }
        try (var producer = Corpus.producer(bootstrap, Map.of())) {
            producer.send(new ProducerRecord<>("grows", 3, null, Corpus.utf8("new"))).get();
        }
        Corpus.read(bootstrap, new TopicPartition("grows", 3), 1);
    }

    private void configs() throws Exception {
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic("configured", 1, (short) 1)
                .configs(Map.of("max.message.bytes", "2000000")))).all().get();
            Config config = config(admin, "configured");
            Check.equal("2000000", config.get("max.message.bytes").value(), "given at creation");
            Check.equal(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, config.get("max.message.bytes").source(), "source");
            Check.equal(ConfigEntry.ConfigSource.DEFAULT_CONFIG, config.get("retention.bytes").source(), "default source");
            Check.equal("delete", config.get("cleanup.policy").value(), "default policy");
            alter(admin, "cleanup.policy", "compact", AlterConfigOp.OpType.SET);
            alter(admin, "cleanup.policy", "delete", AlterConfigOp.OpType.APPEND);
            Check.eventually("appended policy",
                () -> config(admin, "configured").get("cleanup.policy").value().equals("compact,delete"));
            alter(admin, "cleanup.policy", "compact", AlterConfigOp.OpType.SUBTRACT);
            alter(admin, "max.message.bytes", "", AlterConfigOp.OpType.DELETE);
            Check.eventually("back to the default",
                () -> config(admin, "configured").get("max.message.bytes").value().equals("1048588"));
            Check.equal("delete", config(admin, "configured").get("cleanup.policy").value(), "subtracted policy");
            Check.fails(InvalidConfigurationException.class,
                () -> alter(admin, "retention.ms", "-5", AlterConfigOp.OpType.SET));
            Check.fails(UnknownTopicOrPartitionException.class,
                () -> admin.describeConfigs(List.of(topic("absent"))).all().get());
        }
    }

    private static Config config(Admin admin, String name) throws Exception {
        return admin.describeConfigs(List.of(topic(name))).all().get().get(topic(name));
    }

    private static void alter(Admin admin, String key, String value, AlterConfigOp.OpType type) throws Exception {
        var op = new AlterConfigOp(new ConfigEntry(key, value), type);
        admin.incrementalAlterConfigs(Map.of(topic("configured"), List.of(op))).all().get();
    }

    private void offsets() throws Exception {
        TopicPartition partition = new TopicPartition("offsets-java", 0);
        long base = Corpus.FIRST_TIMESTAMP;
        long[] timestamps = {base + 10, base + 50, base + 20, base + 90, base + 30};
        try (var producer = Corpus.producer(bootstrap, Map.of()); Admin admin = admin()) {
            for (long timestamp : timestamps) {
                producer.send(new ProducerRecord<>(partition.topic(), 0, timestamp, null, Corpus.utf8("t"))).get();
            }
            Map<OffsetSpec, Long> expected = new HashMap<>();
            expected.put(OffsetSpec.earliest(), 0L);
            expected.put(OffsetSpec.latest(), 5L);
            expected.put(OffsetSpec.maxTimestamp(), 3L);
            expected.put(OffsetSpec.forTimestamp(base + 15), 1L);
            expected.put(OffsetSpec.forTimestamp(base + 60), 3L);
            expected.put(OffsetSpec.forTimestamp(base + 91), -1L);
            for (var entry : expected.entrySet()) {
                long offset = admin.listOffsets(Map.of(partition, entry.getKey())).all().get().get(partition).offset();
                Check.equal(entry.getValue(), offset, entry.getKey().getClass().getSimpleName());
            }
            long max = admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).all().get().get(partition)
                .timestamp();
            Check.equal(base + 90, max, "the highest timestamp");
        }
    }

    private void deleteRecords() throws Exception {
        TopicPartition partition = new TopicPartition("trimmed", 0);
        try (var producer = Corpus.producer(bootstrap, Map.of()); Admin admin = admin()) {
            for (int i = 0; i < 20; i++) {
                producer.send(new ProducerRecord<>(partition.topic(), 0, null, Corpus.utf8("d" + i)));
            }
            producer.flush();
            var deleted = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(7)));
            Check.equal(7L, deleted.lowWatermarks().get(partition).get().lowWatermark(), "low watermark");
            long earliest = admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).all().get().get(partition)
                .offset();
            Check.equal(7L, earliest, "earliest");
            var left = Corpus.read(bootstrap, partition, 13);
            Check.equal("d7", new String(left.get(0).value()), "first record left");
            Check.fails(OffsetOutOfRangeException.class,
                () -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(21))).all().get());
            admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(-1))).all().get();
            earliest = admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).all().get().get(partition).offset();
            Check.equal(20L, earliest, "everything is deleted");
        }
    }

    private void deleteById() throws Exception {
        try (Admin admin = admin()) {
            Uuid id = admin.createTopics(List.of(new NewTopic("by-id", 1, (short) 1))).topicId("by-id").get();
            admin.deleteTopics(TopicCollection.ofTopicIds(Set.of(id))).all().get();
            Check.eventually("topic is gone", () -> !admin.listTopics().names().get().contains("by-id"));
        }
    }
}

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** What the programs of the groups' tests share: clients that do not wait long, topics, settings of groups. */
final class Work {
    static final String CLASSIC = "classic";
    static final String CONSUMER = "consumer";
    /** Longer than any session of these tests and any restart of a server. */
    static final Duration PATIENCE = Duration.ofSeconds(60);

    interface Condition {
        boolean holds() throws Exception;
    }

    static void eventually(String what, Condition condition) throws Exception {
        eventually(what, PATIENCE, condition);
    }

    static void eventually(String what, Duration patience, Condition condition) throws Exception {
        long deadline = System.nanoTime() + patience.toNanos();
        while (!condition.holds()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within " + patience.toSeconds() + " s: " + what);
            }
            Thread.sleep(25);
        }
    }

    static Admin admin(String bootstrap) {
        return Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", 60_000,
            "reconnect.backoff.max.ms", 200));
    }

    /** Creates topics; those that are there already are left as they are. */
    static void create(String bootstrap, int partitions, String... topics) throws Exception {
        create(bootstrap, partitions, Map.of(), topics);
    }

    static void create(String bootstrap, int partitions, Map<String, String> config, String... topics)
            throws Exception {
        List<NewTopic> wanted = new ArrayList<>();
        for (String topic : topics) {
            wanted.add(new NewTopic(topic, partitions, (short) 1).configs(config));
        }
        try (Admin admin = admin(bootstrap)) {
            for (var result : admin.createTopics(wanted).values().values()) {
                try {
                    result.get();
                } catch (ExecutionException e) {
                    if (!(e.getCause() instanceof TopicExistsException)) {
                        throw e;
                    }
                }
            }
            Work.eventually("leaders of " + Arrays.toString(topics), () -> led(admin, List.of(topics)));
            serving(admin, List.of(topics));
        }
    }

    /**
     * Waits until the leaders answer, which Kafka tells of before they do: of a producer's first batches in
     * flight a leader could refuse one and take the next, and then the first never fits any more.
     */
    private static void serving(Admin admin, List<String> topics) throws Exception {
        Map<TopicPartition, OffsetSpec> all = new HashMap<>();
        for (var topic : admin.describeTopics(topics).allTopicNames().get().values()) {
            topic.partitions().forEach(partition ->
                all.put(new TopicPartition(topic.name(), partition.partition()), OffsetSpec.latest()));
        }
        admin.listOffsets(all).all().get();
    }

    private static boolean led(Admin admin, List<String> topics) throws Exception {
        try {
            return admin.describeTopics(topics).allTopicNames().get().values().stream()
                .flatMap(topic -> topic.partitions().stream())
                .allMatch(partition -> partition.leader() != null && partition.leader().id() >= 0);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                return false;
            }
            throw e;
        }
    }

    /** Sets configurations of a group and waits until the server answers with them. */
    static void configureGroup(String bootstrap, String group, Map<String, String> config) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.GROUP, group);
        try (Admin admin = admin(bootstrap)) {
            List<AlterConfigOp> ops = new ArrayList<>();
            config.forEach((key, value) ->
                ops.add(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)));
            admin.incrementalAlterConfigs(Map.of(resource, ops)).all().get();
            eventually("configuration of group " + group, () -> {
                var seen = admin.describeConfigs(List.of(resource)).all().get().get(resource);
                return config.entrySet().stream().allMatch(entry -> seen.get(entry.getKey()) != null
                    && entry.getValue().equals(seen.get(entry.getKey()).value()));
            });
        }
    }

    static Map<String, Object> merged(Map<String, Object> base, Map<String, Object> more) {
        Map<String, Object> all = new HashMap<>(base);
        all.putAll(more);
        return all;
    }

    /** A consumer whose session is short; that of the consumer protocol is the server's to say. */
    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String protocol, String group,
            Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(Map.of("group.id", group, "group.protocol", protocol,
            "reconnect.backoff.max.ms", 200, "default.api.timeout.ms", 40_000));
        if (protocol.equals(CLASSIC)) {
            config.put("session.timeout.ms", 6000);
            config.put("heartbeat.interval.ms", 500);
        }
        return Corpus.consumer(bootstrap, merged(config, more));
    }

    static KafkaProducer<byte[], byte[]> transactional(String bootstrap, String id, Map<String, Object> more) {
        Map<String, Object> config = Map.of("transactional.id", id, "reconnect.backoff.max.ms", 200,
            "retry.backoff.max.ms", 200, "max.block.ms", 40_000);
        return Corpus.producer(bootstrap, merged(config, more));
    }

    static ProducerRecord<byte[], byte[]> record(String topic, Integer partition, String key, String value) {
        return new ProducerRecord<>(topic, partition, key == null ? null : Corpus.utf8(key), Corpus.utf8(value));
    }

    /** Values `word-0` to `word-(count-1)`, over all partitions in turn. */
    static void produce(String bootstrap, String topic, int partitions, int count, String word) throws Exception {
        try (var producer = Corpus.producer(bootstrap, Map.of("linger.ms", 20))) {
            for (int i = 0; i < count; i++) {
                producer.send(record(topic, i % partitions, null, word + "-" + i));
            }
        }
    }

    static String text(ConsumerRecord<byte[], byte[]> record) {
        return new String(record.value(), StandardCharsets.UTF_8);
    }

    /** The type of a group as it is listed, or "none". */
    static String type(Admin admin, String group) throws Exception {
        return admin.listGroups().all().get().stream().filter(listed -> listed.groupId().equals(group))
            .findFirst().flatMap(GroupListing::type).map(Object::toString).orElse("none");
    }

    private Work() {
    }
}

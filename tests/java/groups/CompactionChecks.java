import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** The log cleaner: what is left of topics that keep the last value of each key. */
final class CompactionChecks {
    private static final String TICK = "tick";
    private static final int KEYS = 50;
    private static final Map<String, String> COMPACT = Map.of("cleanup.policy", "compact", "segment.ms", "50",
        "min.cleanable.dirty.ratio", "0.001", "delete.retention.ms", "50");
    private final String bootstrap;

    CompactionChecks(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    void run(Check check) {
        check.that("compaction: the last value of each key stays", this::lastValues);
        check.that("compaction: a deleted key leaves nothing behind", this::tombstones);
        check.that("compaction: nothing of an aborted transaction stays", this::transactions);
        check.that("compaction: with deletion the start moves", this::deletion);
        check.that("compaction: records without a key are refused", this::withoutKeys);
    }

    private void lastValues() throws Exception {
        String topic = "compact-last";
        Work.create(bootstrap, 1, COMPACT, topic);
        try (var producer = Corpus.producer(bootstrap, Map.of()); var reader = reader(topic)) {
            for (int round = 0; round < 4; round++) {
                for (int key = 0; key < KEYS; key++) {
                    producer.send(Work.record(topic, 0, "k" + key, "v" + round + "-" + key));
                }
                producer.flush();
                tick(producer, topic);
            }
            Map<String, List<String>> expected = new TreeMap<>();
            for (int key = 0; key < KEYS; key++) {
                expected.put("k" + key, List.of("v3-" + key));
            }
            awaitLeft(producer, reader, topic, expected);
            // Offsets are kept: the first record that is left is where it always was.
            try (Admin admin = Work.admin(bootstrap)) {
                var partition = new TopicPartition(topic, 0);
                var end = admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition).get();
                Check.isTrue(end.offset() >= 4 * KEYS, "end offset " + end.offset());
            }
        }
    }

    private void tombstones() throws Exception {
        String topic = "compact-tombstones";
        Work.create(bootstrap, 1, COMPACT, topic);
        try (var producer = Corpus.producer(bootstrap, Map.of()); var reader = reader(topic)) {
            producer.send(Work.record(topic, 0, "kept", "1"));
            producer.send(Work.record(topic, 0, "gone", "1"));
            producer.flush();
            tick(producer, topic);
            producer.send(new ProducerRecord<>(topic, 0, Corpus.utf8("gone"), null));
            awaitLeft(producer, reader, topic, Map.of("kept", List.of("1")));
        }
    }

    private void transactions() throws Exception {
        String topic = "compact-transactions";
        Work.create(bootstrap, 1, COMPACT, topic);
        try (var producer = Corpus.producer(bootstrap, Map.of());
                var transactional = Work.transactional(bootstrap, "compactor", Map.of());
                var reader = reader(topic)) {
            transactional.initTransactions();
            for (String value : List.of("committed-1", "aborted-1", "committed-2", "aborted-2")) {
                transactional.beginTransaction();
                transactional.send(Work.record(topic, 0, "k", value));
                transactional.send(Work.record(topic, 0, "only-" + value.split("-")[0], value));
                transactional.flush();
                if (value.startsWith("aborted")) {
                    transactional.abortTransaction();
                } else {
                    transactional.commitTransaction();
                }
                tick(producer, topic);
            }
            // The reader sees uncommitted records, too: the aborted ones are really gone.
            awaitLeft(producer, reader, topic,
                Map.of("k", List.of("committed-2"), "only-committed", List.of("committed-2")));
        }
    }

    private void deletion() throws Exception {
        String topic = "compact-delete";
        var config = new TreeMap<>(COMPACT);
        config.put("cleanup.policy", "compact,delete");
        config.put("retention.ms", "60000");
        Work.create(bootstrap, 1, config, topic);
        try (var producer = Corpus.producer(bootstrap, Map.of()); Admin admin = Work.admin(bootstrap)) {
            // All of an hour ago, so that it does not matter what the cleaner joins in one segment.
            long[] timestamp = {System.currentTimeMillis() - Duration.ofHours(1).toMillis()};
            var partition = new TopicPartition(topic, 0);
            Work.eventually("a start behind the first record", () -> {
                timestamp[0] += 100;
                producer.send(new ProducerRecord<>(topic, 0, timestamp[0], Corpus.utf8(TICK), Corpus.utf8("t"))).get();
                return admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).partitionResult(partition).get()
                    .offset() > 0;
            });
        }
    }

    private void withoutKeys() throws Exception {
        String topic = "compact-keyless";
        Work.create(bootstrap, 1, COMPACT, topic);
        try (var producer = Corpus.producer(bootstrap, Map.of())) {
            Check.fails(org.apache.kafka.common.InvalidRecordException.class,
                () -> producer.send(Work.record(topic, 0, null, "v")).get());
        }
    }

    /** Segments roll when a record comes, and the last one is never cleaned. */
    private static void tick(KafkaProducer<byte[], byte[]> producer, String topic) throws Exception {
        producer.send(Work.record(topic, 0, TICK, "t")).get();
    }

    private KafkaConsumer<byte[], byte[]> reader(String topic) {
        var reader = Corpus.consumer(bootstrap, Map.of("isolation.level", "read_uncommitted"));
        reader.assign(List.of(new TopicPartition(topic, 0)));
        return reader;
    }

    private static void awaitLeft(KafkaProducer<byte[], byte[]> producer, KafkaConsumer<byte[], byte[]> reader,
            String topic, Map<String, List<String>> expected) throws Exception {
        List<Object> last = new ArrayList<>(List.of("nothing"));
        try {
            Work.eventually("the log to be cleaned", () -> {
                tick(producer, topic);
                var left = left(reader);
                last.set(0, left);
                return left.equals(expected);
            });
        } catch (AssertionError late) {
            throw new AssertionError(late.getMessage() + "; left: " + last.get(0));
        }
    }

    /** The values of each key in the whole log; null is a tombstone. */
    private static Map<String, List<String>> left(KafkaConsumer<byte[], byte[]> reader) {
        Collection<TopicPartition> all = reader.assignment();
        reader.seekToBeginning(all);
        var ends = reader.endOffsets(all);
        Map<String, List<String>> left = new TreeMap<>();
        while (!all.stream().allMatch(partition -> reader.position(partition) >= ends.get(partition))) {
            for (var record : reader.poll(Duration.ofMillis(100))) {
                String key = new String(record.key(), StandardCharsets.UTF_8);
                if (!key.equals(TICK)) {
                    left.computeIfAbsent(key, any -> new ArrayList<>())
                        .add(record.value() == null ? null : Work.text(record));
                }
            }
        }
        return left;
    }
}

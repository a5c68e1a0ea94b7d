import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidRecordStateException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Share groups (KIP-932) through the Java client: who gets a record, how often, and what becomes of it. */
final class ShareGroupChecks {
    static final Duration POLL = Duration.ofMillis(100);
    /** The shortest that the tests' servers allow. */
    static final int LOCK_MS = 2000;
    private final String bootstrap;

    ShareGroupChecks(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    void run(Check check) {
        check.that("share group: implicit acknowledgement by the next poll and by commitSync", this::implicit);
        check.that("share group: closing releases what was not acknowledged", () -> closeReleases("explicit"));
        check.that("share group: closing is no implicit acknowledgement", () -> closeReleases("implicit"));
        check.that("share group: accept, release and reject", this::explicit);
        check.that("share group: each mode forbids the other's calls", this::modes);
        check.that("share group: the number of deliveries is limited", this::deliveryLimit);
        check.that("share group: a lock ends and the record goes to another", this::lockEnds);
        check.that("share group: renewal by commitSync keeps the lock", () -> renewal("commit"));
        check.that("share group: renewal by the next poll keeps the lock", () -> renewal("poll"));
        check.that("share group: record_limit gives no more than asked for", this::recordLimit);
        check.that("share group: commitAsync tells the callback", this::callback);
        check.that("share group: five consumers share two partitions, each record once", this::queue);
    }

    static KafkaShareConsumer<byte[], byte[]> consumer(String bootstrap, String group, Map<String, Object> more) {
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "group.id", group,
            "reconnect.backoff.max.ms", 200, "default.api.timeout.ms", 40_000);
        return new KafkaShareConsumer<>(Work.merged(config, more), new ByteArrayDeserializer(),
            new ByteArrayDeserializer());
    }

    private static final Map<String, Object> EXPLICIT = Map.of("share.acknowledgement.mode", "explicit");

    /** A topic of one partition and a group of the same name that reads it from its start. */
    static void begin(String bootstrap, String name, int partitions, Map<String, String> more) throws Exception {
        Work.create(bootstrap, partitions, name);
        Map<String, String> config = new HashMap<>(more);
        config.put("share.auto.offset.reset", "earliest");
        Work.configureGroup(bootstrap, name, config);
    }

    private KafkaShareConsumer<byte[], byte[]> subscribed(String name, Map<String, Object> more) {
        var consumer = consumer(bootstrap, name, more);
        consumer.subscribe(List.of(name));
        return consumer;
    }

    /** Polls, and acknowledges each record as the rule says, until there were so many deliveries. */
    private static List<ConsumerRecord<byte[], byte[]>> work(KafkaShareConsumer<byte[], byte[]> consumer, int count,
            Function<ConsumerRecord<byte[], byte[]>, AcknowledgeType> rule) throws Exception {
        List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
        Work.eventually(count + " deliveries", () -> {
            for (var record : consumer.poll(POLL)) {
                all.add(record);
                consumer.acknowledge(record, rule.apply(record));
            }
            return all.size() >= count;
        });
        committed(consumer);
        return all;
    }

    /** Commits, and every partition's answer must be good. */
    private static void committed(KafkaShareConsumer<byte[], byte[]> consumer) {
        consumer.commitSync().forEach((partition, error) ->
            Check.isTrue(error.isEmpty(), "commit for " + partition + ": " + error));
    }

    private static int deliveries(ConsumerRecord<byte[], byte[]> record) {
        return record.deliveryCount().map(Short::intValue).orElse(-1);
    }

    /** Numbers of the deliveries of each value. */
    private static Map<String, List<Integer>> byValue(List<ConsumerRecord<byte[], byte[]>> records) {
        Map<String, List<Integer>> found = new TreeMap<>();
        for (var record : records) {
            found.computeIfAbsent(Work.text(record), value -> new ArrayList<>()).add(deliveries(record));
        }
        return found;
    }

    /**
     * Waits until the group is done with all that a partition has. Its start offset would not tell: what was
     * acknowledged behind it is only counted, until there is something else to write.
     */
    static void awaitDone(String bootstrap, String group, TopicPartition partition) throws Exception {
        try (Admin admin = Work.admin(bootstrap)) {
            Work.eventually(group + " to be done with " + partition, () -> isDone(admin, group, partition));
        }
    }

    static boolean isDone(Admin admin, String group, TopicPartition partition) throws Exception {
        SharePartitionOffsetInfo info = offsets(admin, group, partition);
        return info != null && info.lag().equals(Optional.of(0L));
    }

    /** The first offset that a group is not done with as far as it is written down, or -1. */
    static long start(Admin admin, String group, TopicPartition partition) throws Exception {
        SharePartitionOffsetInfo info = offsets(admin, group, partition);
        return info == null ? -1 : info.startOffset();
    }

    private static SharePartitionOffsetInfo offsets(Admin admin, String group, TopicPartition partition)
            throws Exception {
        return admin.listShareGroupOffsets(
            Map.of(group, new ListShareGroupOffsetsSpec().topicPartitions(List.of(partition))))
            .partitionsToOffsetInfo(group).get().get(partition);
    }

    private void implicit() throws Exception {
        String name = "share-implicit";
        begin(bootstrap, name, 1, Map.of());
        Work.produce(bootstrap, name, 1, 20, "i");
        try (var consumer = subscribed(name, Map.of())) {
            Set<String> seen = new HashSet<>();
            Work.eventually("all records", () -> {
                consumer.poll(POLL).forEach(record -> {
                    Check.equal(1, deliveries(record), "deliveries of " + Work.text(record));
                    Check.isTrue(seen.add(Work.text(record)), "twice " + Work.text(record));
                });
                return seen.size() == 20;
            });
            committed(consumer);
            awaitDone(bootstrap, name, new TopicPartition(name, 0));
            Work.produce(bootstrap, name, 1, 5, "later");
            Work.eventually("the later ones", () -> {
                consumer.poll(POLL).forEach(record -> seen.add(Work.text(record)));
                return seen.size() == 25;
            });
            // The next poll accepts them, and nobody calls commitSync.
            try (Admin admin = Work.admin(bootstrap)) {
                Work.eventually("nothing is left", () -> {
                    consumer.poll(POLL);
                    return isDone(admin, name, new TopicPartition(name, 0));
                });
            }
        }
    }

    private void closeReleases(String mode) throws Exception {
        String name = "share-close-" + mode;
        begin(bootstrap, name, 1, Map.of());
        Work.produce(bootstrap, name, 1, 10, "c");
        Set<String> first = new HashSet<>();
        try (var consumer = subscribed(name, Map.of("share.acknowledgement.mode", mode))) {
            Work.eventually("records", () -> {
                consumer.poll(POLL).forEach(record -> first.add(Work.text(record)));
                return !first.isEmpty();
            });
        }
        try (var consumer = subscribed(name, EXPLICIT)) {
            var all = byValue(work(consumer, 10, record -> AcknowledgeType.ACCEPT));
            Check.equal(10, all.size(), "values");
            first.forEach(value -> Check.equal(List.of(2), all.get(value), "deliveries of " + value));
        }
        awaitDone(bootstrap, name, new TopicPartition(name, 0));
    }

    private void explicit() throws Exception {
        String name = "share-explicit";
        begin(bootstrap, name, 1, Map.of());
        Work.produce(bootstrap, name, 1, 12, "e");
        try (var consumer = subscribed(name, EXPLICIT)) {
            // Four are released and come a second time.
            var seen = byValue(work(consumer, 16, record -> {
                int kind = (int) record.offset() % 3;
                if (kind == 0 || deliveries(record) > 1) {
                    return AcknowledgeType.ACCEPT;
                }
                return kind == 1 ? AcknowledgeType.RELEASE : AcknowledgeType.REJECT;
            }));
            for (int i = 0; i < 12; i++) {
                Check.equal(i % 3 == 1 ? List.of(1, 2) : List.of(1), seen.get("e-" + i), "deliveries of e-" + i);
            }
            awaitDone(bootstrap, name, new TopicPartition(name, 0));
            Work.produce(bootstrap, name, 1, 1, "sentinel");
            var rest = work(consumer, 1, record -> AcknowledgeType.ACCEPT);
            Check.equal(Set.of("sentinel-0"), byValue(rest).keySet(), "what was rejected does not come back");
        }
    }

    private void modes() throws Exception {
        String name = "share-modes";
        begin(bootstrap, name, 1, Map.of());
        Work.produce(bootstrap, name, 1, 2, "m");
        try (var consumer = subscribed(name, Map.of())) {
            List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
            Work.eventually("a record", () -> {
                consumer.poll(POLL).forEach(got::add);
                return !got.isEmpty();
            });
            Check.fails(IllegalStateException.class, () -> consumer.acknowledge(got.get(0)));
        }
        try (var consumer = subscribed(name, EXPLICIT)) {
            List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
            Work.eventually("a record", () -> {
                consumer.poll(POLL).forEach(got::add);
                return !got.isEmpty();
            });
            Check.fails(IllegalStateException.class, () -> consumer.poll(POLL));
            got.forEach(consumer::acknowledge);
            committed(consumer);
        }
    }

    private void deliveryLimit() throws Exception {
        String name = "share-limit";
        begin(bootstrap, name, 1, Map.of("share.delivery.count.limit", "3"));
        Work.produce(bootstrap, name, 1, 4, "d");
        try (var consumer = subscribed(name, EXPLICIT)) {
            var seen = byValue(work(consumer, 12, record -> AcknowledgeType.RELEASE));
            for (int i = 0; i < 4; i++) {
                Check.equal(List.of(1, 2, 3), seen.get("d-" + i), "deliveries of d-" + i);
            }
            awaitDone(bootstrap, name, new TopicPartition(name, 0));
            Work.produce(bootstrap, name, 1, 1, "sentinel");
            var rest = work(consumer, 1, record -> AcknowledgeType.ACCEPT);
            Check.equal(Set.of("sentinel-0"), byValue(rest).keySet(), "what was tried often enough stays away");
        }
    }

    private void lockEnds() throws Exception {
        String name = "share-lock";
        begin(bootstrap, name, 1, Map.of("share.record.lock.duration.ms", Integer.toString(LOCK_MS)));
        Work.produce(bootstrap, name, 1, 1, "l");
        try (var holder = subscribed(name, EXPLICIT); var other = subscribed(name, EXPLICIT)) {
            List<ConsumerRecord<byte[], byte[]>> held = new ArrayList<>();
            Work.eventually("a record", () -> {
                holder.poll(POLL).forEach(held::add);
                return !held.isEmpty();
            });
            Check.equal(LOCK_MS, holder.acquisitionLockTimeoutMs().orElse(-1), "the lock's duration");
            List<ConsumerRecord<byte[], byte[]>> second = new ArrayList<>();
            Work.eventually("the record at the other", () -> {
                other.poll(POLL).forEach(second::add);
                return !second.isEmpty();
            });
            Check.equal(2, deliveries(second.get(0)), "deliveries");
            // While the other has it: what lies before the start offset may be acknowledged again and again.
            holder.acknowledge(held.get(0), AcknowledgeType.ACCEPT);
            var errors = holder.commitSync().values();
            Check.isTrue(errors.stream().anyMatch(e -> e.isPresent() && e.get() instanceof InvalidRecordStateException),
                "the lock is gone, yet the commit answered " + errors);
            other.acknowledge(second.get(0), AcknowledgeType.ACCEPT);
            committed(other);
        }
        awaitDone(bootstrap, name, new TopicPartition(name, 0));
    }

    /** Longer than three locks last, and nobody else may have the record. */
    private void renewal(String by) throws Exception {
        String name = "share-renew-by-" + by;
        begin(bootstrap, name, 1, Map.of("share.record.lock.duration.ms", Integer.toString(LOCK_MS)));
        Work.produce(bootstrap, name, 1, 1, "r");
        var elsewhere = new ConcurrentLinkedQueue<String>();
        try (var holder = subscribed(name, EXPLICIT)) {
            List<ConsumerRecord<byte[], byte[]>> now = new ArrayList<>();
            Check.Body poll = () -> Work.eventually("the record at its holder", () -> {
                now.clear();
                holder.poll(POLL).forEach(now::add);
                return !now.isEmpty();
            });
            poll.run();
            try (var thief = new ShareWorker(subscribed(name, EXPLICIT), record -> !elsewhere.add(Work.text(record)))) {
                long begin = System.nanoTime();
                while (System.nanoTime() - begin < Duration.ofMillis(3 * LOCK_MS).toNanos()) {
                    holder.acknowledge(now.get(0), AcknowledgeType.RENEW);
                    if (by.equals("commit")) {
                        committed(holder);
                    }
                    poll.run();
                    Check.equal(1, deliveries(now.get(0)), "deliveries: a renewal is none");
                    LockSupport.parkNanos(Duration.ofMillis(LOCK_MS / 4).toNanos());
                }
                holder.acknowledge(now.get(0), AcknowledgeType.ACCEPT);
                committed(holder);
                thief.expectAlive();
            }
        }
        Check.equal(List.of(), List.copyOf(elsewhere), "the record went elsewhere");
        awaitDone(bootstrap, name, new TopicPartition(name, 0));
    }

    private void recordLimit() throws Exception {
        String name = "share-record-limit";
        begin(bootstrap, name, 1, Map.of());
        Work.produce(bootstrap, name, 1, 23, "n");
        Map<String, Object> config = Map.of("share.acknowledgement.mode", "explicit", "share.acquire.mode",
            "record_limit", "max.poll.records", 5);
        try (var consumer = subscribed(name, config)) {
            Set<String> seen = new HashSet<>();
            Work.eventually("all records", () -> {
                var records = consumer.poll(POLL);
                Check.isTrue(records.count() <= 5, records.count() + " records in one poll");
                records.forEach(record -> {
                    Check.isTrue(seen.add(Work.text(record)), "twice " + Work.text(record));
                    consumer.acknowledge(record);
                });
                return seen.size() == 23;
            });
            committed(consumer);
        }
        awaitDone(bootstrap, name, new TopicPartition(name, 0));
    }

    private void callback() throws Exception {
        String name = "share-callback";
        begin(bootstrap, name, 1, Map.of());
        Work.produce(bootstrap, name, 1, 10, "k");
        Set<Long> told = new HashSet<>();
        try (var consumer = subscribed(name, Map.of())) {
            consumer.setAcknowledgementCommitCallback((offsets, exception) -> {
                Check.equal(null, exception, "what the callback is told");
                offsets.values().forEach(told::addAll);
            });
            Work.eventually("the callback for all offsets", () -> {
                consumer.poll(POLL);
                consumer.commitAsync();
                return told.size() == 10;
            });
        }
    }

    private void queue() throws Exception {
        String name = "share-queue";
        begin(bootstrap, name, 2, Map.of());
        Map<String, Integer> seen = new java.util.concurrent.ConcurrentHashMap<>();
        List<ShareWorker> workers = new ArrayList<>();
        Map<String, Object> config = Map.of("share.acknowledgement.mode", "explicit", "max.poll.records", 20,
            "share.acquire.mode", "record_limit");
        try {
            for (int i = 0; i < 5; i++) {
                workers.add(new ShareWorker(subscribed(name, config), record -> {
                    seen.merge(Work.text(record), 1, Integer::sum);
                    return true;
                }));
            }
            Work.produce(bootstrap, name, 2, 1000, "q");
            Work.eventually("all records", () -> {
                workers.forEach(ShareWorker::expectAlive);
                return seen.size() == 1000;
            });
            awaitDone(bootstrap, name, new TopicPartition(name, 0));
            awaitDone(bootstrap, name, new TopicPartition(name, 1));
            Check.isTrue(seen.values().stream().allMatch(times -> times == 1), "a record was worked on twice");
            long busy = workers.stream().filter(worker -> worker.done() > 0).count();
            Check.isTrue(busy >= 2, "only " + busy + " of five consumers had work");
        } finally {
            for (ShareWorker worker : workers) {
                worker.close();
            }
        }
    }
}

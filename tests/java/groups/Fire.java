import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * Both ends of a chain of transactional workers: numbers go into `fire-0`, and out of the last topic each
 * comes once, in order for each key, whoever is killed in between.
 */
final class Fire {
    private static final int PARTITIONS = 4;
    private static final int KEYS = 16;
    /** Pause between two records of the input. */
    private static final long PACE_NANOS = 4_000_000;
    private static final Duration DRAIN = Duration.ofSeconds(180);
    private final String bootstrap;
    private final int hops;
    private volatile long fed;
    private volatile boolean stop;
    private volatile String wrong;
    /** The next number of each key. */
    private final long[] next = IntStream.range(0, KEYS).mapToLong(key -> key).toArray();
    private volatile long seen;

    Fire(String bootstrap, int hops) {
        this.bootstrap = bootstrap;
        this.hops = hops;
    }

    int run(int seconds) throws Exception {
        for (int hop = 0; hop <= hops; hop++) {
            Work.create(bootstrap, PARTITIONS, "fire-" + hop);
        }
        Thread reader = new Thread(this::read, "reader");
        reader.setDaemon(true);
        reader.start();
        System.out.println("ready");
        String failure = failureOf(() -> feed(seconds));
        System.out.println("fed " + fed);
        if (failure == null) {
            failure = failureOf(() -> Work.eventually("all of " + fed + " records, of which " + seen + " came",
                DRAIN, () -> wrong != null || complete()));
        }
        stop = true;
        reader.join(Work.PATIENCE.toMillis());
        failure = failure == null ? wrong : failure;
        boolean good = tell("what came out is what went in, once, in order for each key", failure);
        good &= tell("aborted records were written, and none was seen", failureOf(this::abortedWereThere));
        good &= tell("no transaction is left open", failureOf(() -> {
            try (Admin admin = Work.admin(bootstrap)) {
                awaitNothingOpen(admin, topic -> true);
            }
        }));
        System.out.println("fire: " + seen + " records over " + hops + " hops");
        return good ? 0 : 1;
    }

    private static String failureOf(Check.Body body) {
        try {
            body.run();
            return null;
        } catch (Throwable thrown) {
            return thrown.toString();
        }
    }

    private static boolean tell(String name, String failure) {
        System.out.println(failure == null ? "ok " + name : "not ok " + name + ": " + failure);
        return failure == null;
    }

    private void feed(int seconds) throws Exception {
        Map<String, Object> config = Map.of("enable.idempotence", "true", "delivery.timeout.ms", 300_000,
            "request.timeout.ms", 5000, "reconnect.backoff.max.ms", 200, "max.block.ms", 120_000);
        var failures = new java.util.concurrent.ConcurrentLinkedQueue<Exception>();
        long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        try (var producer = Corpus.producer(bootstrap, config)) {
            while (System.nanoTime() < end && wrong == null) {
                int key = (int) (fed % KEYS);
                producer.send(Work.record("fire-0", null, "k" + key, Long.toString(fed)), (metadata, exception) -> {
                    if (exception != null) {
                        failures.add(exception);
                    }
                });
                fed++;
                LockSupport.parkNanos(PACE_NANOS);
            }
        }
        if (!failures.isEmpty()) {
            throw failures.peek();
        }
    }

    private boolean complete() {
        synchronized (next) {
            return seen == fed && IntStream.range(0, KEYS).allMatch(key -> next[key] >= fed);
        }
    }

    /** From the very beginning on, so that also what is visible for a moment only would be seen. */
    private void read() {
        List<TopicPartition> all = new ArrayList<>();
        IntStream.range(0, PARTITIONS).forEach(p -> all.add(new TopicPartition("fire-" + hops, p)));
        Map<String, Object> config = Map.of("isolation.level", "read_committed", "reconnect.backoff.max.ms", 200);
        try (var consumer = Corpus.consumer(bootstrap, config)) {
            consumer.assign(all);
            consumer.seekToBeginning(all);
            while (!stop && wrong == null) {
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    take(record);
                }
            }
        } catch (Exception e) {
            wrong = "the reader ended: " + e;
        }
    }

    private void take(ConsumerRecord<byte[], byte[]> record) {
        int key = Integer.parseInt(new String(record.key()).substring(1));
        synchronized (next) {
            String expected = next[key] + ".".repeat(hops);
            if (!Work.text(record).equals(expected) && wrong == null) {
                wrong = "key " + key + " at " + record.partition() + "/" + record.offset() + " is "
                    + Work.text(record) + " instead of " + expected;
            }
            next[key] += KEYS;
            seen++;
        }
    }

    private void abortedWereThere() throws Exception {
        long aborted = 0;
        try (var consumer = Corpus.consumer(bootstrap, Map.of())) {
            for (int hop = 1; hop <= hops; hop++) {
                String topic = "fire-" + hop;
                List<TopicPartition> all = IntStream.range(0, PARTITIONS)
                    .mapToObj(p -> new TopicPartition(topic, p)).toList();
                consumer.assign(all);
                consumer.seekToBeginning(all);
                var ends = consumer.endOffsets(all);
                long deadline = System.nanoTime() + Work.PATIENCE.toNanos();
                while (!all.stream().allMatch(p -> consumer.position(p) >= ends.get(p))) {
                    for (var record : consumer.poll(Duration.ofMillis(100))) {
                        aborted += Work.text(record).startsWith(Hop.ABORTED) ? 1 : 0;
                    }
                    Check.isTrue(System.nanoTime() < deadline, "the end of " + topic + " is not reached");
                }
            }
        }
        System.out.println("fire: " + aborted + " aborted records lie in the logs");
        Check.isTrue(aborted > 0, "nobody aborted anything");
    }

    /** No producer has an open transaction in any of these topics, and no coordinator has one under way. */
    static void awaitNothingOpen(Admin admin, Predicate<String> wanted) throws Exception {
        var topics = admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get().stream()
            .filter(wanted).toList();
        List<TopicPartition> partitions = new ArrayList<>();
        admin.describeTopics(topics).allTopicNames().get().forEach((topic, description) ->
            description.partitions().forEach(p -> partitions.add(new TopicPartition(topic, p.partition()))));
        Work.eventually("no open transaction", () -> {
            var states = admin.describeProducers(partitions).all().get();
            return states.values().stream().flatMap(state -> state.activeProducers().stream())
                .noneMatch(producer -> producer.currentTransactionStartOffset().isPresent());
        });
        Work.eventually("no transaction under way", () -> admin.listTransactions().all().get().stream()
            .map(listing -> listing.state())
            .allMatch(state -> state == TransactionState.COMPLETE_COMMIT || state == TransactionState.COMPLETE_ABORT
                || state == TransactionState.EMPTY));
    }
}

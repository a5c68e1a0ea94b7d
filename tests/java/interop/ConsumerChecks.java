import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** What the Java consumer does: subscriptions, seeks, commits, lookups by time. */
final class ConsumerChecks {
    private static final TopicPartition FIRST = new TopicPartition("consume-java", 0);
    private final String bootstrap;

    ConsumerChecks(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    void run(Check check) {
        check.that("records over four partitions", this::write);
        check.that("subscribe, read all, commit, resume", this::resume);
        check.that("subscribe by pattern", this::pattern);
        check.that("seek, position, beginning and end offsets", this::seek);
        check.that("offsets for times", this::times);
        check.that("offset out of range", this::outOfRange);
        check.that("committed metadata comes back", this::metadata);
        check.that("small fetch limits still make progress", this::smallFetch);
        check.that("long poll answers when a record arrives", this::longPoll);
        check.that("partitionsFor and listTopics", this::listing);
        check.that("static member keeps its partitions", this::staticMember);
        check.that("read_committed reads plain records", this::readCommitted);
    }

    private void write() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(FIRST.topic(), 4, (short) 1))).all().get();
        }
        try (var producer = Corpus.producer(bootstrap, Map.of())) {
            for (int i = 0; i < 400; i++) {
                producer.send(new ProducerRecord<>(FIRST.topic(), i % 4, Corpus.FIRST_TIMESTAMP + i, null,
                    Corpus.utf8("c" + i)));
            }
        }
    }

    private void resume() throws Exception {
        Map<String, Object> config = Map.of("group.id", "resume-java", "max.poll.records", 100);
        Set<String> seen = new TreeSet<>();
        for (int round = 0; round < 2; round++) {
            try (var consumer = Corpus.consumer(bootstrap, config)) {
                consumer.subscribe(List.of(FIRST.topic()));
                int got = 0;
                long deadline = System.nanoTime() + Duration.ofSeconds(40).toNanos();
                while (got < 200) {
                    for (var record : consumer.poll(Duration.ofMillis(200))) {
                        got++;
                        Check.isTrue(seen.add(new String(record.value())), "twice " + new String(record.value()));
                    }
                    Check.isTrue(System.nanoTime() < deadline, "only " + got + " records in round " + round);
                }
                consumer.commitSync();
            }
        }
        Check.equal(400, seen.size(), "records over both rounds");
    }

    private void pattern() {
        Map<String, Object> config = Map.of("group.id", "pattern-java");
        try (var consumer = Corpus.consumer(bootstrap, config)) {
            consumer.subscribe(java.util.regex.Pattern.compile("consume-ja.*"));
            Corpus.poll(consumer, 400);
        }
    }

    private void seek() {
        try (var consumer = Corpus.consumer(bootstrap, Map.of())) {
            consumer.assign(List.of(FIRST));
            consumer.seek(FIRST, 42);
            Check.equal(42L, consumer.position(FIRST), "position");
            var records = Corpus.poll(consumer, 58);
            Check.equal(42L, records.get(0).offset(), "first offset after the seek");
            Check.equal(Map.of(FIRST, 100L), consumer.endOffsets(List.of(FIRST)), "end");
            Check.equal(Map.of(FIRST, 0L), consumer.beginningOffsets(List.of(FIRST)), "beginning");
            Check.isTrue(consumer.currentLag(FIRST).isPresent(), "lag is known");
        }
    }

    private void times() {
        try (var consumer = Corpus.consumer(bootstrap, Map.of())) {
            OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(FIRST, Corpus.FIRST_TIMESTAMP + 41)).get(FIRST);
            Check.equal(11L, found.offset(), "offset for the time");
            Check.equal(Corpus.FIRST_TIMESTAMP + 44, found.timestamp(), "timestamp at the offset");
            var later = consumer.offsetsForTimes(Map.of(FIRST, Corpus.FIRST_TIMESTAMP + 1_000_000));
            Check.equal(null, later.get(FIRST), "no record is that late");
        }
    }

    private void outOfRange() throws Exception {
        try (var consumer = Corpus.consumer(bootstrap, Map.of("auto.offset.reset", "none"))) {
            consumer.assign(List.of(FIRST));
            consumer.seek(FIRST, 1_000_000);
            Check.fails(OffsetOutOfRangeException.class, () -> {
                for (int i = 0; i < 100; i++) {
                    consumer.poll(Duration.ofMillis(200));
                }
            });
        }
    }

    private void metadata() {
        try (var consumer = Corpus.consumer(bootstrap, Map.of("group.id", "metadata-java"))) {
            consumer.assign(List.of(FIRST));
            var committed = new OffsetAndMetadata(17, java.util.Optional.of(0), "{\"note\":\"ñandú\"}");
            consumer.commitSync(Map.of(FIRST, committed));
            Check.equal(committed, consumer.committed(Set.of(FIRST)).get(FIRST), "committed");
        }
    }

    private void smallFetch() {
        Map<String, Object> config = Map.of("max.partition.fetch.bytes", 100, "fetch.max.bytes", 150);
        try (var consumer = Corpus.consumer(bootstrap, config)) {
            consumer.assign(List.of(FIRST));
            consumer.seekToBeginning(List.of(FIRST));
            Corpus.poll(consumer, 100);
        }
    }

    private void longPoll() throws Exception {
        TopicPartition partition = new TopicPartition("long-poll-java", 0);
        Map<String, Object> config = Map.of("fetch.max.wait.ms", 20_000, "request.timeout.ms", 30_000);
        try (var producer = Corpus.producer(bootstrap, Map.of());
                var consumer = Corpus.consumer(bootstrap, config)) {
            producer.send(new ProducerRecord<>(partition.topic(), 0, null, Corpus.utf8("first"))).get();
            consumer.assign(List.of(partition));
            Corpus.poll(consumer, 1);
            consumer.poll(Duration.ofMillis(300));
            long start = System.nanoTime();
            producer.send(new ProducerRecord<>(partition.topic(), 0, null, Corpus.utf8("second"))).get();
            Corpus.poll(consumer, 1);
            long millis = Duration.ofNanos(System.nanoTime() - start).toMillis();
            Check.isTrue(millis < 10_000, "the waiting fetch took " + millis + " ms");
        }
    }

    private void listing() {
        try (var consumer = Corpus.consumer(bootstrap, Map.of())) {
            Check.equal(4, consumer.partitionsFor(FIRST.topic()).size(), "partitions");
            Check.isTrue(new TreeMap<>(consumer.listTopics()).containsKey(FIRST.topic()), "topic is listed");
        }
    }

    private void staticMember() throws Exception {
        Map<String, Object> config = Map.of("group.id", "static-java", "group.instance.id", "one",
            "session.timeout.ms", 30_000);
        String before;
        try (var consumer = Corpus.consumer(bootstrap, config)) {
            consumer.subscribe(List.of(FIRST.topic()));
            Corpus.poll(consumer, 400);
            before = consumer.groupMetadata().groupInstanceId().orElse("");
            Check.equal(1, consumer.groupMetadata().generationId(), "generation");
            consumer.commitSync();
        }
        try (var consumer = Corpus.consumer(bootstrap, config)) {
            consumer.subscribe(List.of(FIRST.topic()));
            Check.eventually("assignment is back", () -> {
                consumer.poll(Duration.ofMillis(100));
                return consumer.assignment().size() == 4;
            });
            Check.equal(before, consumer.groupMetadata().groupInstanceId().orElse("?"), "instance");
            Check.equal(1, consumer.groupMetadata().generationId(), "generation: no rebalance was needed");
        }
    }

    private void readCommitted() {
        try (var consumer = Corpus.consumer(bootstrap, Map.of("isolation.level", "read_committed"))) {
            consumer.assign(List.of(FIRST));
            consumer.seekToBeginning(List.of(FIRST));
            Corpus.poll(consumer, 100);
        }
    }
}

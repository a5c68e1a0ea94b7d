import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Transactional producers under one level of `transaction.version`. */
final class TransactionChecks {
    private final String bootstrap;
    private final int level;

    TransactionChecks(String bootstrap, int level) {
        this.bootstrap = bootstrap;
        this.level = level;
    }

    void run(Check check) {
        that(check, "the cluster has this level", this::finalized);
        that(check, "what is committed is seen, what is aborted is not", this::visibility);
        that(check, "an open transaction holds readers back", this::stableOffset);
        that(check, "a newer producer fences the older one", this::fencing);
        that(check, "fenceProducers", this::fenceProducers);
        that(check, "epochs after each end", this::epochs);
        that(check, "offsets with a transaction, classic group", () -> offsets(Work.CLASSIC));
        that(check, "offsets with a transaction, consumer group", () -> offsets(Work.CONSUMER));
        that(check, "offsets in the name of a member that is none", this::foreignMember);
        that(check, "a transaction that takes too long is aborted", this::timeOut);
        that(check, "one transaction over many partitions", this::many);
        that(check, "an admin aborts what is open", this::abortByAdmin);
        that(check, "nothing is left open", this::nothingOpen);
    }

    private void that(Check check, String name, Check.Body body) {
        check.that("transaction.version " + level + ": " + name, body);
    }

    private String name(String word) {
        return "txn-" + level + "-" + word;
    }

    private KafkaProducer<byte[], byte[]> begun(String id, Map<String, Object> more) {
        var producer = Work.transactional(bootstrap, id, more);
        producer.initTransactions();
        producer.beginTransaction();
        return producer;
    }

    private void send(KafkaProducer<byte[], byte[]> producer, String topic, String... values) throws Exception {
        for (String value : values) {
            producer.send(Work.record(topic, 0, null, value)).get();
        }
    }

    private List<String> committed(String topic, int count) {
        try (var consumer = Corpus.consumer(bootstrap, Map.of("isolation.level", "read_committed"))) {
            var partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            return Corpus.poll(consumer, count).stream().map(Work::text).toList();
        }
    }

    private void finalized() throws Exception {
        try (Admin admin = Work.admin(bootstrap)) {
            Work.eventually("level " + level, () -> {
                var found = admin.describeFeatures().featureMetadata().get().finalizedFeatures()
                    .get("transaction.version");
                return (found == null ? 0 : found.maxVersionLevel()) == level;
            });
        }
    }

    private void visibility() throws Exception {
        String topic = name("visible");
        Work.create(bootstrap, 1, topic);
        try (var producer = begun(topic, Map.of())) {
            send(producer, topic, "a", "b");
            producer.commitTransaction();
            producer.beginTransaction();
            send(producer, topic, "never", "ever");
            producer.abortTransaction();
            producer.beginTransaction();
            producer.abortTransaction();
            producer.beginTransaction();
            producer.commitTransaction();
            producer.beginTransaction();
            send(producer, topic, "c");
            producer.commitTransaction();
        }
        Check.equal(List.of("a", "b", "c"), committed(topic, 3), "read_committed");
        var all = Corpus.read(bootstrap, new TopicPartition(topic, 0), 5);
        Check.equal(List.of("a", "b", "never", "ever", "c"), all.stream().map(Work::text).toList(), "all");
        Check.equal(6L, all.get(4).offset(), "each end that had records takes one offset");
    }

    private void stableOffset() throws Exception {
        String topic = name("stable");
        var partition = new TopicPartition(topic, 0);
        Work.create(bootstrap, 1, topic);
        try (Admin admin = Work.admin(bootstrap); var producer = begun(topic, Map.of())) {
            send(producer, topic, "t1");
            Work.produce(bootstrap, topic, 1, 2, "plain");
            Check.equal(0L, end(admin, partition, IsolationLevel.READ_COMMITTED), "last stable offset");
            Check.equal(3L, end(admin, partition, IsolationLevel.READ_UNCOMMITTED), "high watermark");
            try (var consumer = Corpus.consumer(bootstrap, Map.of("isolation.level", "read_committed"))) {
                consumer.assign(List.of(partition));
                consumer.seekToBeginning(List.of(partition));
                for (int i = 0; i < 5; i++) {
                    Check.equal(0, consumer.poll(Duration.ofMillis(100)).count(), "records behind the open one");
                }
                producer.commitTransaction();
                Check.equal(3, Corpus.poll(consumer, 3).size(), "records after the end");
            }
            Work.eventually("the last stable offset", () -> end(admin, partition, IsolationLevel.READ_COMMITTED) == 4);
        }
    }

    private static long end(Admin admin, TopicPartition partition, IsolationLevel isolation) throws Exception {
        return admin.listOffsets(Map.of(partition, OffsetSpec.latest()), new ListOffsetsOptions(isolation))
            .partitionResult(partition).get().offset();
    }

    private void fencing() throws Exception {
        String topic = name("fenced");
        Work.create(bootstrap, 1, topic);
        try (var older = begun(topic, Map.of())) {
            send(older, topic, "lost");
            try (var newer = begun(topic, Map.of())) {
                send(newer, topic, "kept");
                Check.fails(KafkaException.class, () -> {
                    send(older, topic, "too late");
                    older.commitTransaction();
                });
                newer.commitTransaction();
            }
        }
        Check.equal(List.of("kept"), committed(topic, 1), "read_committed");
    }

    private void fenceProducers() throws Exception {
        String topic = name("fence-producers");
        Work.create(bootstrap, 1, topic);
        try (Admin admin = Work.admin(bootstrap); var producer = begun(topic, Map.of())) {
            send(producer, topic, "lost");
            admin.fenceProducers(List.of(topic)).all().get();
            Check.fails(ProducerFencedException.class, producer::commitTransaction);
        }
        try (var producer = begun(topic, Map.of())) {
            send(producer, topic, "kept");
            producer.commitTransaction();
        }
        Check.equal(List.of("kept"), committed(topic, 1), "read_committed");
    }

    /** From level 2 on each end bumps the epoch (KIP-890); before, only a new producer does. */
    private void epochs() throws Exception {
        String topic = name("epochs");
        Work.create(bootstrap, 1, topic);
        try (Admin admin = Work.admin(bootstrap); var producer = begun(topic, Map.of())) {
            int before = -1;
            for (int i = 0; i < 4; i++) {
                send(producer, topic, "e" + i);
                if (i % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
                TransactionState expected =
                    i % 2 == 0 ? TransactionState.COMPLETE_COMMIT : TransactionState.COMPLETE_ABORT;
                Work.eventually("complete", () -> admin.describeTransactions(List.of(topic)).description(topic).get()
                    .state() == expected);
                int epoch = admin.describeTransactions(List.of(topic)).description(topic).get().producerEpoch();
                if (before >= 0) {
                    Check.equal(before + (level >= 2 ? 1 : 0), epoch, "epoch after the end of transaction " + i);
                }
                before = epoch;
                producer.beginTransaction();
            }
            producer.abortTransaction();
        }
    }

    private void offsets(String protocol) throws Exception {
        String topic = name("offsets-" + protocol);
        var partition = new TopicPartition(topic, 0);
        Work.create(bootstrap, 1, topic);
        Work.produce(bootstrap, topic, 1, 10, "o");
        Map<String, Object> config = Map.of("isolation.level", "read_committed");
        try (var consumer = Work.consumer(bootstrap, protocol, topic, config);
                var producer = begun(topic, Map.of()); Admin admin = Work.admin(bootstrap)) {
            consumer.subscribe(List.of(topic));
            Corpus.poll(consumer, 10);
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(4, "aborted")),
                consumer.groupMetadata());
            producer.abortTransaction();
            Check.equal(null, consumer.committed(Set.of(partition)).get(partition), "aborted");
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(7, "kept")),
                consumer.groupMetadata());
            Check.equal(null, admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get()
                .get(partition), "pending");
            producer.commitTransaction();
            var seen = consumer.committed(Set.of(partition)).get(partition);
            Check.equal(7L, seen.offset(), "committed");
            Check.equal("kept", seen.metadata(), "metadata");
        }
    }

    private void foreignMember() throws Exception {
        String topic = name("foreign");
        var partition = new TopicPartition(topic, 0);
        Work.create(bootstrap, 1, topic);
        Work.produce(bootstrap, topic, 1, 1, "f");
        for (String protocol : List.of(Work.CLASSIC, Work.CONSUMER)) {
            String group = topic + "-" + protocol;
            try (var consumer = Work.consumer(bootstrap, protocol, group, Map.of());
                    var producer = begun(group, Map.of())) {
                consumer.subscribe(List.of(topic));
                Corpus.poll(consumer, 1);
                var real = consumer.groupMetadata();
                var instance = real.groupInstanceId();
                for (var wrong : List.of(
                    new ConsumerGroupMetadata(group, real.generationId(), "nobody", instance),
                    new ConsumerGroupMetadata(group, real.generationId() + 7, real.memberId(), instance))) {
                    Check.fails(KafkaException.class, () -> {
                        producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(1)), wrong);
                        producer.commitTransaction();
                    });
                    producer.abortTransaction();
                    producer.beginTransaction();
                }
                producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(1)), real);
                producer.commitTransaction();
                Check.equal(1L, consumer.committed(Set.of(partition)).get(partition).offset(), "the good one");
            }
        }
    }

    private void timeOut() throws Exception {
        String topic = name("slow");
        var partition = new TopicPartition(topic, 0);
        Work.create(bootstrap, 1, topic);
        try (Admin admin = Work.admin(bootstrap); var producer = begun(topic, Map.of("transaction.timeout.ms", 1000))) {
            send(producer, topic, "too slow");
            Work.eventually("the coordinator to abort",
                () -> end(admin, partition, IsolationLevel.READ_COMMITTED) == 2);
            Check.fails(KafkaException.class, producer::commitTransaction);
        }
        try (var producer = begun(topic, Map.of())) {
            send(producer, topic, "in time");
            producer.commitTransaction();
        }
        Check.equal(List.of("in time"), committed(topic, 1), "read_committed");
    }

    private void many() throws Exception {
        String topic = name("many");
        int partitions = 20;
        Work.create(bootstrap, partitions, topic);
        try (var producer = begun(topic, Map.of())) {
            for (int round = 0; round < 3; round++) {
                for (int i = 0; i < partitions; i++) {
                    producer.send(Work.record(topic, i, null, (round == 1 ? "never-" : "kept-") + round));
                }
                if (round == 1) {
                    producer.flush();
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
                producer.beginTransaction();
            }
            producer.commitTransaction();
        }
        Map<Integer, Integer> seen = new HashMap<>();
        try (var consumer = Corpus.consumer(bootstrap, Map.of("isolation.level", "read_committed"))) {
            List<TopicPartition> all = java.util.stream.IntStream.range(0, partitions)
                .mapToObj(i -> new TopicPartition(topic, i)).toList();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            for (var record : Corpus.poll(consumer, 2 * partitions)) {
                Check.isTrue(Work.text(record).startsWith("kept"), Work.text(record));
                seen.merge(record.partition(), 1, Integer::sum);
            }
        }
        Check.isTrue(seen.size() == partitions && seen.values().stream().allMatch(n -> n == 2), "seen: " + seen);
    }

    private void abortByAdmin() throws Exception {
        String topic = name("hanging");
        var partition = new TopicPartition(topic, 0);
        Work.create(bootstrap, 1, topic);
        try (Admin admin = Work.admin(bootstrap); var producer = begun(topic, Map.of())) {
            send(producer, topic, "gone");
            ProducerState state = admin.describeProducers(List.of(partition)).partitionResult(partition).get()
                .activeProducers().get(0);
            Check.equal(0L, state.currentTransactionStartOffset().orElse(-1), "where it starts");
            var spec = new AbortTransactionSpec(partition, state.producerId(), (short) state.producerEpoch(),
                state.coordinatorEpoch().orElse(0));
            admin.abortTransaction(spec).all().get();
            Work.eventually("the last stable offset", () -> end(admin, partition, IsolationLevel.READ_COMMITTED) == 2);
            // The coordinator knows nothing of it; its own abort ends what it has.
            try {
                producer.abortTransaction();
            } catch (KafkaException fenced) {
                // As good.
            }
        }
        Check.equal("gone", Work.text(Corpus.read(bootstrap, partition, 1).get(0)), "what read_uncommitted sees");
    }

    private void nothingOpen() throws Exception {
        try (Admin admin = Work.admin(bootstrap)) {
            Fire.awaitNothingOpen(admin, topic -> topic.startsWith("txn-" + level + "-"));
        }
    }
}

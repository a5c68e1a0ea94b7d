import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.common.TopicPartition;

/** Members come and go under load, and nobody fails: every record is seen once, for offsets are committed first. */
final class RebalanceChecks {
    static final int PARTITIONS = 6;
    private final String bootstrap;
    private final String protocol;

    RebalanceChecks(String bootstrap, String protocol) {
        this.bootstrap = bootstrap;
        this.protocol = protocol;
    }

    void run(Check check) {
        if (protocol.equals(Work.CONSUMER)) {
            check.that("consumer group: rebalances under load", () -> scene("uniform", Map.of()));
            return;
        }
        check.that("classic group: rebalances under load, range", () -> scene("range", Map.of()));
        check.that("classic group: rebalances under load, round robin", () -> scene("roundrobin",
            Map.of("partition.assignment.strategy", RoundRobinAssignor.class.getName())));
        check.that("classic group: rebalances under load, cooperative", () -> scene("cooperative",
            Map.of("partition.assignment.strategy", CooperativeStickyAssignor.class.getName())));
    }

    private void scene(String word, Map<String, Object> config) throws Exception {
        String topic = "rebalance-" + protocol + "-" + word;
        Work.create(bootstrap, PARTITIONS, topic);
        List<Member> all = new ArrayList<>();
        try (var load = new Load(bootstrap, topic, PARTITIONS)) {
            Member one = join(all, topic, config);
            Member.awaitShared(PARTITIONS, one);
            progress(all, one);
            Member two = join(all, topic, config);
            Member.awaitShared(PARTITIONS, one, two);
            progress(all, one, two);
            Member three = join(all, topic, config);
            Member.awaitShared(PARTITIONS, one, two, three);
            progress(all, one, two, three);
            one.close();
            Member.awaitShared(PARTITIONS, two, three);
            Member four = join(all, topic, config);
            two.close();
            Member.awaitShared(PARTITIONS, three, four);
            progress(all, three, four);
            long sent = load.finish();
            Work.eventually("all of " + sent + " records", () -> seen(all) >= sent);
            Check.isTrue(one.revocations + two.revocations > 0, "nobody ever gave a partition up");
            three.close();
            four.close();
            once(all, sent);
            committed(topic, load);
        } finally {
            for (Member member : all) {
                member.close();
            }
        }
    }

    private Member join(List<Member> all, String topic, Map<String, Object> config) {
        String name = topic + "-" + all.size();
        Member member = Member.of(name, Work.consumer(bootstrap, protocol, topic, config), topic);
        all.add(member);
        return member;
    }

    /** Each of these goes on by some records. */
    private static void progress(List<Member> all, Member... members) throws Exception {
        Map<Member, Integer> before = new HashMap<>();
        for (Member member : members) {
            before.put(member, member.values.size());
        }
        Work.eventually("progress of " + members.length + " members", () -> {
            for (Member member : all) {
                member.expectAlive();
            }
            return before.entrySet().stream().allMatch(e -> e.getKey().values.size() >= e.getValue() + 50);
        });
    }

    private static long seen(List<Member> all) {
        return all.stream().mapToLong(member -> member.values.size()).sum();
    }

    private static void once(List<Member> all, long sent) {
        Map<String, Long> counts = all.stream().flatMap(member -> member.values.stream())
            .collect(Collectors.groupingBy(value -> value, Collectors.counting()));
        var twice = counts.entrySet().stream().filter(e -> e.getValue() > 1).map(Map.Entry::getKey).limit(5).toList();
        Check.equal(List.of(), twice, "records seen twice, though offsets were committed before each revocation");
        Check.equal(sent, (long) counts.size(), "records");
    }

    private void committed(String group, Load load) throws Exception {
        try (Admin admin = Work.admin(bootstrap)) {
            Map<TopicPartition, OffsetAndMetadata> offsets =
                admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            Set<TopicPartition> expected = load.sent().keySet();
            Check.equal(expected, offsets.keySet(), "partitions with offsets");
            load.sent().forEach((partition, count) ->
                Check.equal(count, offsets.get(partition).offset(), "offset committed for " + partition));
        }
    }

    /** Numbered records into all partitions in turn, until told to finish; it outlives restarts of the server. */
    static final class Load implements AutoCloseable {
        private final Map<TopicPartition, Long> sent = new HashMap<>();
        private final String bootstrap;
        private final String topic;
        private final int partitions;
        private final long paceNanos;
        private final Thread thread;
        private volatile boolean stop;
        private volatile Throwable failure;
        private volatile long count;

        /** About a thousand a second. */
        Load(String bootstrap, String topic, int partitions) {
            this(bootstrap, topic, partitions, 1_000_000);
        }

        Load(String bootstrap, String topic, int partitions, long paceNanos) {
            this.bootstrap = bootstrap;
            this.topic = topic;
            this.partitions = partitions;
            this.paceNanos = paceNanos;
            thread = new Thread(this::run, "load of " + topic);
            thread.setDaemon(true);
            thread.start();
        }

        private void run() {
            Map<String, Object> config = Map.of("enable.idempotence", "true", "delivery.timeout.ms", 300_000,
                "request.timeout.ms", 5000, "reconnect.backoff.max.ms", 200, "max.block.ms", 120_000);
            try (var producer = Corpus.producer(bootstrap, config)) {
                for (int i = 0; !stop; i++) {
                    int partition = i % partitions;
                    producer.send(Work.record(topic, partition, null, "n-" + i), (metadata, exception) -> {
                        if (exception != null) {
                            failure = exception;
                        }
                    });
                    sent.merge(new TopicPartition(topic, partition), 1L, Long::sum);
                    count = i + 1;
                    LockSupport.parkNanos(paceNanos);
                }
            } catch (Throwable thrown) {
                failure = thrown;
            }
        }

        /** Ends the load and tells how many records there are. */
        long finish() throws Exception {
            stop = true;
            thread.join(Work.PATIENCE.toMillis());
            Check.isTrue(!thread.isAlive(), "the load does not end");
            if (failure != null) {
                throw new AssertionError("the load failed", failure);
            }
            return count;
        }

        /** Records of each partition, once the load has ended. */
        Map<TopicPartition, Long> sent() {
            return sent;
        }

        @Override
        public void close() {
            stop = true;
        }
    }
}

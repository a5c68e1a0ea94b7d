import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;

/**
 * Groups of all four kinds and a transactional producer at work, while the server under them is exchanged.
 *
 * The file CONTROL says what is next, one line: `hold N` lets the producer open a transaction and keep it
 * open (answered by `held N`), `go N` comes when another server has taken over: the transaction is
 * committed, everybody must go on, and no group may have noticed (answered by `over N`). `end` ends it.
 */
final class TakeOver {
    private static final int PARTITIONS = 2;
    /** What each must do after a take-over before it counts as going on. */
    private static final long PROGRESS = 30;
    /** Between two records for each group. */
    private static final long PACE_NANOS = 5_000_000;
    private final String bootstrap;
    private final Path control;
    private final String folder;
    private final Map<String, LongSupplier> workers = new TreeMap<>();
    private boolean good = true;

    TakeOver(String bootstrap, String control, String folder) {
        this.bootstrap = bootstrap;
        this.control = Path.of(control);
        this.folder = folder;
    }

    int run() throws Exception {
        Work.create(bootstrap, PARTITIONS, "over-classic", "over-consumer");
        ShareGroupChecks.begin(bootstrap, "over-share", PARTITIONS, Map.of());
        var classic = pair(Work.CLASSIC);
        var consumer = pair(Work.CONSUMER);
        try (var share = new OverShare(bootstrap, "over-share");
                var transactions = new OverTransactions(bootstrap, PARTITIONS);
                var streams = new OverStreams(bootstrap, folder);
                var toClassic = new RebalanceChecks.Load(bootstrap, "over-classic", PARTITIONS, PACE_NANOS);
                var toConsumer = new RebalanceChecks.Load(bootstrap, "over-consumer", PARTITIONS, PACE_NANOS);
                var toShare = new RebalanceChecks.Load(bootstrap, "over-share", PARTITIONS, PACE_NANOS)) {
            workers.put("the classic group", () -> seen(classic));
            workers.put("the consumer group", () -> seen(consumer));
            workers.put("the share group", share::accepted);
            workers.put("the streams group", streams::progress);
            workers.put("the transactions", transactions::committed);
            tell("every group is at work", () -> {
                Member.awaitShared(PARTITIONS, classic.toArray(new Member[0]));
                Member.awaitShared(PARTITIONS, consumer.toArray(new Member[0]));
                progress();
            });
            takeOvers(transactions, classic, consumer);
            tell("classic group: each record once", () -> once(classic, toClassic.finish()));
            tell("consumer group: each record once", () -> once(consumer, toConsumer.finish()));
            tell("share group: each record accepted, none again", () -> share.finish(toShare.finish()));
            tell("streams group: counts and invoices are exactly those expected", streams::finish);
            tell("transactions: what was committed and nothing else", transactions::finish);
            tell("no transaction is left open", () -> {
                try (Admin admin = Work.admin(bootstrap)) {
                    Fire.awaitNothingOpen(admin, topic -> topic.startsWith("over-"));
                }
            });
        }
        return good ? 0 : 1;
    }

    private void takeOvers(OverTransactions transactions, List<Member> classic, List<Member> consumer)
            throws Exception {
        for (int number = 1; ; number++) {
            String next = awaitControl("hold " + number, "end");
            if (next.equals("end")) {
                return;
            }
            transactions.hold(number);
            var before = epochs(classic, consumer);
            System.out.println("held " + number);
            awaitControl("go " + number);
            String after = "take-over " + number + ": ";
            tell(after + "the open transaction is committed", transactions::release);
            tell(after + "all go on", this::progress);
            tell(after + "no group noticed", () -> unchanged(before, classic, consumer));
            System.out.println("over " + number);
        }
    }

    /** At last: a leader of the classic group that joins again takes its partitions from it for a moment. */
    private void unchanged(Map<String, Object> before, List<Member> classic, List<Member> consumer)
            throws Exception {
        List<Object> last = new ArrayList<>(List.of(before));
        try {
            Work.eventually("everything as before", () -> {
                last.set(0, epochs(classic, consumer));
                return before.equals(last.get(0));
            });
        } catch (AssertionError changed) {
            Check.equal(before, last.get(0), "members, epochs, assignments");
        }
    }

    private String awaitControl(String... wanted) throws Exception {
        String[] line = {""};
        Work.eventually(String.join(" or ", wanted), Duration.ofMinutes(5), () -> {
            line[0] = Files.exists(control) ? Files.readString(control).strip() : "";
            return List.of(wanted).contains(line[0]);
        });
        return line[0];
    }

    private void tell(String name, Check.Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable thrown) {
            good = false;
            System.out.println("not ok " + name + ": " + thrown);
        }
    }

    private List<Member> pair(String protocol) {
        String topic = "over-" + protocol;
        List<Member> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Map<String, Object> config = new HashMap<>();
            if (i == 1) {
                config.put("group.instance.id", "fixed");
            }
            members.add(Member.of(topic + i, Work.consumer(bootstrap, protocol, topic, config), topic));
        }
        return members;
    }

    private static long seen(List<Member> members) {
        return members.stream().mapToLong(member -> {
            member.expectAlive();
            return member.values.size();
        }).sum();
    }

    private void progress() throws Exception {
        Map<String, Long> before = new HashMap<>();
        workers.forEach((name, count) -> before.put(name, count.getAsLong()));
        for (var worker : workers.entrySet()) {
            Work.eventually("progress of " + worker.getKey(), () ->
                worker.getValue().getAsLong() >= before.get(worker.getKey()) + PROGRESS);
        }
    }

    /**
     * Members, epochs, assignments: a server that takes over must leave them as they are. Only the generation of
     * the classic group may grow: its leader joins again when it believes that the topics have changed, which it
     * does after each restart of Apache Kafka, too.
     */
    private Map<String, Object> epochs(List<Member> classic, List<Member> consumer) throws Exception {
        Map<String, Object> found = new TreeMap<>();
        classic.forEach(member -> found.put(member.name, member.memberId));
        consumer.forEach(member -> found.put(member.name, member.generation));
        classic.forEach(member -> found.put(member.name + " has", member.assignment.toString()));
        consumer.forEach(member -> found.put(member.name + " has", member.assignment.toString()));
        try (Admin admin = Work.admin(bootstrap)) {
            var modern = admin.describeConsumerGroups(List.of("over-consumer")).all().get().get("over-consumer");
            found.put("epoch of the consumer group", modern.groupEpoch().orElse(-1));
            var share = admin.describeShareGroups(List.of("over-share")).all().get().get("over-share");
            found.put("epoch of the share group", share.groupEpoch());
            found.put("members of the share group",
                share.members().stream().map(member -> member.consumerId()).collect(Collectors.toSet()));
            var streams = admin.describeStreamsGroups(List.of(OverStreams.NAME)).all().get().get(OverStreams.NAME);
            found.put("epoch of the streams group", streams.groupEpoch());
            found.put("the streams group is stable", streams.groupState() == GroupState.STABLE);
        }
        return found;
    }

    private void once(List<Member> members, long sent) throws Exception {
        Work.eventually("all of " + sent + " records", () -> seen(members) >= sent);
        for (Member member : members) {
            member.close();
        }
        Map<String, Long> counts = members.stream().flatMap(member -> member.values.stream())
            .collect(Collectors.groupingBy(value -> value, Collectors.counting()));
        Check.equal(sent, (long) counts.size(), "records");
        Check.equal(sent, seen(members), "deliveries");
        String topic = members.get(0).name.substring(0, members.get(0).name.length() - 1);
        try (Admin admin = Work.admin(bootstrap)) {
            var offsets = admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get();
            long committed = 0;
            for (int partition = 0; partition < PARTITIONS; partition++) {
                committed += offsets.get(new TopicPartition(topic, partition)).offset();
            }
            Check.equal(sent, committed, "committed offsets");
        }
    }

    /** The application of the streams group and its load. */
    private static final class OverStreams implements AutoCloseable {
        static final String NAME = "over-streams";
        private final StreamsLoad load;
        private final KafkaStreams streams;
        private final Thread feeder;
        private volatile boolean stop;

        OverStreams(String bootstrap, String folder) throws Exception {
            load = new StreamsLoad(bootstrap, NAME);
            load.begin("streams");
            // A transaction must outlive the start of the next server, or the member gives up its tasks.
            streams = StreamsApp.start(bootstrap, "streams", NAME, folder, 120_000);
            feeder = new Thread(() -> {
                while (!stop) {
                    load.feed();
                    java.util.concurrent.locks.LockSupport.parkNanos(10_000_000);
                }
            }, "feeder");
            feeder.setDaemon(true);
            feeder.start();
        }

        long progress() {
            return load.progress();
        }

        void finish() throws Exception {
            stop = true;
            feeder.join();
            load.finish();
        }

        @Override
        public void close() {
            stop = true;
            streams.close(Duration.ofSeconds(20));
            load.close();
        }
    }
}

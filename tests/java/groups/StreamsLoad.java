import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;

/** Both ends of {@link StreamsApp}: feeds its input and holds its output against what it has to be. */
final class StreamsLoad implements AutoCloseable {
    private static final int PARTITIONS = 2;
    private static final int CUSTOMERS = 10;
    /** A payment comes so many orders later. */
    private static final int LATER = 7;
    private static final long PACE_NANOS = 8_000_000;
    private static final Duration DRAIN = Duration.ofSeconds(180);
    private final String bootstrap;
    private final String name;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Map<String, Long> counted = new HashMap<>();
    private final Map<String, Long> expected = new HashMap<>();
    private final Set<String> invoices = new HashSet<>();
    private volatile Exception refused;
    private volatile String wrong;
    private volatile boolean stop;
    private int fed;
    private Thread reader;

    StreamsLoad(String bootstrap, String name) {
        this.bootstrap = bootstrap;
        this.name = name;
        producer = Corpus.producer(bootstrap, Map.of("enable.idempotence", "true", "delivery.timeout.ms", 300_000,
            "request.timeout.ms", 5000, "reconnect.backoff.max.ms", 200, "max.block.ms", 120_000));
    }

    static int run(String bootstrap, String protocol, String name, int seconds) throws Exception {
        try (var load = new StreamsLoad(bootstrap, name)) {
            load.begin(protocol);
            System.out.println("ready");
            long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
            while (System.nanoTime() < end && load.wrong == null) {
                load.feed();
                LockSupport.parkNanos(PACE_NANOS);
            }
            System.out.println("fed " + load.fed);
            boolean good = load.tell("counts and invoices are exactly those expected", load::finish);
            good &= load.tell("the group is as it should be", () -> load.group(protocol));
            good &= load.tell("no transaction is left open", () -> {
                try (Admin admin = Work.admin(bootstrap)) {
                    Fire.awaitNothingOpen(admin, topic -> topic.startsWith(name));
                }
            });
            return good ? 0 : 1;
        }
    }

    private boolean tell(String what, Check.Body body) {
        try {
            body.run();
            System.out.println("ok " + name + ": " + what);
            return true;
        } catch (Throwable thrown) {
            System.out.println("not ok " + name + ": " + what + ": " + thrown);
            return false;
        }
    }

    /** Topics, the table of customers, and a reader that sees everything from the beginning on. */
    void begin(String protocol) throws Exception {
        Work.create(bootstrap, PARTITIONS, name + "-lines", name + "-counts", name + "-customers", name + "-orders",
            name + "-payments", name + "-invoices");
        if (protocol.equals("streams")) {
            Work.configureGroup(bootstrap, name, Map.of("streams.num.standby.replicas", "1",
                "streams.initial.rebalance.delay.ms", "0"));
        }
        for (int i = 0; i < CUSTOMERS; i++) {
            send("customers", "c" + i, "name " + i);
        }
        producer.flush();
        reader = new Thread(this::read, "reader of " + name);
        reader.setDaemon(true);
        reader.start();
    }

    private void send(String topic, String key, String value) {
        producer.send(Work.record(name + "-" + topic, null, key, value), (metadata, exception) -> {
            if (exception != null) {
                refused = exception;
            }
        });
    }

    /** A line of three words, an order, and the payment of an earlier one. */
    void feed() {
        String[] words = {"seven" + fed % 7, "eleven" + fed % 11, "all"};
        for (String word : words) {
            expected.merge(word, 1L, Long::sum);
        }
        send("lines", "line" + fed, String.join(" ", words));
        send("orders", "o" + fed, "c" + fed % CUSTOMERS);
        if (fed >= LATER) {
            pay(fed - LATER);
        }
        fed++;
    }

    private void pay(int order) {
        send("payments", "o" + order, "$" + order * 3);
    }

    private static String invoice(int order) {
        int customer = order % CUSTOMERS;
        return "c" + customer + ":o" + order + ":$" + order * 3 + ":name " + customer;
    }

    /** How much has come out so far. */
    long progress() {
        synchronized (counted) {
            return invoices.size() + counted.values().stream().mapToLong(n -> n).sum();
        }
    }

    private void read() {
        Map<String, Object> config = Map.of("isolation.level", "read_committed", "reconnect.backoff.max.ms", 200);
        try (var consumer = Corpus.consumer(bootstrap, config)) {
            List<TopicPartition> all = new ArrayList<>();
            for (int partition = 0; partition < PARTITIONS; partition++) {
                all.add(new TopicPartition(name + "-counts", partition));
                all.add(new TopicPartition(name + "-invoices", partition));
            }
            consumer.assign(all);
            consumer.seekToBeginning(all);
            while (!stop && wrong == null) {
                consumer.poll(Duration.ofMillis(100)).forEach(this::take);
            }
            toTheEnd(consumer, all);
        } catch (Exception e) {
            wrong = "the reader ended: " + e;
        }
    }

    /** What comes after everything was there would be too much. */
    private void toTheEnd(KafkaConsumer<byte[], byte[]> consumer, List<TopicPartition> all) {
        var ends = consumer.endOffsets(all);
        long deadline = System.nanoTime() + Work.PATIENCE.toNanos();
        while (wrong == null && !all.stream().allMatch(p -> consumer.position(p) >= ends.get(p))) {
            consumer.poll(Duration.ofMillis(100)).forEach(this::take);
            Check.isTrue(System.nanoTime() < deadline, "the end of the output is not reached");
        }
    }

    private void take(ConsumerRecord<byte[], byte[]> record) {
        String key = new String(record.key());
        String value = Work.text(record);
        synchronized (counted) {
            if (record.topic().endsWith("-counts")) {
                long now = counted.merge(key, 1L, Long::sum);
                if (!value.equals(Long.toString(now)) && wrong == null) {
                    wrong = "the count of " + key + " is " + value + " where " + now + " should be";
                }
            } else {
                String order = value.split(":")[1];
                if (!value.equals(invoice(Integer.parseInt(order.substring(1)))) && wrong == null) {
                    wrong = "invoice " + value;
                } else if (!invoices.add(order) && wrong == null) {
                    wrong = "order " + order + " is invoiced twice";
                }
            }
        }
    }

    /** The last payments, and then everything must come. */
    void finish() throws Exception {
        for (int order = Math.max(0, fed - LATER); order < fed; order++) {
            pay(order);
        }
        producer.flush();
        if (refused != null) {
            throw refused;
        }
        Work.eventually("all counts and " + fed + " invoices", DRAIN, () -> {
            if (wrong != null) {
                throw new AssertionError(wrong);
            }
            synchronized (counted) {
                return counted.equals(expected) && invoices.size() == fed;
            }
        });
        stop = true;
        reader.join(2 * Work.PATIENCE.toMillis());
        Check.equal(null, wrong, "what is wrong");
        synchronized (counted) {
            Check.equal(expected, counted, "counts");
            Check.equal(fed, invoices.size(), "invoices");
        }
    }

    private void group(String protocol) throws Exception {
        try (Admin admin = Work.admin(bootstrap)) {
            if (!protocol.equals("streams")) {
                Check.equal("Classic", Work.type(admin, name), "type");
                return;
            }
            Check.equal("Streams", Work.type(admin, name), "type");
            Work.eventually("a stable group of two", () -> {
                var group = admin.describeStreamsGroups(List.of(name)).all().get().get(name);
                return group.groupState() == GroupState.STABLE && group.members().size() == 2
                    && group.subtopologies().size() >= 3;
            });
        }
    }

    @Override
    public void close() {
        stop = true;
        producer.close(Duration.ofSeconds(5));
    }
}

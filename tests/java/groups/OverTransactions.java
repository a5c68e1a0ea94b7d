import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;

/** Transactions one after the other, each seventh aborted; on demand one is kept open over a take-over. */
final class OverTransactions implements AutoCloseable {
    private static final String TOPIC = "over-transactions";
    private static final String GROUP = "over-transactions-group";
    private static final int EACH = 6;
    private final String bootstrap;
    private final int partitions;
    private final Thread thread;
    /** What read_committed has to show, by partition. */
    private final List<List<String>> expected = new ArrayList<>();
    private final SynchronousQueue<Integer> wishes = new SynchronousQueue<>();
    private final SynchronousQueue<String> answers = new SynchronousQueue<>();
    private volatile long committed;
    private volatile boolean stop;
    private volatile Exception failure;
    private int held;

    OverTransactions(String bootstrap, int partitions) throws Exception {
        this.bootstrap = bootstrap;
        this.partitions = partitions;
        IntStream.range(0, partitions).forEach(partition -> expected.add(new ArrayList<>()));
        Work.create(bootstrap, partitions, TOPIC);
        thread = new Thread(this::run, "transactions");
        thread.setDaemon(true);
        thread.start();
    }

    private void run() {
        Map<String, Object> config = Map.of("transaction.timeout.ms", 120_000, "max.block.ms", 100_000,
            "delivery.timeout.ms", 100_000, "request.timeout.ms", 5000);
        try (var producer = Work.transactional(bootstrap, TOPIC, config)) {
            producer.initTransactions();
            for (int number = 0; !stop; number++) {
                Integer wish = wishes.poll();
                if (wish != null) {
                    keepOpen(producer, wish);
                    continue;
                }
                boolean abort = number % 7 == 6;
                producer.beginTransaction();
                List<String> values = send(producer, (abort ? Hop.ABORTED : "kept-") + number);
                if (abort) {
                    producer.flush();
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                    note(values);
                }
                LockSupport.parkNanos(10_000_000);
            }
        } catch (Exception e) {
            failure = e;
        }
    }

    private List<String> send(KafkaProducer<byte[], byte[]> producer, String word) {
        List<String> values = new ArrayList<>();
        for (int i = 0; i < EACH; i++) {
            values.add(word + "-" + i);
            producer.send(Work.record(TOPIC, i % partitions, null, values.get(i)));
        }
        return values;
    }

    private void note(List<String> values) {
        for (int i = 0; i < values.size(); i++) {
            expected.get(i % partitions).add(values.get(i));
        }
        committed++;
    }

    /** Half of it before the take-over, half of it and the end after; it also carries an offset. */
    private void keepOpen(KafkaProducer<byte[], byte[]> producer, int number) throws Exception {
        producer.beginTransaction();
        List<String> before = send(producer, "held-" + number);
        producer.sendOffsetsToTransaction(Map.of(new TopicPartition(TOPIC, 0), new OffsetAndMetadata(number)),
            new ConsumerGroupMetadata(GROUP));
        producer.flush();
        answers.put("held");
        wishes.take();
        List<String> after = send(producer, "released-" + number);
        producer.commitTransaction();
        note(before);
        note(after);
        answers.put("released");
    }

    private void ask(int number, String expectedAnswer) throws Exception {
        held = number;
        if (!wishes.offer(number, Work.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
            throw new AssertionError("the producer takes no wish: " + failure);
        }
        String answer = answers.poll(Work.PATIENCE.toSeconds(), TimeUnit.SECONDS);
        if (!expectedAnswer.equals(answer)) {
            throw new AssertionError("the producer answers " + answer + ": " + failure);
        }
    }

    /** Opens a transaction and keeps it open. */
    void hold(int number) throws Exception {
        ask(number, "held");
    }

    /** Commits the open one, with its offset. */
    void release() throws Exception {
        ask(held, "released");
        var partition = new TopicPartition(TOPIC, 0);
        try (Admin admin = Work.admin(bootstrap)) {
            Work.eventually("offset " + held + " of the transaction", () -> {
                var found = admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata().get().get(partition);
                return found != null && found.offset() == held;
            });
        }
    }

    long committed() {
        if (failure != null) {
            throw new AssertionError("the transactions ended", failure);
        }
        return committed;
    }

    /** Every committed record in order, and no other. */
    void finish() throws Exception {
        close();
        if (failure != null) {
            throw failure;
        }
        for (int number = 0; number < partitions; number++) {
            var partition = new TopicPartition(TOPIC, number);
            List<String> seen = new ArrayList<>();
            try (var consumer = Corpus.consumer(bootstrap, Map.of("isolation.level", "read_committed"))) {
                consumer.assign(List.of(partition));
                consumer.seekToBeginning(List.of(partition));
                long end = consumer.endOffsets(List.of(partition)).get(partition);
                long deadline = System.nanoTime() + Work.PATIENCE.toNanos();
                while (consumer.position(partition) < end) {
                    consumer.poll(Duration.ofMillis(100)).forEach(record -> seen.add(Work.text(record)));
                    Check.isTrue(System.nanoTime() < deadline, "the end of " + partition + " is not reached");
                }
            }
            Check.equal(expected.get(number), seen, "records of " + partition);
        }
    }

    @Override
    public void close() throws InterruptedException {
        stop = true;
        thread.join(2 * Work.PATIENCE.toMillis());
    }
}

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/**
 * A member of a consumer group in a thread of its own, and all that happened to it.
 *
 * It commits after every poll without waiting, and before it gives partitions up with waiting, as
 * applications do that want every record once while nobody fails.
 */
final class Member implements AutoCloseable {
    interface Subscription extends BiConsumer<KafkaConsumer<byte[], byte[]>, ConsumerRebalanceListener> {
    }

    final String name;
    final ConcurrentLinkedQueue<String> values = new ConcurrentLinkedQueue<>();
    volatile Set<TopicPartition> assignment = Set.of();
    volatile int revocations;
    volatile int generation = -1;
    volatile String memberId = "";
    volatile Throwable failure;
    private volatile boolean stop;
    private final Map<TopicPartition, Long> last = new HashMap<>();
    private final Thread thread;

    Member(String name, KafkaConsumer<byte[], byte[]> consumer, Subscription subscription) {
        this.name = name;
        thread = new Thread(() -> run(consumer, subscription), name);
        thread.setDaemon(true);
        thread.start();
    }

    /** A member that subscribes to topics by their names. */
    static Member of(String name, KafkaConsumer<byte[], byte[]> consumer, String... topics) {
        return new Member(name, consumer, (c, listener) -> c.subscribe(List.of(topics), listener));
    }

    private void run(KafkaConsumer<byte[], byte[]> consumer, Subscription subscription) {
        try (consumer) {
            subscription.accept(consumer, new Listener(consumer));
            while (!stop) {
                var records = consumer.poll(Duration.ofMillis(50));
                for (var record : records) {
                    var partition = new TopicPartition(record.topic(), record.partition());
                    Long before = last.put(partition, record.offset());
                    if (before != null && before >= record.offset()) {
                        throw new AssertionError(name + ": " + partition + " went from " + before + " to "
                            + record.offset());
                    }
                    values.add(Work.text(record));
                }
                if (!records.isEmpty()) {
                    consumer.commitAsync();
                }
                var metadata = consumer.groupMetadata();
                generation = metadata.generationId();
                memberId = metadata.memberId();
                assignment = Set.copyOf(consumer.assignment());
            }
        } catch (Throwable thrown) {
            failure = thrown;
        }
    }

    private final class Listener implements ConsumerRebalanceListener {
        private final KafkaConsumer<byte[], byte[]> consumer;

        Listener(KafkaConsumer<byte[], byte[]> consumer) {
            this.consumer = consumer;
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            consumer.commitSync();
            if (!partitions.isEmpty()) {
                revocations++;
            }
            last.keySet().removeAll(partitions);
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            assignment = Set.copyOf(consumer.assignment());
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            last.keySet().removeAll(partitions);
        }
    }

    /** Throws what ended the thread, if anything did. */
    void expectAlive() {
        if (failure != null) {
            throw new AssertionError(name + " ended", failure);
        }
    }

    /** Leaves the group. */
    @Override
    public void close() throws InterruptedException {
        stop = true;
        thread.join(Work.PATIENCE.toMillis());
        if (thread.isAlive()) {
            throw new AssertionError(name + " does not end");
        }
    }

    /** Waits until these members share so many partitions among them and each has some. */
    static void awaitShared(int partitions, Member... members) throws Exception {
        Work.eventually(members.length + " members that share " + partitions + " partitions", () -> {
            List<TopicPartition> all = new ArrayList<>();
            for (Member member : members) {
                member.expectAlive();
                if (member.assignment.isEmpty()) {
                    return false;
                }
                all.addAll(member.assignment);
            }
            return all.size() == partitions && Set.copyOf(all).size() == partitions;
        });
    }
}

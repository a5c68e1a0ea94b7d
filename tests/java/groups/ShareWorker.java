import java.time.Duration;
import java.util.Optional;
import java.util.function.Predicate;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;

/** A share consumer in a thread of its own: it accepts each record that its work returns true for. */
final class ShareWorker implements AutoCloseable {
    private final KafkaShareConsumer<byte[], byte[]> consumer;
    private final Predicate<ConsumerRecord<byte[], byte[]>> work;
    private final Thread thread;
    private volatile boolean stop;
    private volatile Throwable failure;
    private volatile int done;

    ShareWorker(KafkaShareConsumer<byte[], byte[]> consumer, Predicate<ConsumerRecord<byte[], byte[]>> work) {
        this.consumer = consumer;
        this.work = work;
        thread = new Thread(this::run, "share worker");
        thread.setDaemon(true);
        thread.start();
    }

    private void run() {
        try (consumer) {
            while (!stop) {
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    boolean good = work.test(record);
                    consumer.acknowledge(record, good ? AcknowledgeType.ACCEPT : AcknowledgeType.RELEASE);
                    done++;
                }
                for (Optional<KafkaException> error : consumer.commitSync().values()) {
                    if (error.isPresent()) {
                        throw error.get();
                    }
                }
            }
        } catch (Throwable thrown) {
            failure = thrown;
        }
    }

    int done() {
        return done;
    }

    void expectAlive() {
        if (failure != null) {
            throw new AssertionError("a share worker ended", failure);
        }
    }

    @Override
    public void close() throws InterruptedException {
        stop = true;
        thread.join(Work.PATIENCE.toMillis());
    }
}

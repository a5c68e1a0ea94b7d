import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;

/**
 * One worker of one hop of a chain: it reads `fire-(n-1)` and writes each record with one more dot into
 * `fire-n`, in transactions that carry the offsets. Some it aborts, with records that nobody may ever see.
 * After any error it throws its clients away and begins anew, as it would after a kill.
 */
final class Hop {
    static final String ABORTED = "aborted-";
    private final String bootstrap;
    private final int number;
    private final String protocol;
    private final String id;
    private final Random chance = new Random();

    Hop(String bootstrap, int number, String protocol, String worker) {
        this.bootstrap = bootstrap;
        this.number = number;
        this.protocol = protocol;
        id = "hop-" + number + "-" + worker;
    }

    void run() {
        Map<String, Object> config = Map.of("isolation.level", "read_committed", "max.poll.records", 200);
        Map<String, Object> timeouts = Map.of("transaction.timeout.ms", 15_000);
        while (true) {
            try (var producer = Work.transactional(bootstrap, id, timeouts);
                    var consumer = Work.consumer(bootstrap, protocol, "hop-" + number, config)) {
                producer.initTransactions();
                consumer.subscribe(List.of("fire-" + (number - 1)));
                System.out.println("up");
                while (true) {
                    var records = consumer.poll(Duration.ofMillis(100));
                    if (!records.isEmpty()) {
                        transaction(producer, consumer, records);
                    }
                }
            } catch (Exception e) {
                System.out.println(id + " begins anew: " + e);
            }
        }
    }

    private void transaction(KafkaProducer<byte[], byte[]> producer, KafkaConsumer<byte[], byte[]> consumer,
            ConsumerRecords<byte[], byte[]> records) {
        boolean abort = chance.nextInt(20) == 0;
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        Map<TopicPartition, Long> first = new HashMap<>();
        producer.beginTransaction();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            var partition = new TopicPartition(record.topic(), record.partition());
            first.putIfAbsent(partition, record.offset());
            next.put(partition, new OffsetAndMetadata(record.offset() + 1));
            String value = (abort ? ABORTED : "") + Work.text(record) + ".";
            producer.send(Work.record("fire-" + number, record.partition(), new String(record.key()), value));
        }
        producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
        if (abort) {
            producer.flush();
            producer.abortTransaction();
            first.forEach(consumer::seek);
        } else {
            producer.commitTransaction();
        }
    }
}

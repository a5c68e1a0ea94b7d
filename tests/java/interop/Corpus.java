import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The records that every client of the tests writes and reads; the same rule in each language. */
final class Corpus {
    static final int COUNT = 60;
    static final long FIRST_TIMESTAMP = 1_700_000_000_000L;

    static byte[] key(int i) {
        return i % 7 == 3 ? null : utf8("k-" + i);
    }

    static byte[] value(int i) {
        return i % 11 == 7 ? null : utf8("v-" + i + "-" + "abc".repeat(i % 50));
    }

    static RecordHeaders headers(int i) {
        RecordHeaders headers = new RecordHeaders();
        if (i % 3 == 0) {
            headers.add("n", utf8(Integer.toString(i)));
            headers.add("kind", utf8("x"));
        }
        if (i % 9 == 0) {
            headers.add("bin", new byte[] {0, (byte) 255, (byte) i});
        }
        return headers;
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static KafkaProducer<byte[], byte[]> producer(String bootstrap, Map<String, Object> more) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("delivery.timeout.ms", 40_000);
        config.put("request.timeout.ms", 15_000);
        config.put("linger.ms", 5);
        config.putAll(more);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, Map<String, Object> more) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        config.putAll(more);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static void write(String bootstrap, String topic, String codec) throws Exception {
        try (var producer = producer(bootstrap, Map.of("compression.type", codec))) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < COUNT; i++) {
                sent.add(producer.send(new ProducerRecord<>(
                    topic, 0, FIRST_TIMESTAMP + i, key(i), value(i), headers(i))));
            }
            for (int i = 0; i < COUNT; i++) {
                Check.equal((long) i, sent.get(i).get().offset(), "offset of record " + i + " in " + topic);
            }
        }
    }

    static void verify(String bootstrap, String topic, boolean timestamps) {
        List<ConsumerRecord<byte[], byte[]>> records = read(bootstrap, new TopicPartition(topic, 0), COUNT);
        for (int i = 0; i < COUNT; i++) {
            ConsumerRecord<byte[], byte[]> record = records.get(i);
            String where = topic + " record " + i;
            Check.equal((long) i, record.offset(), where + " offset");
            Check.equal(key(i), record.key(), where + " key");
            Check.equal(value(i), record.value(), where + " value");
            if (timestamps) {
                Check.equal(FIRST_TIMESTAMP + i, record.timestamp(), where + " timestamp");
            }
            verifyHeaders(where, headers(i).toArray(), record.headers().toArray());
        }
    }

    private static void verifyHeaders(String where, Header[] expected, Header[] seen) {
        Check.equal(expected.length, seen.length, where + " number of headers");
        for (int h = 0; h < expected.length; h++) {
            Check.equal(expected[h].key(), seen[h].key(), where + " header key");
            Check.isTrue(Arrays.equals(expected[h].value(), seen[h].value()), where + " header value");
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> read(String bootstrap, TopicPartition partition, int count) {
        try (var consumer = consumer(bootstrap, Map.of())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            return poll(consumer, count);
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> poll(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (records.size() < count) {
            consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            Check.isTrue(System.nanoTime() < deadline,
                "only " + records.size() + " of " + count + " records within 30 s");
        }
        Check.equal(count, records.size(), "number of records");
        return records;
    }

    private Corpus() {
    }
}

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.internals.RecordHeaders;

/** What the Java producer does, read back by the Java consumer. */
final class ProducerChecks {
    private final String bootstrap;

    ProducerChecks(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    void run(Check check) {
        for (String codec : Interop.CODECS) {
            check.that("codec " + codec, () -> {
                Corpus.write(bootstrap, "corpus-java-" + codec, codec);
                Corpus.verify(bootstrap, "corpus-java-" + codec, true);
            });
        }
        check.that("broker recompresses to the topic's codec", this::topicCodec);
        for (String acks : List.of("0", "1", "all")) {
            check.that("acks " + acks, () -> acks(acks));
        }
        check.that("1 MB record", this::megabyte);
        check.that("too large record is refused", this::tooLarge);
        check.that("headers with null value and repeated keys", this::headers);
        check.that("idempotent producer, many batches in flight", this::idempotent);
        check.that("log append time", this::logAppendTime);
        check.that("invalid topic name", () -> {
            try (var producer = Corpus.producer(bootstrap, Map.of())) {
                Check.fails(InvalidTopicException.class,
                    () -> producer.send(new ProducerRecord<>("no/such", Corpus.utf8("x"))).get());
            }
        });
    }

    private void topicCodec() throws Exception {
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd", "uncompressed")) {
            String topic = "recompressed-" + codec;
            try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
                admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1)
                    .configs(Map.of("compression.type", codec)))).all().get();
            }
            Corpus.write(bootstrap, topic, codec.equals("gzip") ? "lz4" : "gzip");
            Corpus.verify(bootstrap, topic, true);
        }
    }

    private void acks(String acks) throws Exception {
        String topic = "acks-" + acks;
        Map<String, Object> config = Map.of("acks", acks, "enable.idempotence", "false");
        try (var producer = Corpus.producer(bootstrap, config)) {
            for (int i = 0; i < 50; i++) {
                producer.send(new ProducerRecord<>(topic, 0, null, Corpus.utf8("m" + i)));
            }
        }
        var records = Corpus.read(bootstrap, new TopicPartition(topic, 0), 50);
        for (int i = 0; i < 50; i++) {
            Check.equal("m" + i, new String(records.get(i).value()), "record " + i);
        }
    }

    private void megabyte() throws Exception {
        byte[] value = new byte[1_000_000];
        for (int i = 0; i < value.length; i++) {
            value[i] = (byte) (i * 31 + i / 977);
        }
        try (var producer = Corpus.producer(bootstrap, Map.of())) {
            for (int i = 0; i < 3; i++) {
                producer.send(new ProducerRecord<>("big-java", 0, null, value)).get();
            }
        }
        for (var record : Corpus.read(bootstrap, new TopicPartition("big-java", 0), 3)) {
            Check.equal(value, record.value(), "the megabyte");
        }
    }

    private void tooLarge() throws Exception {
        Map<String, Object> config = Map.of("max.request.size", 5_000_000);
        try (var producer = Corpus.producer(bootstrap, config)) {
            Check.fails(RecordTooLargeException.class,
                () -> producer.send(new ProducerRecord<>("too-large", new byte[2_000_000])).get());
            producer.send(new ProducerRecord<>("too-large", Corpus.utf8("small"))).get();
        }
        Check.equal("small", new String(Corpus.read(bootstrap, new TopicPartition("too-large", 0), 1)
            .get(0).value()), "the record after the refused one");
    }

    private void headers() throws Exception {
        RecordHeaders headers = new RecordHeaders();
        headers.add("a", null).add("a", new byte[0]).add("", Corpus.utf8("empty key")).add("a", Corpus.utf8("3"));
        try (var producer = Corpus.producer(bootstrap, Map.of())) {
            producer.send(new ProducerRecord<>("headers-java", 0, (Long) null, null, null, headers)).get();
        }
        var record = Corpus.read(bootstrap, new TopicPartition("headers-java", 0), 1).get(0);
        Check.equal(null, record.key(), "key");
        Check.equal(null, record.value(), "value");
        Check.equal(headers.toArray(), record.headers().toArray(), "headers");
    }

    private void idempotent() throws Exception {
        Map<String, Object> config = Map.of("enable.idempotence", "true", "batch.size", 300, "linger.ms", 0,
            "max.in.flight.requests.per.connection", 5);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = Corpus.producer(bootstrap, config)) {
            for (int i = 0; i < 2000; i++) {
                sent.add(producer.send(new ProducerRecord<>("idempotent-java", 0, null, Corpus.utf8("i" + i))));
            }
        }
        var records = Corpus.read(bootstrap, new TopicPartition("idempotent-java", 0), 2000);
        for (int i = 0; i < 2000; i++) {
            Check.equal((long) i, sent.get(i).get().offset(), "offset answered for " + i);
            Check.equal("i" + i, new String(records.get(i).value()), "record " + i);
        }
    }

    private void logAppendTime() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic("append-time", 1, (short) 1)
                .configs(Map.of("message.timestamp.type", "LogAppendTime")))).all().get();
        }
        long before = System.currentTimeMillis();
        try (var producer = Corpus.producer(bootstrap, Map.of("compression.type", "lz4"))) {
            for (int i = 0; i < 10; i++) {
                producer.send(new ProducerRecord<>("append-time", 0, 5L, null, Corpus.utf8("x")));
            }
        }
        for (var record : Corpus.read(bootstrap, new TopicPartition("append-time", 0), 10)) {
            Check.equal(org.apache.kafka.common.record.TimestampType.LOG_APPEND_TIME.toString(),
                record.timestampType().toString(), "timestamp type");
            Check.isTrue(record.timestamp() >= before - 1, "append time " + record.timestamp());
        }
    }
}

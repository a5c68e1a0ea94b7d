import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;

/**
 * A Kafka Streams application with exactly_once_v2: a word count, and orders joined with payments and then
 * with the table of customers. It has repartition topics, changelogs, windows and standbys.
 */
final class StreamsApp {
    static Topology topology(String name) {
        Serde<String> text = Serdes.String();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(name + "-lines", Consumed.with(text, text))
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with("by-word", text, text))
            .count(Materialized.as("counts"))
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to(name + "-counts", Produced.with(text, text));
        KTable<String, String> customers = builder.table(name + "-customers", Consumed.with(text, text),
            Materialized.as("customers"));
        KStream<String, String> orders = builder.stream(name + "-orders", Consumed.with(text, text));
        KStream<String, String> payments = builder.stream(name + "-payments", Consumed.with(text, text));
        orders.join(payments, (order, customer, amount) -> customer + ":" + order + ":" + amount,
                JoinWindows.ofTimeDifferenceWithNoGrace(Duration.ofHours(1)),
                StreamJoined.with(text, text, text).withName("paid").withStoreName("paid"))
            .selectKey((order, paid) -> paid.substring(0, paid.indexOf(':')))
            .join(customers, (paid, customer) -> paid + ":" + customer, Joined.with(text, text, text, "by-customer"))
            .to(name + "-invoices", Produced.with(text, text));
        return builder.build();
    }

    /** An instance with its own folder, started. */
    static KafkaStreams start(String bootstrap, String protocol, String name, String folder,
            int transactionTimeoutMs) {
        Properties config = new Properties();
        config.put("application.id", name);
        config.put("bootstrap.servers", bootstrap);
        config.put("group.protocol", protocol);
        config.put("processing.guarantee", "exactly_once_v2");
        config.put("state.dir", folder);
        config.put("commit.interval.ms", 100);
        // Every update is told, so that the counts can be held against 1, 2, 3, ...
        config.put("statestore.cache.max.bytes", 0);
        config.put("reconnect.backoff.max.ms", 200);
        config.put("producer.transaction.timeout.ms", transactionTimeoutMs);
        if (protocol.equals("classic")) {
            config.put("main.consumer.session.timeout.ms", 6000);
            config.put("main.consumer.heartbeat.interval.ms", 500);
            config.put("num.standby.replicas", 1);
            config.put("probing.rebalance.interval.ms", 60_000);
        }
        KafkaStreams streams = new KafkaStreams(topology(name), config);
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        streams.setUncaughtExceptionHandler(thrown -> {
            System.out.println("a thread ended: " + thrown);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.start();
        return streams;
    }

    /** Until it is told to stop or killed. */
    static void run(String bootstrap, String protocol, String name, String folder) throws Exception {
        KafkaStreams streams = start(bootstrap, protocol, name, folder, 10_000);
        CountDownLatch done = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(20));
            done.countDown();
        }));
        done.await();
    }

    private StreamsApp() {
    }
}

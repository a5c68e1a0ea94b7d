import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * The Java clients against one server.
 *
 * suite BOOTSTRAP | write BOOTSTRAP PREFIX | verify BOOTSTRAP TOPIC... | member BOOTSTRAP GROUP TOPIC
 */
public final class Interop {
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");

    public static void main(String[] args) throws Exception {
        String bootstrap = args[1];
        switch (args[0]) {
            case "suite" -> System.exit(suite(bootstrap));
            case "write" -> {
                for (String codec : CODECS) {
                    Corpus.write(bootstrap, args[2] + codec, codec);
                }
            }
            case "verify" -> System.exit(verify(bootstrap, Arrays.asList(args).subList(2, args.length)));
            case "member" -> member(bootstrap, args[2], args[3], args.length > 4 ? args[4] : "classic");
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static int suite(String bootstrap) {
        Check check = new Check();
        new ProducerChecks(bootstrap).run(check);
        new ConsumerChecks(bootstrap).run(check);
        new TopicChecks(bootstrap).run(check);
        new ClusterChecks(bootstrap).run(check);
        new GroupChecks(bootstrap).run(check);
        return check.failed() == 0 ? 0 : 1;
    }

    /** Reads what other clients wrote; a name that ends in ":no-timestamps" had no say in them. */
    private static int verify(String bootstrap, List<String> topics) {
        Check check = new Check();
        for (String topic : topics) {
            String name = topic.replace(":no-timestamps", "");
            check.that("java reads " + name, () -> Corpus.verify(bootstrap, name, name.equals(topic)));
        }
        return check.failed() == 0 ? 0 : 1;
    }

    /** One consumer of a group that tells what it is assigned and what it gets, until it is killed. */
    private static void member(String bootstrap, String group, String topic, String protocol) {
        Map<String, Object> config = protocol.equals("classic")
            ? Map.of("group.id", group, "session.timeout.ms", 6000, "heartbeat.interval.ms", 500)
            : Map.of("group.id", group, "group.protocol", protocol);
        var consumer = Corpus.consumer(bootstrap, config);
        consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                consumer.commitSync();
            }

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                System.out.println("assigned " + consumer.assignment().stream().map(TopicPartition::partition)
                    .sorted().map(String::valueOf).collect(Collectors.joining(",")));
            }
        });
        while (true) {
            var records = consumer.poll(Duration.ofMillis(100));
            for (ConsumerRecord<byte[], byte[]> record : records) {
                System.out.println("got " + record.partition() + " " + record.offset() + " "
                    + new String(record.value()));
            }
            if (!records.isEmpty()) {
                consumer.commitAsync();
            }
        }
    }
}

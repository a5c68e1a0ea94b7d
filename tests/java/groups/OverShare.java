import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;

/**
 * Two share consumers that live through the loss of their server: an acknowledgement may fail, and then the
 * record comes again; one that was answered well is final.
 */
final class OverShare implements AutoCloseable {
    private final String bootstrap;
    private final String name;
    /** Values whose acknowledgement was answered well. */
    private final Set<String> sure = ConcurrentHashMap.newKeySet();
    private final Set<String> seen = ConcurrentHashMap.newKeySet();
    private final List<Thread> threads = new ArrayList<>();
    private volatile boolean stop;
    private volatile String wrong;

    OverShare(String bootstrap, String name) {
        this.bootstrap = bootstrap;
        this.name = name;
        for (int i = 0; i < 2; i++) {
            Thread thread = new Thread(this::run, name + "-" + i);
            thread.setDaemon(true);
            thread.start();
            threads.add(thread);
        }
    }

    private void run() {
        Map<String, Object> config = Map.of("share.acknowledgement.mode", "explicit", "default.api.timeout.ms", 60_000);
        try (var consumer = ShareGroupChecks.consumer(bootstrap, name, config)) {
            consumer.subscribe(List.of(name));
            while (!stop) {
                Map<Integer, Set<String>> asked = new HashMap<>();
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    String value = Work.text(record);
                    seen.add(value);
                    if (sure.contains(value)) {
                        wrong = value + " came again after its acknowledgement was answered";
                    }
                    asked.computeIfAbsent(record.partition(), partition -> new HashSet<>()).add(value);
                    consumer.acknowledge(record);
                }
                consumer.commitSync().forEach((partition, error) -> {
                    if (error.isEmpty()) {
                        sure.addAll(asked.getOrDefault(partition.partition(), Set.of()));
                    }
                });
            }
        } catch (Exception e) {
            wrong = "a share consumer ended: " + e;
        }
    }

    long accepted() {
        Check.equal(null, wrong, "what is wrong");
        return sure.size();
    }

    /** Everything was worked on, and the group is done with every partition. */
    void finish(long sent) throws Exception {
        Work.eventually("all of " + sent + " records", () -> {
            Check.equal(null, wrong, "what is wrong");
            return seen.size() == sent;
        });
        try (Admin admin = Work.admin(bootstrap)) {
            // The start offset that is kept is the one before the last acknowledgement; the lag is exact.
            Work.eventually("a lag of 0", () ->
                admin.listShareGroupOffsets(Map.of(name, new ListShareGroupOffsetsSpec()))
                    .partitionsToOffsetInfo(name).get().values().stream()
                    .allMatch(offset -> offset.lag().orElse(-1L) == 0));
        }
        close();
        Check.equal(null, wrong, "what is wrong");
    }

    @Override
    public void close() throws InterruptedException {
        stop = true;
        for (Thread thread : threads) {
            thread.join(Work.PATIENCE.toMillis());
        }
    }
}

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;

/**
 * A live group moves from the classic protocol to the consumer protocol and back, one member at a time, Java
 * and librdkafka mixed, and under load: nothing is lost, and nobody has to stop.
 */
final class Upgrade {
    private static final String TOPIC = "upgrade";
    private static final int PARTITIONS = 6;
    private final String bootstrap;
    private final List<String> command;
    private final List<One> everybody = new ArrayList<>();
    private boolean good = true;

    /** A member of either library. */
    private interface One {
        Set<Integer> assignment();

        List<String> values();

        void leave() throws Exception;
    }

    Upgrade(String bootstrap, List<String> command) {
        this.bootstrap = bootstrap;
        this.command = command;
    }

    int run() throws Exception {
        Work.create(bootstrap, PARTITIONS, TOPIC);
        try (Admin admin = Work.admin(bootstrap);
                var load = new RebalanceChecks.Load(bootstrap, TOPIC, PARTITIONS)) {
            One[] classic = {java(Work.CLASSIC), librdkafka(Work.CLASSIC)};
            tell("two classic members share the group", () -> settled(admin, "Classic", classic));
            One first = java(Work.CONSUMER);
            tell("a member of the consumer protocol makes it a consumer group", () ->
                settled(admin, "Consumer", classic[0], classic[1], first));
            One second = librdkafka(Work.CONSUMER);
            tell("both protocols and both libraries in one group", () ->
                settled(admin, "Consumer", classic[0], classic[1], first, second));
            classic[1].leave();
            classic[0].leave();
            tell("the classic members are gone", () -> {
                settled(admin, "Consumer", first, second);
                var group = admin.describeConsumerGroups(List.of(TOPIC)).all().get().get(TOPIC);
                Check.isTrue(group.members().stream().allMatch(m -> m.upgraded().orElse(false)), "not all upgraded");
            });
            One[] again = {librdkafka(Work.CLASSIC), java(Work.CLASSIC)};
            tell("classic members join the consumer group", () ->
                settled(admin, "Consumer", first, second, again[0], again[1]));
            first.leave();
            second.leave();
            tell("with its last member of the consumer protocol it becomes classic", () ->
                settled(admin, "Classic", again));
            long sent = load.finish();
            tell("nothing is lost", () -> Work.eventually("all of " + sent + " records", () -> seen().size() == sent));
            long deliveries = everybody.stream().mapToLong(one -> one.values().size()).sum();
            System.out.println("upgrade: " + sent + " records, " + (deliveries - seen().size()) + " seen twice");
        } finally {
            for (One one : everybody) {
                one.leave();
            }
        }
        return good ? 0 : 1;
    }

    private void tell(String name, Check.Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable thrown) {
            good = false;
            System.out.println("not ok " + name + ": " + thrown);
        }
    }

    private Set<String> seen() {
        return everybody.stream().flatMap(one -> one.values().stream()).collect(Collectors.toSet());
    }

    /** The group has this type, these members share all partitions, and each goes on. */
    private void settled(Admin admin, String type, One... members) throws Exception {
        Work.eventually("a group of type " + type, () -> Work.type(admin, TOPIC).equals(type));
        Work.eventually(members.length + " members that share the partitions", () -> {
            List<Integer> all = new ArrayList<>();
            for (One member : members) {
                if (member.assignment().isEmpty()) {
                    return false;
                }
                all.addAll(member.assignment());
            }
            return all.size() == PARTITIONS && Set.copyOf(all).size() == PARTITIONS;
        });
        Map<Integer, Integer> before = new TreeMap<>();
        for (int i = 0; i < members.length; i++) {
            before.put(i, members[i].values().size());
        }
        Work.eventually("progress of each", () -> before.entrySet().stream()
            .allMatch(entry -> members[entry.getKey()].values().size() >= entry.getValue() + 20));
    }

    private One java(String protocol) {
        var consumer = Work.consumer(bootstrap, protocol, TOPIC, Map.of());
        Member member = Member.of("java-" + protocol + "-" + everybody.size(), consumer, TOPIC);
        One one = new One() {
            @Override
            public Set<Integer> assignment() {
                member.expectAlive();
                return member.assignment.stream().map(partition -> partition.partition()).collect(Collectors.toSet());
            }

            @Override
            public List<String> values() {
                return List.copyOf(member.values);
            }

            @Override
            public void leave() throws Exception {
                member.close();
            }
        };
        everybody.add(one);
        return one;
    }

    private One librdkafka(String protocol) throws IOException {
        One one = new Librdkafka(command, bootstrap, protocol);
        everybody.add(one);
        return one;
    }

    /** A process that says `assigned 0,1` and `got PARTITION OFFSET VALUE`; it leaves when its input ends. */
    private static final class Librdkafka implements One {
        private final Process process;
        private final ConcurrentLinkedQueue<String> values = new ConcurrentLinkedQueue<>();
        private volatile Set<Integer> assignment = Set.of();

        Librdkafka(List<String> command, String bootstrap, String protocol) throws IOException {
            List<String> all = new ArrayList<>(command);
            all.addAll(List.of(bootstrap, TOPIC, TOPIC, protocol));
            process = new ProcessBuilder(all).redirectError(ProcessBuilder.Redirect.INHERIT).start();
            Thread thread = new Thread(this::listen, "librdkafka");
            thread.setDaemon(true);
            thread.start();
        }

        private void listen() {
            try (var lines = new BufferedReader(new InputStreamReader(process.getInputStream()))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    String[] words = line.split(" ");
                    if (words[0].equals("got")) {
                        values.add(words[3]);
                    } else if (words[0].equals("assigned")) {
                        assignment = words.length < 2 ? Set.of() : java.util.Arrays.stream(words[1].split(","))
                            .map(Integer::valueOf).collect(Collectors.toSet());
                    }
                }
            } catch (IOException e) {
                System.err.println("librdkafka's member: " + e);
            }
        }

        @Override
        public Set<Integer> assignment() {
            Check.isTrue(process.isAlive(), "librdkafka's member ended");
            return assignment;
        }

        @Override
        public List<String> values() {
            return List.copyOf(values);
        }

        @Override
        public void leave() throws Exception {
            process.getOutputStream().close();
            if (!process.waitFor(30, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError("librdkafka's member does not leave");
            }
            assignment = Set.of();
        }
    }
}

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.header.Header;

/** Share groups: transactions, dead letters (KIP-1191), and what the admin client can do. */
final class ShareGroupMoreChecks {
    private static final Map<String, Object> EXPLICIT = Map.of("share.acknowledgement.mode", "explicit");
    private final String bootstrap;

    ShareGroupMoreChecks(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    void run(Check check) {
        check.that("share group: read_committed leaves aborted records out", () -> isolation("read_committed", 10));
        check.that("share group: read_uncommitted takes them", () -> isolation("read_uncommitted", 15));
        check.that("share group: rejected records go to the dead-letter topic", this::deadLetters);
        check.that("share group: describe, alter, list, delete", this::admin);
    }

    /** Accepts until there were so many records; gives the values. */
    private Set<String> accept(String group, int count) throws Exception {
        Set<String> seen = new TreeSet<>();
        try (var consumer = ShareGroupChecks.consumer(bootstrap, group, EXPLICIT)) {
            consumer.subscribe(List.of(group));
            Work.eventually(count + " records of " + group, () -> {
                for (var record : consumer.poll(ShareGroupChecks.POLL)) {
                    seen.add(Work.text(record));
                    consumer.acknowledge(record);
                }
                return seen.size() >= count;
            });
            consumer.commitSync().forEach((partition, error) -> Check.isTrue(error.isEmpty(), "commit: " + error));
        }
        return seen;
    }

    private void isolation(String level, int expected) throws Exception {
        String name = "share-" + level;
        ShareGroupChecks.begin(bootstrap, name, 1, Map.of("share.isolation.level", level));
        try (var producer = Work.transactional(bootstrap, name, Map.of())) {
            producer.initTransactions();
            transaction(producer, name, "kept-1", true);
            transaction(producer, name, "aborted", false);
            transaction(producer, name, "kept-2", true);
        }
        Set<String> seen = accept(name, expected);
        long aborted = seen.stream().filter(value -> value.startsWith("aborted")).count();
        Check.equal(expected - 10, (int) aborted, "aborted records");
        // Fifteen records and three markers: the group must get over all of them.
        ShareGroupChecks.awaitDone(bootstrap, name, new TopicPartition(name, 0));
    }

    private static void transaction(KafkaProducer<byte[], byte[]> producer, String topic, String word,
            boolean commit) throws Exception {
        producer.beginTransaction();
        for (int i = 0; i < 5; i++) {
            producer.send(Work.record(topic, 0, null, word + "-" + i));
        }
        producer.flush();
        if (commit) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
    }

    private void deadLetters() throws Exception {
        String name = "share-poison";
        String letters = "dlq." + name;
        Work.create(bootstrap, 1, Map.of("errors.deadletterqueue.group.enable", "true"), letters);
        ShareGroupChecks.begin(bootstrap, name, 1, Map.of("errors.deadletterqueue.topic.name", letters,
            "errors.deadletterqueue.copy.record.enable", "true", "share.delivery.count.limit", "2"));
        Work.produce(bootstrap, name, 1, 6, "p");
        // p-1 is rejected at once, p-4 is released until nobody wants it any more.
        try (Admin admin = Work.admin(bootstrap);
                var consumer = ShareGroupChecks.consumer(bootstrap, name, EXPLICIT)) {
            consumer.subscribe(List.of(name));
            Set<String> accepted = new HashSet<>();
            Work.eventually("good records", () -> {
                for (var record : consumer.poll(ShareGroupChecks.POLL)) {
                    String value = Work.text(record);
                    consumer.acknowledge(record, switch (value) {
                        case "p-1" -> AcknowledgeType.REJECT;
                        case "p-4" -> AcknowledgeType.RELEASE;
                        default -> AcknowledgeType.ACCEPT;
                    });
                    if (!value.equals("p-1") && !value.equals("p-4")) {
                        accepted.add(value);
                    }
                }
                return accepted.size() == 4
                    && ShareGroupChecks.isDone(admin, name, new TopicPartition(name, 0));
            });
        }
        List<ConsumerRecord<byte[], byte[]>> found = Corpus.read(bootstrap, new TopicPartition(letters, 0), 2);
        Map<String, ConsumerRecord<byte[], byte[]>> byValue = new HashMap<>();
        found.forEach(record -> byValue.put(Work.text(record), record));
        Check.equal(Set.of("p-1", "p-4"), byValue.keySet(), "values of the dead letters");
        for (var letter : byValue.entrySet()) {
            Map<String, String> headers = headers(letter.getValue());
            Check.equal(name, headers.get("__dlq.errors.topic"), "topic");
            Check.equal("0", headers.get("__dlq.errors.partition"), "partition");
            Check.equal(letter.getKey().substring(2), headers.get("__dlq.errors.offset"), "offset");
            Check.equal(name, headers.get("__dlq.errors.group"), "group");
        }
    }

    private static Map<String, String> headers(ConsumerRecord<byte[], byte[]> record) {
        Map<String, String> found = new HashMap<>();
        for (Header header : record.headers()) {
            found.put(header.key(), header.value() == null ? "" : new String(header.value()));
        }
        return found;
    }

    private void admin() throws Exception {
        String name = "share-admin";
        var partition = new TopicPartition(name, 0);
        ShareGroupChecks.begin(bootstrap, name, 2, Map.of());
        Work.produce(bootstrap, name, 2, 20, "a");
        try (Admin admin = Work.admin(bootstrap)) {
            List<String> seen = new ArrayList<>();
            Map<String, Object> config = Map.of("client.id", "sharer");
            try (var consumer = ShareGroupChecks.consumer(bootstrap, name, config)) {
                consumer.subscribe(List.of(name));
                Work.eventually("all records", () -> {
                    consumer.poll(ShareGroupChecks.POLL).forEach(record -> seen.add(Work.text(record)));
                    return seen.size() >= 20;
                });
                consumer.commitSync();
                var group = admin.describeShareGroups(List.of(name)).all().get().get(name);
                Check.equal(GroupState.STABLE, group.groupState(), "state");
                Check.equal(1, group.members().size(), "members");
                var member = group.members().iterator().next();
                Check.equal("sharer", member.clientId(), "client id");
                Check.equal(Set.of(partition, new TopicPartition(name, 1)), member.assignment().topicPartitions(),
                    "assignment");
                Check.equal(group.groupEpoch(), member.memberEpoch(), "member epoch");
                Check.equal(group.groupEpoch(), group.targetAssignmentEpoch(), "epoch of the target");
                Check.fails(GroupNotEmptyException.class,
                    () -> admin.alterShareGroupOffsets(name, Map.of(partition, 0L)).all().get());
                Check.fails(GroupNotEmptyException.class,
                    () -> admin.deleteShareGroups(List.of(name)).all().get());
            }
            Work.eventually("empty", () -> admin.describeShareGroups(List.of(name)).all().get().get(name)
                .groupState() == GroupState.EMPTY);
            Set<String> listed = admin.listGroups(ListGroupsOptions.forShareGroups()).all().get().stream()
                .map(group -> group.groupId()).collect(Collectors.toSet());
            Check.isTrue(listed.contains(name), "not listed: " + listed);
            admin.alterShareGroupOffsets(name, Map.of(partition, 4L)).all().get();
            Check.equal(4L, ShareGroupChecks.start(admin, name, partition), "altered");
            Check.equal(6, accept(name, 6).size(), "records from the altered offset on");
            Work.eventually("empty again", () -> admin.describeShareGroups(List.of(name)).all().get().get(name)
                .groupState() == GroupState.EMPTY);
            admin.deleteShareGroupOffsets(name, Set.of(name)).all().get();
            Check.equal(-1L, ShareGroupChecks.start(admin, name, partition), "deleted offsets");
            admin.deleteShareGroups(List.of(name)).all().get();
            Check.equal("none", Work.type(admin, name), "the group's type");
        }
    }
}

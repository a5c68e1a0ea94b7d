import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;

/** Consumer groups through the Java admin client. */
final class GroupChecks {
    private static final TopicPartition PARTITION = new TopicPartition("grouped", 0);
    private final String bootstrap;

    GroupChecks(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    void run(Check check) {
        check.that("list and describe a live group", this::liveGroup);
        check.that("offsets: list, alter, delete", this::offsets);
        check.that("delete group", this::delete);
        check.that("remove members", this::removeMembers);
    }

    private Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", 40_000));
    }

    private void liveGroup() throws Exception {
        try (var producer = Corpus.producer(bootstrap, Map.of()); Admin admin = admin();
                var consumer = Corpus.consumer(bootstrap, Map.of("group.id", "live", "client.id", "me"))) {
            producer.send(new ProducerRecord<>(PARTITION.topic(), 0, null, Corpus.utf8("g"))).get();
            consumer.subscribe(List.of(PARTITION.topic()));
            Corpus.poll(consumer, 1);
            consumer.commitSync();
            var listed = admin.listGroups(ListGroupsOptions.forConsumerGroups()).all().get().stream()
                .filter(g -> g.groupId().equals("live")).toList();
            Check.equal(1, listed.size(), "listed");
            Check.equal("consumer", listed.get(0).protocol(), "protocol type");
            var described = admin.describeConsumerGroups(List.of("live")).all().get().get("live");
            Check.equal(GroupState.STABLE, described.groupState(), "state");
            Check.equal("range", described.partitionAssignor(), "assignor");
            Check.equal(1, described.members().size(), "members");
            var member = described.members().iterator().next();
            Check.equal("me", member.clientId(), "client id");
            Check.equal("/127.0.0.1", member.host(), "host");
            Check.equal(Set.of(PARTITION), member.assignment().topicPartitions(), "assignment");
            Check.fails(GroupNotEmptyException.class,
                () -> admin.deleteConsumerGroups(List.of("live")).all().get());
        }
        try (Admin admin = admin()) {
            Check.eventually("group is empty", () -> admin.describeConsumerGroups(List.of("live")).all().get()
                .get("live").groupState() == GroupState.EMPTY);
        }
    }

    private void offsets() throws Exception {
        try (Admin admin = admin()) {
            admin.alterConsumerGroupOffsets("live", Map.of(PARTITION, new OffsetAndMetadata(33, "moved"))).all().get();
            var committed = committed(admin);
            Check.equal(33L, committed.offset(), "altered offset");
            Check.equal("moved", committed.metadata(), "altered metadata");
            admin.deleteConsumerGroupOffsets("live", Set.of(PARTITION)).all().get();
            Check.equal(null, committed(admin), "deleted offset");
        }
    }

    private static OffsetAndMetadata committed(Admin admin) throws Exception {
        return admin.listConsumerGroupOffsets("live").partitionsToOffsetAndMetadata().get().get(PARTITION);
    }

    private void delete() throws Exception {
        try (Admin admin = admin()) {
            admin.alterConsumerGroupOffsets("doomed", Map.of(PARTITION, new OffsetAndMetadata(1))).all().get();
            admin.deleteConsumerGroups(List.of("doomed")).all().get();
            Check.isTrue(admin.listGroups().all().get().stream().noneMatch(g -> g.groupId().equals("doomed")), "gone");
            Check.fails(GroupIdNotFoundException.class,
                () -> admin.deleteConsumerGroups(List.of("doomed")).all().get());
            Check.fails(GroupIdNotFoundException.class,
                () -> admin.describeConsumerGroups(List.of("doomed")).all().get());
        }
    }

    private void removeMembers() throws Exception {
        try (Admin admin = admin(); var consumer = Corpus.consumer(bootstrap,
                Map.of("group.id", "removed", "group.instance.id", "x"))) {
            consumer.subscribe(List.of(PARTITION.topic()));
            Corpus.poll(consumer, 1);
            var options = new org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions(
                List.of(new org.apache.kafka.clients.admin.MemberToRemove("x")));
            admin.removeMembersFromConsumerGroup("removed", options).all().get();
            Check.eventually("group is empty", () -> admin.describeConsumerGroups(List.of("removed")).all().get()
                .get("removed").groupState() == GroupState.EMPTY);
            Check.eventually("the removed member is back", () -> {
                consumer.poll(Duration.ofMillis(100));
                return admin.describeConsumerGroups(List.of("removed")).all().get().get("removed").members().size() == 1;
            });
        }
    }
}

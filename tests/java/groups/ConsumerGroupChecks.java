import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InvalidRegularExpression;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;
import org.apache.kafka.common.errors.UnsupportedAssignorException;

/** Consumer groups as applications use them; the same checks for both protocols. */
final class ConsumerGroupChecks {
    private static final Duration POLL = Duration.ofMillis(100);
    private final String bootstrap;
    private final String protocol;
    private final boolean modern;

    ConsumerGroupChecks(String bootstrap, String protocol) {
        this.bootstrap = bootstrap;
        this.protocol = protocol;
        modern = protocol.equals(Work.CONSUMER);
    }

    void run(Check check) {
        that(check, "names of topics, another subscription, resume", this::names);
        that(check, "pattern, also for a later topic", this::pattern);
        that(check, "a topic that grows", this::grows);
        that(check, "a static member comes back to its partitions", this::staticMember);
        that(check, "an instance id has one member", this::oneInstance);
        that(check, "who does not poll is out and cannot commit", this::expelled);
        that(check, "described and listed", this::described);
        that(check, "offsets: list, alter, delete, delete the group", this::offsets);
        if (modern) {
            that(check, "a pattern that is none", this::invalidPattern);
            that(check, "assignors of the server", this::assignors);
            that(check, "configuration of a group", this::configuration);
        }
    }

    private void that(Check check, String name, Check.Body body) {
        check.that(protocol + " group: " + name, body);
    }

    private String name(String word) {
        return protocol + "-" + word;
    }

    private KafkaConsumer<byte[], byte[]> consumer(String group, Map<String, Object> more) {
        return Work.consumer(bootstrap, protocol, group, more);
    }

    private void names() throws Exception {
        String first = name("names-1");
        String second = name("names-2");
        Work.create(bootstrap, 2, first, second);
        Work.produce(bootstrap, first, 2, 40, "a");
        Work.produce(bootstrap, second, 2, 40, "b");
        try (var consumer = consumer(name("names"), Map.of())) {
            consumer.subscribe(List.of(first, second));
            Corpus.poll(consumer, 80);
            consumer.commitSync();
            consumer.subscribe(List.of(second));
            Check.eventually("only the second topic", () -> {
                consumer.poll(POLL);
                return topics(consumer.assignment()).equals(Set.of(second));
            });
            Work.produce(bootstrap, second, 2, 10, "c");
            Corpus.poll(consumer, 10).forEach(r -> Check.isTrue(Work.text(r).startsWith("c-"), Work.text(r)));
            consumer.commitSync();
        }
        Work.produce(bootstrap, first, 2, 6, "d");
        try (var consumer = consumer(name("names"), Map.of())) {
            consumer.subscribe(List.of(first, second));
            Corpus.poll(consumer, 6).forEach(r -> Check.isTrue(Work.text(r).startsWith("d-"), Work.text(r)));
        }
    }

    private static Set<String> topics(Set<TopicPartition> partitions) {
        return partitions.stream().map(TopicPartition::topic).collect(Collectors.toSet());
    }

    /** The server looks for new topics 10 s after it last did, the classic client with its metadata. */
    private void pattern() throws Exception {
        Work.create(bootstrap, 2, name("pattern-1"), name("other-1"));
        Work.produce(bootstrap, name("pattern-1"), 2, 10, "p");
        Work.produce(bootstrap, name("other-1"), 2, 10, "o");
        try (var consumer = consumer(name("pattern"), Map.of("metadata.max.age.ms", 500))) {
            if (modern) {
                consumer.subscribe(new SubscriptionPattern(name("pattern-.*")));
            } else {
                consumer.subscribe(Pattern.compile(name("pattern-.*")));
            }
            Corpus.poll(consumer, 10);
            // An eager rebalance goes back to what is committed.
            consumer.commitSync();
            Work.create(bootstrap, 3, name("pattern-2"));
            Work.produce(bootstrap, name("pattern-2"), 3, 12, "q");
            Corpus.poll(consumer, 12).forEach(r -> Check.isTrue(Work.text(r).startsWith("q-"), Work.text(r)));
            Check.equal(Set.of(name("pattern-1"), name("pattern-2")), topics(consumer.assignment()), "topics");
        }
    }

    private void grows() throws Exception {
        String topic = name("grows");
        Work.create(bootstrap, 1, topic);
        try (Admin admin = Work.admin(bootstrap);
                var consumer = consumer(name("grows"), Map.of("metadata.max.age.ms", 500))) {
            consumer.subscribe(List.of(topic));
            Check.eventually("one partition", () -> size(consumer) == 1);
            admin.createPartitions(Map.of(topic, org.apache.kafka.clients.admin.NewPartitions.increaseTo(3)))
                .all().get();
            Check.eventually("three partitions", () -> size(consumer) == 3);
        }
    }

    private static int size(KafkaConsumer<byte[], byte[]> consumer) {
        consumer.poll(POLL);
        return consumer.assignment().size();
    }

    private void staticMember() throws Exception {
        String topic = name("static");
        Work.create(bootstrap, 4, topic);
        var first = instance("a", topic);
        try (var other = instance("b", topic)) {
            Member.awaitShared(4, first, other);
            Set<TopicPartition> before = first.assignment;
            int revocations = other.revocations;
            first.close();
            try (var again = instance("a", topic)) {
                Work.eventually("the same partitions", () -> {
                    again.expectAlive();
                    return again.assignment.equals(before);
                });
                Check.equal(revocations, other.revocations, "the other member gave nothing up");
                Member.awaitShared(4, again, other);
            }
        }
    }

    private Member instance(String instance, String topic) {
        var consumer = consumer(name("static"), Map.of("group.instance.id", instance));
        return Member.of(name("static-") + instance, consumer, topic);
    }

    /** A classic coordinator fences the older member, the newer protocol refuses the newer one. */
    private void oneInstance() throws Exception {
        String topic = name("one-instance");
        Work.create(bootstrap, 2, topic);
        Map<String, Object> config = Map.of("group.instance.id", "only");
        try (var first = Member.of("first", consumer(topic, config), topic)) {
            Member.awaitShared(2, first);
            try (var second = Member.of("second", consumer(topic, config), topic)) {
                Member loser = modern ? second : first;
                Member winner = modern ? first : second;
                Work.eventually("one of them fails", () -> loser.failure != null);
                var expected = modern ? UnreleasedInstanceIdException.class : FencedInstanceIdException.class;
                Check.fails(expected, () -> {
                    throw (Exception) loser.failure;
                });
                Member.awaitShared(2, winner);
            }
        }
    }

    private void expelled() throws Exception {
        String topic = name("expelled");
        Work.create(bootstrap, 2, topic);
        Work.produce(bootstrap, topic, 2, 10, "e");
        try (var slow = consumer(topic, Map.of("max.poll.interval.ms", 2000))) {
            slow.subscribe(List.of(topic));
            Corpus.poll(slow, 10);
            // From here on it does not poll, and the group goes on without it.
            try (var other = Member.of("other", consumer(topic, Map.of()), topic)) {
                Member.awaitShared(2, other);
                Work.eventually("all records at the other member", () -> other.values.size() == 10);
                var offsets = new HashMap<TopicPartition, OffsetAndMetadata>();
                offsets.put(new TopicPartition(topic, 0), new OffsetAndMetadata(1));
                Check.fails(CommitFailedException.class, () -> slow.commitSync(offsets));
            }
        }
        try (Admin admin = Work.admin(bootstrap)) {
            Check.equal(5L, committed(admin, topic, new TopicPartition(topic, 0)).offset(), "nobody went back");
        }
    }

    private static OffsetAndMetadata committed(Admin admin, String group, TopicPartition partition)
            throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition);
    }

    private void described() throws Exception {
        String topic = name("described");
        Work.create(bootstrap, 2, topic);
        Map<String, Object> config = Map.of("client.id", "me", "group.instance.id", "it", "client.rack", "r1");
        try (Admin admin = Work.admin(bootstrap); var member = Member.of("me", consumer(topic, config), topic)) {
            Member.awaitShared(2, member);
            Check.eventually("stable", () -> state(admin, topic) == GroupState.STABLE);
            var group = admin.describeConsumerGroups(List.of(topic)).all().get().get(topic);
            Check.equal(modern ? GroupType.CONSUMER : GroupType.CLASSIC, group.type(), "type");
            Check.equal(modern ? "uniform" : "range", group.partitionAssignor(), "assignor");
            Check.equal(1, group.members().size(), "members");
            var described = group.members().iterator().next();
            Check.equal("me", described.clientId(), "client id");
            Check.equal("it", described.groupInstanceId().orElse("?"), "instance id");
            Check.equal("/127.0.0.1", described.host(), "host");
            Check.equal(member.memberId, described.consumerId(), "member id");
            Check.equal(member.assignment, described.assignment().topicPartitions(), "assignment");
            if (modern) {
                Check.equal("r1", described.rackId().orElse("?"), "rack");
                Check.equal(member.generation, described.memberEpoch().orElse(-1), "member epoch");
                Check.equal(group.groupEpoch(), group.targetAssignmentEpoch(), "epoch of the target");
                Check.equal(true, described.upgraded().orElse(false), "speaks the consumer protocol");
                Check.equal(member.assignment, described.targetAssignment().orElseThrow().topicPartitions(), "target");
            }
            listed(admin, topic);
        }
        try (Admin admin = Work.admin(bootstrap)) {
            // A static member that closes keeps its place until its session ends.
            Work.eventually("empty", () -> state(admin, topic) == GroupState.EMPTY);
        }
    }

    private static GroupState state(Admin admin, String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group).groupState();
    }

    private void listed(Admin admin, String group) throws Exception {
        GroupType own = modern ? GroupType.CONSUMER : GroupType.CLASSIC;
        for (GroupType type : List.of(GroupType.CLASSIC, GroupType.CONSUMER, GroupType.SHARE)) {
            var options = new ListGroupsOptions().withTypes(Set.of(type));
            boolean there = admin.listGroups(options).all().get().stream().anyMatch(g -> g.groupId().equals(group));
            Check.equal(type == own, there, "listed as " + type);
        }
        for (GroupState state : List.of(GroupState.STABLE, GroupState.EMPTY)) {
            var options = new ListGroupsOptions().inGroupStates(Set.of(state));
            boolean there = admin.listGroups(options).all().get().stream().anyMatch(g -> g.groupId().equals(group));
            Check.equal(state == GroupState.STABLE, there, "listed as " + state);
        }
    }

    private void offsets() throws Exception {
        String topic = name("offsets");
        var partition = new TopicPartition(topic, 1);
        Work.create(bootstrap, 2, topic);
        Work.produce(bootstrap, topic, 2, 20, "x");
        try (var consumer = consumer(topic, Map.of())) {
            consumer.subscribe(List.of(topic));
            Corpus.poll(consumer, 20);
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(7, "half way")));
            try (Admin admin = Work.admin(bootstrap)) {
                Check.equal(new OffsetAndMetadata(7, "half way").metadata(),
                    committed(admin, topic, partition).metadata(), "metadata");
                Check.fails(org.apache.kafka.common.errors.UnknownMemberIdException.class,
                    () -> admin.alterConsumerGroupOffsets(topic, Map.of(partition, new OffsetAndMetadata(1)))
                        .all().get());
                Check.fails(org.apache.kafka.common.errors.GroupNotEmptyException.class,
                    () -> admin.deleteConsumerGroups(List.of(topic)).all().get());
            }
        }
        try (Admin admin = Work.admin(bootstrap)) {
            Work.eventually("empty", () -> state(admin, topic) == GroupState.EMPTY);
            admin.alterConsumerGroupOffsets(topic, Map.of(partition, new OffsetAndMetadata(3))).all().get();
            Check.equal(3L, committed(admin, topic, partition).offset(), "altered");
            admin.deleteConsumerGroupOffsets(topic, Set.of(partition)).all().get();
            Check.equal(null, committed(admin, topic, partition), "deleted");
            admin.deleteConsumerGroups(List.of(topic)).all().get();
            Check.equal("none", Work.type(admin, topic), "the group's type");
        }
    }

    private void invalidPattern() throws Exception {
        try (var consumer = consumer(name("no-pattern"), Map.of())) {
            consumer.subscribe(new SubscriptionPattern("(unfinished"));
            Check.fails(InvalidRegularExpression.class, () -> Check.eventually("a refusal", () -> {
                consumer.poll(POLL);
                return false;
            }));
        }
    }

    /** `range` gives each member the same partitions of all topics. */
    private void assignors() throws Exception {
        String left = name("left");
        String right = name("right");
        Work.create(bootstrap, 2, left, right);
        Map<String, Object> range = Map.of("group.remote.assignor", "range");
        try (var one = Member.of("one", consumer(name("range"), range), left, right);
                var two = Member.of("two", consumer(name("range"), range), left, right)) {
            Member.awaitShared(4, one, two);
            for (Member member : List.of(one, two)) {
                var numbers = member.assignment.stream().map(TopicPartition::partition).collect(Collectors.toSet());
                Check.equal(1, numbers.size(), "different partitions at one member: " + member.assignment);
            }
            Check.equal(4, union(one, two).size(), "partitions");
        }
        try (var consumer = consumer(name("unknown"), Map.of("group.remote.assignor", "nobody"))) {
            consumer.subscribe(List.of(left));
            Check.fails(UnsupportedAssignorException.class, () -> Check.eventually("a refusal", () -> {
                consumer.poll(POLL);
                return false;
            }));
        }
    }

    private static Set<TopicPartition> union(Member... members) {
        Set<TopicPartition> all = new HashSet<>();
        for (Member member : members) {
            all.addAll(member.assignment);
        }
        return all;
    }

    private void configuration() throws Exception {
        Work.configureGroup(bootstrap, name("configured"),
            Map.of("consumer.session.timeout.ms", "7000", "consumer.heartbeat.interval.ms", "600"));
        Check.fails(org.apache.kafka.common.errors.InvalidConfigurationException.class,
            () -> Work.configureGroup(bootstrap, name("configured"),
                Map.of("consumer.session.timeout.ms", "1")));
    }
}

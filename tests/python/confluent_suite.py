"""confluent-kafka (librdkafka): suite BOOTSTRAP | member BOOTSTRAP GROUP TOPIC."""

import sys

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

import corpus
from corpus import equal, until

BOOTSTRAP = sys.argv[2]
NAME = "confluent-kafka"


def producer(**more):
    config = {"bootstrap.servers": BOOTSTRAP, "message.timeout.ms": 30000, "message.max.bytes": 1048588}
    return Producer({**config, **{k.replace("_", "."): v for k, v in more.items()}})


def send(sender, topic, *records):
    """Each record is a dict for produce(); returns the offsets."""
    offsets = []

    def delivered(error, message):
        if error:
            raise KafkaException(error)
        offsets.append(message.offset())

    for record in records:
        while True:
            try:
                sender.produce(topic, on_delivery=delivered, **record)
                break
            except BufferError:
                sender.poll(0.1)
    until("deliveries", lambda: sender.flush(1) == 0)
    equal(len(records), len(offsets), "deliveries")
    return offsets


def consumer(**more):
    config = {"bootstrap.servers": BOOTSTRAP, "group.id": "unused", "auto.offset.reset": "earliest",
              "enable.auto.commit": False, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    return Consumer({**config, **{k.replace("_", "."): v for k, v in more.items()}})


def poll(reader, count):
    found = []

    def more():
        message = reader.poll(0.5)
        if message is not None:
            if message.error():
                raise KafkaException(message.error())
            found.append(message)
        return len(found) >= count

    until(f"{count} records", more)
    return found


def read(topic, count, partition=0):
    reader = consumer()
    reader.assign([TopicPartition(topic, partition, 0)])
    try:
        return poll(reader, count)
    finally:
        reader.close()


def as_record(message):
    return message.offset(), message.key(), message.value(), message.headers() or [], message.timestamp()[1]


def codec(name):
    topic = f"corpus-{NAME}-{name}"
    records = [dict(key=corpus.key(i), value=corpus.value(i), headers=corpus.headers(i),
                    timestamp=corpus.FIRST_TIMESTAMP + i, partition=0) for i in range(corpus.COUNT)]
    equal(list(range(corpus.COUNT)), send(producer(compression_type=name, linger_ms=50), topic, *records), "offsets")
    corpus.verify([as_record(m) for m in read(topic, corpus.COUNT)])


def java_corpus(name):
    if f"corpus-java-{name}" in consumer().list_topics(timeout=20).topics:
        corpus.verify([as_record(m) for m in read(f"corpus-java-{name}", corpus.COUNT)])


def megabyte():
    send(producer(), f"big-{NAME}", dict(value=corpus.megabyte()))
    equal(corpus.megabyte(), read(f"big-{NAME}", 1)[0].value(), "the megabyte")


def idempotence():
    sender = producer(enable_idempotence=True, batch_num_messages=7, linger_ms=0)
    topic = f"idempotent-{NAME}"
    send(sender, topic, *[dict(value=b"i%d" % i, partition=0) for i in range(1000)])
    equal([b"i%d" % i for i in range(1000)], [m.value() for m in read(topic, 1000)], "records")


def resume():
    topic = f"resume-{NAME}"
    send(producer(), topic, *[dict(value=b"r%d" % i) for i in range(100)])
    seen = []
    for _ in range(2):
        reader = consumer(group_id=f"resume-{NAME}")
        reader.subscribe([topic])
        last = None
        for message in poll(reader, 50)[:50]:
            seen.append(message.value())
            last = message
        reader.commit(message=last, asynchronous=False)
        reader.close()
    equal([b"r%d" % i for i in range(100)], seen, "records over two lives")


def lookups():
    topic = f"corpus-{NAME}-none"
    reader = consumer()
    equal((0, corpus.COUNT), reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=20), "watermarks")
    found = reader.offsets_for_times([TopicPartition(topic, 0, corpus.FIRST_TIMESTAMP + 7)], timeout=20)
    equal(7, found[0].offset, "offset for the time")
    reader.close()


def topics(admin):
    name = f"admin-{NAME}"
    admin.create_topics([NewTopic(name, 2, 1, config={"retention.ms": "86400000"})])[name].result(30)
    try:
        admin.create_topics([NewTopic(name, 2, 1)])[name].result(30)
        raise AssertionError("created twice")
    except KafkaException as error:
        equal(KafkaError.TOPIC_ALREADY_EXISTS, error.args[0].code(), "error")
    admin.create_partitions([NewPartitions(name, 5)])[name].result(30)
    until("five partitions", lambda: len(admin.list_topics(name, timeout=20).topics[name].partitions) == 5)
    resource = ConfigResource(ResourceType.TOPIC, name)
    config = admin.describe_configs([resource])[resource].result(30)
    equal("86400000", config["retention.ms"].value, "config at creation")
    change = ConfigEntry("max.message.bytes", "5000", incremental_operation=AlterConfigOpType.SET)
    altered = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[change])
    admin.incremental_alter_configs([altered])[altered].result(30)
    until("altered", lambda: admin.describe_configs([resource])[resource].result(30)["max.message.bytes"].value
          == "5000")
    admin.delete_topics([name])[name].result(30)
    until("deleted", lambda: name not in admin.list_topics(timeout=20).topics)


def offsets(admin):
    partition = TopicPartition(f"corpus-{NAME}-none", 0)

    def listed(spec):
        return admin.list_offsets({partition: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)[partition] \
            .result(30).offset

    equal(0, listed(OffsetSpec.earliest()), "earliest")
    equal(60, listed(OffsetSpec.latest()), "latest")
    equal(59, listed(OffsetSpec.max_timestamp()), "max timestamp")
    equal(8, listed(OffsetSpec.for_timestamp(corpus.FIRST_TIMESTAMP + 8)), "for a time")


def delete_records(admin):
    topic = f"trimmed-{NAME}"
    send(producer(), topic, *[dict(value=b"d", partition=0) for _ in range(10)])
    partition = TopicPartition(topic, 0, 4)
    equal(4, admin.delete_records([partition])[partition].result(30).low_watermark, "low watermark")
    equal(4, consumer().get_watermark_offsets(TopicPartition(topic, 0), timeout=20)[0], "first offset left")


def cluster(admin):
    described = admin.describe_cluster().result(30)
    equal([BOOTSTRAP], [f"{n.host}:{n.port}" for n in described.nodes], "nodes")
    equal(22, len(described.cluster_id), "length of the cluster id")


def groups(admin):
    group = f"resume-{NAME}"
    listed = admin.list_consumer_groups().result(30)
    assert group in [g.group_id for g in listed.valid], listed.valid
    described = admin.describe_consumer_groups([group])[group].result(30)
    equal("EMPTY", described.state.name, "state")
    partition = TopicPartition(f"resume-{NAME}", 0, 5)
    change = ConsumerGroupTopicPartitions(group, [partition])
    admin.alter_consumer_group_offsets([change])[group].result(30)
    listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(30)
    equal([5], [p.offset for p in listed.topic_partitions], "altered offset")
    admin.delete_consumer_groups([group])[group].result(30)
    assert group not in [g.group_id for g in admin.list_consumer_groups().result(30).valid], "still listed"


def suite():
    checks = corpus.Checks()
    for name in corpus.CODECS:
        checks.that(f"codec {name}", lambda: codec(name))
        checks.that(f"reads java's {name}", lambda: java_corpus(name))
    checks.that("1 MB record", megabyte)
    checks.that("idempotent producer", idempotence)
    checks.that("commit and resume", resume)
    checks.that("watermarks and offsets for times", lookups)
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    checks.that("admin: topics, partitions, configs", lambda: topics(admin))
    checks.that("admin: list offsets", lambda: offsets(admin))
    checks.that("admin: delete records", lambda: delete_records(admin))
    checks.that("admin: describe cluster", lambda: cluster(admin))
    checks.that("admin: groups", lambda: groups(admin))
    checks.end()


def member(group, topic):
    reader = consumer(group_id=group, enable_auto_commit=True, auto_commit_interval_ms=200)

    def assigned(_, partitions):
        print("assigned", ",".join(str(p.partition) for p in partitions), flush=True)

    reader.subscribe([topic], on_assign=assigned)
    while True:
        message = reader.poll(0.2)
        if message is not None and not message.error():
            print("got", message.partition(), message.offset(), message.value().decode(), flush=True)


if sys.argv[1] == "suite":
    suite()
else:
    member(sys.argv[3], sys.argv[4])

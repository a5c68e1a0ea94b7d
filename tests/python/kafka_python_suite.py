"""kafka-python: suite BOOTSTRAP | member BOOTSTRAP GROUP TOPIC."""

import sys

from kafka import (
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndMetadata,
    OffsetSpec,
    TopicPartition,
)
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError

import corpus
from corpus import equal, until

BOOTSTRAP = sys.argv[2]
NAME = "kafka-python"


def producer(**more):
    return KafkaProducer(bootstrap_servers=BOOTSTRAP, request_timeout_ms=20000, max_block_ms=30000, **more)


def consumer(*topics, **more):
    config = dict(bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", enable_auto_commit=False,
                  session_timeout_ms=6000, heartbeat_interval_ms=500)
    return KafkaConsumer(*topics, **{**config, **more})


def poll(reader, count):
    found = []

    def more():
        for records in reader.poll(timeout_ms=500).values():
            found.extend(records)
        return len(found) >= count

    until(f"{count} records", more)
    return found


def read(topic, count):
    reader = consumer()
    partition = TopicPartition(topic, 0)
    reader.assign([partition])
    reader.seek_to_beginning(partition)
    try:
        return poll(reader, count)
    finally:
        reader.close()


def as_record(r):
    return r.offset, r.key, r.value, [tuple(h) for h in r.headers], r.timestamp


def codec(name):
    topic = f"corpus-{NAME}-{name}"
    sender = producer(compression_type=None if name == "none" else name, linger_ms=50)
    sent = [sender.send(topic, corpus.value(i), corpus.key(i), corpus.headers(i), 0, corpus.FIRST_TIMESTAMP + i)
            for i in range(corpus.COUNT)]
    equal(list(range(corpus.COUNT)), [s.get(30).offset for s in sent], "offsets")
    sender.close()
    corpus.verify([as_record(r) for r in read(topic, corpus.COUNT)])


def java_corpus(name):
    reader = consumer()
    present = f"corpus-java-{name}" in reader.topics()
    reader.close()
    if present:
        corpus.verify([as_record(r) for r in read(f"corpus-java-{name}", corpus.COUNT)])


def megabyte():
    sender = producer()
    sender.send(f"big-{NAME}", corpus.megabyte()).get(30)
    sender.close()
    equal(corpus.megabyte(), read(f"big-{NAME}", 1)[0].value, "the megabyte")


def idempotence():
    topic = f"idempotent-{NAME}"
    sender = producer(enable_idempotence=True, batch_size=200)
    sent = [sender.send(topic, b"i%d" % i, partition=0) for i in range(500)]
    sender.flush(30)
    equal(list(range(500)), [s.get(30).offset for s in sent], "offsets")
    sender.close()
    equal([b"i%d" % i for i in range(500)], [r.value for r in read(topic, 500)], "records")


def resume():
    topic = f"resume-{NAME}"
    sender = producer()
    for i in range(100):
        sender.send(topic, b"r%d" % i, partition=0)
    sender.close()
    seen = []
    for _ in range(2):
        reader = consumer(topic, group_id=f"resume-{NAME}", max_poll_records=50)
        seen += [r.value for r in poll(reader, 50)]
        reader.commit()
        reader.close()
    equal([b"r%d" % i for i in range(100)], seen, "records over two lives")


def lookups():
    partition = TopicPartition(f"corpus-{NAME}-none", 0)
    reader = consumer()
    equal({partition: 0}, reader.beginning_offsets([partition]), "beginning")
    equal({partition: 60}, reader.end_offsets([partition]), "end")
    found = reader.offsets_for_times({partition: corpus.FIRST_TIMESTAMP + 7})[partition]
    equal((7, corpus.FIRST_TIMESTAMP + 7), (found.offset, found.timestamp), "offset for the time")
    reader.close()


def topics(admin):
    name = f"admin-{NAME}"
    admin.create_topics([NewTopic(name, 2, 1, topic_configs={"retention.ms": "86400000"})])
    try:
        admin.create_topics([NewTopic(name, 2, 1)])
        raise AssertionError("created twice")
    except TopicAlreadyExistsError:
        pass
    admin.create_partitions({name: NewPartitions(5)})
    until("five partitions", lambda: len(admin.describe_topics([name])[0]["partitions"]) == 5)

    def config(key):
        described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
        return str(described[ConfigResourceType.TOPIC.name.lower()][name][key]["value"])

    equal("86400000", config("retention.ms"), "config at creation")
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs={"max.message.bytes": "5000"})])
    until("altered", lambda: config("max.message.bytes") == "5000")
    admin.delete_topics([name])
    until("deleted", lambda: name not in admin.list_topics())


def offsets(admin):
    partition = TopicPartition(f"corpus-{NAME}-none", 0)
    for spec, expected in ((OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 60), (OffsetSpec.MAX_TIMESTAMP, 59)):
        equal(expected, admin.list_partition_offsets({partition: spec})[partition].offset, str(spec))


def delete_records(admin):
    topic = f"trimmed-{NAME}"
    sender = producer()
    for _ in range(10):
        sender.send(topic, b"d", partition=0)
    sender.close()
    partition = TopicPartition(topic, 0)
    admin.delete_records({partition: 4})
    reader = consumer()
    equal({partition: 4}, reader.beginning_offsets([partition]), "beginning after the deletion")
    reader.close()


def cluster(admin):
    described = admin.describe_cluster()
    equal([BOOTSTRAP], [f"{b['host']}:{b['port']}" for b in described["brokers"]], "brokers")


def groups(admin):
    group = f"resume-{NAME}"
    partition = TopicPartition(f"resume-{NAME}", 0)
    assert group in str(admin.list_groups()), "not listed"
    admin.alter_group_offsets(group, {partition: OffsetAndMetadata(5, "moved", -1)})
    assert "offset=5" in str(admin.list_group_offsets({group: None})), admin.list_group_offsets({group: None})
    admin.delete_groups([group])
    assert group not in str(admin.list_groups()), "still listed"


def suite():
    checks = corpus.Checks()
    for name in corpus.CODECS:
        checks.that(f"codec {name}", lambda: codec(name))
        checks.that(f"reads java's {name}", lambda: java_corpus(name))
    checks.that("1 MB record", megabyte)
    checks.that("idempotent producer", idempotence)
    checks.that("commit and resume", resume)
    checks.that("beginning, end, offsets for times", lookups)
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    checks.that("admin: topics, partitions, configs", lambda: topics(admin))
    checks.that("admin: list offsets", lambda: offsets(admin))
    checks.that("admin: delete records", lambda: delete_records(admin))
    checks.that("admin: describe cluster", lambda: cluster(admin))
    checks.that("admin: groups", lambda: groups(admin))
    checks.end()


class Told(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        print("assigned", ",".join(str(p.partition) for p in assigned), flush=True)


def member(group, topic):
    reader = consumer(group_id=group, enable_auto_commit=True, auto_commit_interval_ms=200)
    reader.subscribe([topic], listener=Told())
    while True:
        for records in reader.poll(timeout_ms=200).values():
            for r in records:
                print("got", r.partition, r.offset, r.value.decode(), flush=True)


if sys.argv[1] == "suite":
    suite()
else:
    member(sys.argv[3], sys.argv[4])

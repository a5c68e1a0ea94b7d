"""aiokafka: suite BOOTSTRAP | member BOOTSTRAP GROUP TOPIC."""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

import corpus
from corpus import equal

BOOTSTRAP = sys.argv[2]
NAME = "aiokafka"


async def until(what, ready):
    end = time.monotonic() + corpus.DEADLINE
    while not await ready():
        if time.monotonic() > end:
            raise AssertionError(f"not in time: {what}")
        await asyncio.sleep(0.05)


def producer(**more):
    return AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, request_timeout_ms=20000, **more)


def consumer(*topics, **more):
    config = dict(bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", enable_auto_commit=False,
                  session_timeout_ms=6000, heartbeat_interval_ms=500)
    return AIOKafkaConsumer(*topics, **{**config, **more})


async def poll(reader, count):
    found = []
    end = time.monotonic() + corpus.DEADLINE
    while len(found) < count:
        assert time.monotonic() < end, f"only {len(found)} of {count} records"
        for records in (await reader.getmany(timeout_ms=500)).values():
            found.extend(records)
    return found


async def read(topic, count):
    partition = TopicPartition(topic, 0)
    async with consumer() as reader:
        reader.assign([partition])
        await reader.seek_to_beginning(partition)
        return await poll(reader, count)


def as_record(r):
    return r.offset, r.key, r.value, [tuple(h) for h in r.headers], r.timestamp


async def codec(name):
    topic = f"corpus-{NAME}-{name}"
    async with producer(compression_type=None if name == "none" else name, linger_ms=50) as sender:
        sent = [await sender.send(topic, corpus.value(i), corpus.key(i), 0, corpus.FIRST_TIMESTAMP + i,
                                  corpus.headers(i)) for i in range(corpus.COUNT)]
        equal(list(range(corpus.COUNT)), [(await s).offset for s in sent], "offsets")
    corpus.verify([as_record(r) for r in await read(topic, corpus.COUNT)])


async def java_corpus(name):
    async with consumer() as reader:
        present = f"corpus-java-{name}" in await reader.topics()
    if present:
        corpus.verify([as_record(r) for r in await read(f"corpus-java-{name}", corpus.COUNT)])


async def megabyte():
    async with producer() as sender:
        await sender.send_and_wait(f"big-{NAME}", corpus.megabyte())
    equal(corpus.megabyte(), (await read(f"big-{NAME}", 1))[0].value, "the megabyte")


async def idempotence():
    topic = f"idempotent-{NAME}"
    async with producer(enable_idempotence=True, max_batch_size=200) as sender:
        sent = [await sender.send(topic, b"i%d" % i, partition=0) for i in range(500)]
        equal(list(range(500)), [(await s).offset for s in sent], "offsets")
    equal([b"i%d" % i for i in range(500)], [r.value for r in await read(topic, 500)], "records")


async def resume():
    topic = f"resume-{NAME}"
    async with producer() as sender:
        for i in range(100):
            await sender.send(topic, b"r%d" % i, partition=0)
    seen = []
    for _ in range(2):
        async with consumer(topic, group_id=f"resume-{NAME}", max_poll_records=50) as reader:
            seen += [r.value for r in await poll(reader, 50)]
            await reader.commit()
    equal([b"r%d" % i for i in range(100)], seen, "records over two lives")


async def lookups():
    partition = TopicPartition(f"corpus-{NAME}-none", 0)
    async with consumer() as reader:
        equal({partition: 0}, await reader.beginning_offsets([partition]), "beginning")
        equal({partition: 60}, await reader.end_offsets([partition]), "end")
        found = (await reader.offsets_for_times({partition: corpus.FIRST_TIMESTAMP + 7}))[partition]
        equal((7, corpus.FIRST_TIMESTAMP + 7), (found.offset, found.timestamp), "offset for the time")


async def with_admin(body):
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        await body(admin)
    finally:
        await admin.close()


async def topics(admin):
    name = f"admin-{NAME}"
    answer = await admin.create_topics([NewTopic(name, 2, 1, topic_configs={"retention.ms": "86400000"})])
    equal(0, answer.topic_errors[0][1], "error code of the creation")
    answer = await admin.create_topics([NewTopic(name, 2, 1)])
    equal(36, answer.topic_errors[0][1], "error code of the second creation")
    await admin.create_partitions({name: NewPartitions(5)})

    async def five():
        return len((await admin.describe_topics([name]))[0]["partitions"]) == 5

    await until("five partitions", five)
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    assert "86400000" in str(await admin.describe_configs([resource])), "config at creation"
    await admin.delete_topics([name])

    async def gone():
        return name not in await admin.list_topics()

    await until("deleted", gone)


async def delete_records(admin):
    partition = TopicPartition(f"trimmed-{NAME}", 0)
    async with producer() as sender:
        for _ in range(10):
            await sender.send_and_wait(partition.topic, b"d", partition=0)
    equal({partition: 4}, await admin.delete_records({partition: RecordsToDelete(before_offset=4)}), "low watermark")


async def groups(admin):
    group = f"resume-{NAME}"
    assert group in str(await admin.list_consumer_groups()), "not listed"
    offsets = await admin.list_consumer_group_offsets(group)
    equal(100, offsets[TopicPartition(f"resume-{NAME}", 0)].offset, "committed")
    assert "Empty" in str(await admin.describe_consumer_groups([group])), "state"


async def cluster(admin):
    described = await admin.describe_cluster()
    equal([BOOTSTRAP], [f"{b['host']}:{b['port']}" for b in described["brokers"]], "brokers")


async def suite():
    checks = corpus.Checks()
    for name in corpus.CODECS:
        await checks.that_async(f"codec {name}", lambda: codec(name))
        await checks.that_async(f"reads java's {name}", lambda: java_corpus(name))
    await checks.that_async("1 MB record", megabyte)
    await checks.that_async("idempotent producer", idempotence)
    await checks.that_async("commit and resume", resume)
    await checks.that_async("beginning, end, offsets for times", lookups)
    await checks.that_async("admin: topics, partitions, configs", lambda: with_admin(topics))
    await checks.that_async("admin: delete records", lambda: with_admin(delete_records))
    await checks.that_async("admin: describe cluster", lambda: with_admin(cluster))
    await checks.that_async("admin: groups", lambda: with_admin(groups))
    checks.end()


class Told(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        print("assigned", ",".join(str(p.partition) for p in assigned), flush=True)


async def member(group, topic):
    async with consumer(group_id=group, enable_auto_commit=True, auto_commit_interval_ms=200) as reader:
        reader.subscribe([topic], listener=Told())
        async for r in reader:
            print("got", r.partition, r.offset, r.value.decode(), flush=True)


asyncio.run(suite() if sys.argv[1] == "suite" else member(sys.argv[3], sys.argv[4]))

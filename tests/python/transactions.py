"""Transactions with three libraries: confluent-kafka|kafka-python|aiokafka BOOTSTRAP.

The topics `txn-LIBRARY-in` and `txn-LIBRARY-out` are there and have one partition each.
"""

import asyncio
import sys
import time

import corpus
from corpus import equal, until

LIBRARY, BOOTSTRAP = sys.argv[1:3]
INPUT = f"txn-{LIBRARY}-in"
OUTPUT = f"txn-{LIBRARY}-out"
GROUP = f"txn-{LIBRARY}"
KEPT = [b"kept-%d" % i for i in range(5)] + [b"more-%d" % i for i in range(5)]
ALL = KEPT[:5] + [b"never-%d" % i for i in range(5)] + KEPT[5:]


class Confluent:
    """librdkafka through confluent-kafka."""

    def __init__(self):
        import confluent_kafka
        self.lib = confluent_kafka

    def producer(self, transactional_id):
        sender = self.lib.Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": transactional_id,
                                    "message.timeout.ms": 30000})
        sender.init_transactions(30)
        return sender

    def plain(self):
        return self.lib.Producer({"bootstrap.servers": BOOTSTRAP})

    def begin(self, sender):
        sender.begin_transaction()

    def send(self, sender, topic, values):
        for value in values:
            sender.produce(topic, value=value, partition=0)
        until("deliveries", lambda: sender.flush(1) == 0)

    def commit(self, sender):
        sender.commit_transaction(30)

    def abort(self, sender):
        sender.abort_transaction(30)

    def consumer(self, isolation, group=None):
        return self.lib.Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group or "unused",
                                  "auto.offset.reset": "earliest", "enable.auto.commit": False,
                                  "session.timeout.ms": 6000, "isolation.level": isolation})

    def read(self, topic, isolation, count):
        reader = self.consumer(isolation)
        reader.assign([self.lib.TopicPartition(topic, 0, 0)])
        values = self.poll(reader, count)
        reader.close()
        return values

    def poll(self, reader, count):
        found = []

        def more():
            message = reader.poll(0.2)
            if message is not None and not message.error():
                found.append(message.value())
            return len(found) >= count

        until(f"{count} records", more)
        return found

    def subscribe(self, reader, topic):
        reader.subscribe([topic])

    def send_offset(self, sender, reader, topic, offset):
        position = self.lib.TopicPartition(topic, 0, offset)
        sender.send_offsets_to_transaction([position], reader.consumer_group_metadata(), 30)

    def committed(self, reader, topic):
        found = reader.committed([self.lib.TopicPartition(topic, 0)], timeout=30)[0].offset
        return None if found < 0 else found

    def close(self, *clients):
        for client in clients:
            if isinstance(client, self.lib.Consumer):
                client.close()


class KafkaPython:
    """kafka-python."""

    def __init__(self):
        import kafka
        from kafka.structs import OffsetAndMetadata
        self.lib = kafka
        self.offset_and_metadata = OffsetAndMetadata

    def producer(self, transactional_id):
        sender = self.lib.KafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=transactional_id)
        sender.init_transactions()
        return sender

    def plain(self):
        return self.lib.KafkaProducer(bootstrap_servers=BOOTSTRAP)

    def begin(self, sender):
        sender.begin_transaction()

    def send(self, sender, topic, values):
        sent = [sender.send(topic, value, partition=0) for value in values]
        sender.flush()
        for future in sent:
            future.get(timeout=30)

    def commit(self, sender):
        sender.commit_transaction()

    def abort(self, sender):
        sender.abort_transaction()

    def consumer(self, isolation, group=None):
        return self.lib.KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=group, isolation_level=isolation,
                                      auto_offset_reset="earliest", enable_auto_commit=False,
                                      session_timeout_ms=6000, heartbeat_interval_ms=500)

    def read(self, topic, isolation, count):
        reader = self.consumer(isolation)
        partition = self.lib.TopicPartition(topic, 0)
        reader.assign([partition])
        reader.seek_to_beginning(partition)
        values = self.poll(reader, count)
        reader.close()
        return values

    def poll(self, reader, count):
        found = []

        def more():
            for records in reader.poll(timeout_ms=200).values():
                found.extend(record.value for record in records)
            return len(found) >= count

        until(f"{count} records", more)
        return found

    def subscribe(self, reader, topic):
        reader.subscribe([topic])

    def send_offset(self, sender, reader, topic, offset):
        offsets = {self.lib.TopicPartition(topic, 0): self.offset_and_metadata(offset, "", -1)}
        sender.send_offsets_to_transaction(offsets, reader.group_metadata())

    def committed(self, reader, topic):
        return reader.committed(self.lib.TopicPartition(topic, 0))

    def close(self, *clients):
        for client in clients:
            client.close()


def visibility(lib):
    sender = lib.producer(f"{GROUP}-visible")
    for values, good in ((ALL[:5], True), (ALL[5:10], False), (ALL[10:], True)):
        lib.begin(sender)
        lib.send(sender, OUTPUT, values)
        lib.commit(sender) if good else lib.abort(sender)
    equal(KEPT, lib.read(OUTPUT, "read_committed", 10), "read_committed")
    equal(ALL, lib.read(OUTPUT, "read_uncommitted", 15), "read_uncommitted")
    lib.close(sender)


def offsets(lib):
    plain = lib.plain()
    lib.send(plain, INPUT, [b"i%d" % i for i in range(10)])
    sender = lib.producer(f"{GROUP}-offsets")
    reader = lib.consumer("read_committed", GROUP)
    lib.subscribe(reader, INPUT)
    equal(10, len(lib.poll(reader, 10)), "records")
    lib.begin(sender)
    lib.send_offset(sender, reader, INPUT, 4)
    lib.abort(sender)
    equal(None, lib.committed(reader, INPUT), "committed after the abort")
    lib.begin(sender)
    lib.send_offset(sender, reader, INPUT, 10)
    lib.commit(sender)
    until("the committed offset", lambda: lib.committed(reader, INPUT) == 10)
    lib.close(plain, sender, reader)


def fencing(lib):
    older = lib.producer(f"{GROUP}-fenced")
    lib.begin(older)
    newer = lib.producer(f"{GROUP}-fenced")
    try:
        lib.send(older, OUTPUT, [b"never"])
        lib.commit(older)
    except Exception as error:  # Each library has its own.
        print(f"fenced: {type(error).__name__}: {error}", flush=True)
    else:
        raise AssertionError("the older producer was not fenced")
    lib.begin(newer)
    lib.send(newer, OUTPUT, [b"last"])
    lib.commit(newer)
    equal(KEPT + [b"last"], lib.read(OUTPUT, "read_committed", 11), "read_committed")
    lib.close(newer)


async def aio_read(isolation, count):
    from aiokafka import AIOKafkaConsumer, TopicPartition
    partition = TopicPartition(OUTPUT, 0)
    async with AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, isolation_level=isolation,
                                enable_auto_commit=False) as reader:
        reader.assign([partition])
        await reader.seek_to_beginning(partition)
        return await aio_poll(reader, count)


async def aio_poll(reader, count):
    found = []
    end = time.monotonic() + corpus.DEADLINE
    while len(found) < count:
        assert time.monotonic() < end, f"only {len(found)} of {count} records"
        for records in (await reader.getmany(timeout_ms=200)).values():
            found.extend(record.value for record in records)
    return found


async def aio_visibility():
    from aiokafka import AIOKafkaProducer
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=f"{GROUP}-visible") as sender:
        for values, good in ((ALL[:5], True), (ALL[5:10], False), (ALL[10:], True)):
            await sender.begin_transaction()
            for value in values:
                await sender.send_and_wait(OUTPUT, value, partition=0)
            await (sender.commit_transaction() if good else sender.abort_transaction())
    equal(KEPT, await aio_read("read_committed", 10), "read_committed")
    equal(ALL, await aio_read("read_uncommitted", 15), "read_uncommitted")


async def aio_offsets():
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
    partition = TopicPartition(INPUT, 0)
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP) as plain:
        for i in range(10):
            await plain.send_and_wait(INPUT, b"i%d" % i, partition=0)
    async with AIOKafkaConsumer(INPUT, bootstrap_servers=BOOTSTRAP, group_id=GROUP, enable_auto_commit=False,
                                auto_offset_reset="earliest", isolation_level="read_committed") as reader, \
            AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=f"{GROUP}-offsets") as sender:
        equal(10, len(await aio_poll(reader, 10)), "records")
        await sender.begin_transaction()
        await sender.send_offsets_to_transaction({partition: 4}, GROUP)
        await sender.abort_transaction()
        equal(None, await reader.committed(partition), "committed after the abort")
        await sender.begin_transaction()
        await sender.send_offsets_to_transaction({partition: 10}, GROUP)
        await sender.commit_transaction()
        end = time.monotonic() + corpus.DEADLINE
        while await reader.committed(partition) != 10:
            assert time.monotonic() < end, "the committed offset does not come"


async def aio_suite(checks):
    await checks.that_async("committed is seen, aborted is not", aio_visibility)
    await checks.that_async("offsets with a transaction", aio_offsets)


def suite():
    checks = corpus.Checks()
    if LIBRARY == "aiokafka":
        asyncio.run(aio_suite(checks))
    else:
        lib = Confluent() if LIBRARY == "confluent-kafka" else KafkaPython()
        checks.that("committed is seen, aborted is not", lambda: visibility(lib))
        checks.that("offsets with a transaction", lambda: offsets(lib))
        checks.that("a newer producer fences the older one", lambda: fencing(lib))
    checks.end()


suite()

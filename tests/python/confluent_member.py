"""librdkafka: one member of a group of either protocol, until its input ends.

BOOTSTRAP GROUP TOPIC classic|consumer; prints `assigned 0,1` and `got PARTITION OFFSET VALUE`.
"""

import sys
import threading

from confluent_kafka import Consumer

BOOTSTRAP, GROUP, TOPIC, PROTOCOL = sys.argv[1:5]
stop = threading.Event()


def until_input_ends():
    sys.stdin.read()
    stop.set()


def consumer():
    config = {"bootstrap.servers": BOOTSTRAP, "group.id": GROUP, "group.protocol": PROTOCOL,
              "auto.offset.reset": "earliest", "enable.auto.commit": True, "auto.commit.interval.ms": 200,
              "reconnect.backoff.max.ms": 200}
    if PROTOCOL == "classic":
        # The consumer protocol leaves both to the server.
        config.update({"session.timeout.ms": 6000, "heartbeat.interval.ms": 500})
    return Consumer(config)


def main():
    threading.Thread(target=until_input_ends, daemon=True).start()
    reader = consumer()
    told = None
    reader.subscribe([TOPIC])
    while not stop.is_set():
        message = reader.poll(0.1)
        if message is not None and not message.error():
            print("got", message.partition(), message.offset(), message.value().decode(), flush=True)
        now = ",".join(str(number) for number in sorted(p.partition for p in reader.assignment()))
        if now != told:
            print("assigned", now, flush=True)
            told = now
    reader.close()


main()

"""A worker of the queue: a member of the share group `envios`. python3 trabajador.py NAME"""

import json
import os
import signal
import sys
import time

from confluent_kafka import AcknowledgeType, KafkaException, ShareConsumer

QUEUE = "envios"
WORK_SECONDS = 0.05


def ship(order):
    """The work: fails for orders without an address."""
    time.sleep(WORK_SECONDS)
    return f"parcel for {order['customer']} to {order['address']}"


def work(consumer, message):
    """Does one order and says what becomes of it: the other workers never see one that is accepted."""
    order = json.loads(message.value())
    where = f"{message.partition()} {message.offset()} {order['order']} {message.delivery_count()}"
    try:
        done = ship(order)
    except KeyError as missing:
        # Somebody may try again, until the group has tried as often as it is configured to.
        consumer.acknowledge(message, AcknowledgeType.RELEASE)
        print(f"failed {where} no {missing}")
    else:
        consumer.acknowledge(message, AcknowledgeType.ACCEPT)
        print(f"done {where} {done}")


def receive(consumer):
    """The orders that this worker has now, which nobody else has; maybe none."""
    try:
        return consumer.poll(timeout=0.2)
    except KafkaException as error:
        if error.args[0].fatal():
            raise
        print(f"not yet: {error}", file=sys.stderr)
        return []


def main():
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    consumer = ShareConsumer({
        "bootstrap.servers": os.environ.get("BOOTSTRAP", "127.0.0.1:9092"),
        "client.id": sys.argv[1],
        "group.id": QUEUE,
        "share.acknowledgement.mode": "explicit",
    })
    consumer.subscribe([QUEUE])
    print("ready")
    while not stopped:
        count = 0
        for message in receive(consumer):
            count += 1
            if message.error():
                consumer.acknowledge(message, AcknowledgeType.RELEASE)
                print(f"error {message.error()}", file=sys.stderr)
            else:
                work(consumer, message)
        if count:
            # Sent now rather than with the next poll, so that nobody else gets these when we end here.
            for partition, error in consumer.commit_sync(timeout=10.0).items():
                if error is not None:
                    print(f"{partition}: {error}", file=sys.stderr)
    consumer.close()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    main()

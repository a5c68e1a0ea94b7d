"""The records that every client of the tests writes and reads; the same rule in each language."""

import os
import sys
import time
import traceback

COUNT = 60
FIRST_TIMESTAMP = 1_700_000_000_000
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
DEADLINE = 40.0


def key(i):
    return None if i % 7 == 3 else b"k-%d" % i


def value(i):
    return None if i % 11 == 7 else b"v-%d-" % i + b"abc" * (i % 50)


def headers(i):
    found = []
    if i % 3 == 0:
        found += [("n", b"%d" % i), ("kind", b"x")]
    if i % 9 == 0:
        found.append(("bin", bytes([0, 255, i])))
    return found


def verify(records, timestamps=True):
    """Records are (offset, key, value, headers, timestamp)."""
    equal(COUNT, len(records), "number of records")
    for i, record in enumerate(records):
        expected = (i, key(i), value(i), headers(i), FIRST_TIMESTAMP + i)
        size = 5 if timestamps else 4
        equal(expected[:size], tuple(record)[:size], f"record {i}")


def megabyte():
    return bytes((i * 31 + i // 977) % 256 for i in range(1_000_000))


def equal(expected, seen, what):
    if expected != seen:
        raise AssertionError(f"{what}: expected {str(expected)[:200]} but saw {str(seen)[:200]}")


def until(what, ready, deadline=DEADLINE):
    """Calls ready until it returns something true."""
    end = time.monotonic() + deadline
    while True:
        result = ready()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")


class Checks:
    """Named checks: one line each, `ok NAME` or `not ok NAME: why`."""

    def __init__(self):
        self.failed = 0
        self.only = os.environ.get("ONLY", "")

    def wanted(self, name):
        return self.only in name

    def passed(self, name):
        print(f"ok {name}", flush=True)

    def did_fail(self, name, error):
        self.failed += 1
        where = traceback.extract_tb(error.__traceback__)
        mine = [f for f in where if os.path.dirname(f.filename) == os.path.dirname(__file__)]
        line = f" (line {mine[-1].lineno} of {os.path.basename(mine[-1].filename)})" if mine else ""
        text = str(error).replace("\n", " ")
        print(f"not ok {name}: {type(error).__name__}: {text}{line}", flush=True)

    def that(self, name, body):
        if not self.wanted(name):
            return
        try:
            body()
            self.passed(name)
        except Exception as error:
            self.did_fail(name, error)

    async def that_async(self, name, body, deadline=90):
        import asyncio

        if not self.wanted(name):
            return
        try:
            await asyncio.wait_for(body(), deadline)
            self.passed(name)
        except Exception as error:
            self.did_fail(name, error)

    def end(self):
        sys.stdout.flush()
        os._exit(1 if self.failed else 0)

// The records that every client of the tests writes and reads; the same rule in each language.
'use strict';

const assert = require('node:assert');

const COUNT = 60;
const FIRST_TIMESTAMP = 1700000000000;
const DEADLINE_MS = 40000;

const key = (i) => (i % 7 === 3 ? null : Buffer.from(`k-${i}`));
const value = (i) => (i % 11 === 7 ? null : Buffer.from(`v-${i}-${'abc'.repeat(i % 50)}`));

function headers(i) {
  const found = {};
  if (i % 3 === 0) {
    found.n = Buffer.from(String(i));
    found.kind = Buffer.from('x');
  }
  if (i % 9 === 0) found.bin = Buffer.from([0, 255, i]);
  return found;
}

const messages = () =>
  Array.from({ length: COUNT }, (_, i) => ({
    key: key(i),
    value: value(i),
    headers: headers(i),
    timestamp: String(FIRST_TIMESTAMP + i),
    partition: 0,
  }));

function same(expected, seen, what) {
  if (expected === null) return assert.strictEqual(seen ?? null, null, what);
  assert.ok(seen && Buffer.compare(expected, Buffer.from(seen)) === 0, `${what}: ${seen}`);
}

function verify(records) {
  assert.strictEqual(records.length, COUNT, 'number of records');
  records.forEach((record, i) => {
    assert.strictEqual(String(record.offset), String(i), `offset of record ${i}`);
    same(key(i), record.key, `key of record ${i}`);
    same(value(i), record.value, `value of record ${i}`);
    assert.strictEqual(String(record.timestamp), String(FIRST_TIMESTAMP + i), `timestamp of record ${i}`);
    const expected = headers(i);
    assert.deepStrictEqual(Object.keys(record.headers ?? {}).sort(), Object.keys(expected).sort(), `headers of ${i}`);
    for (const name of Object.keys(expected)) same(expected[name], record.headers[name], `header ${name} of ${i}`);
  });
}

function megabyte() {
  const bytes = Buffer.alloc(1000000);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31 + Math.floor(i / 977)) % 256;
  return bytes;
}

async function until(what, ready, deadline = DEADLINE_MS) {
  const end = Date.now() + deadline;
  for (;;) {
    const result = await ready();
    if (result) return result;
    if (Date.now() > end) throw new Error(`not within ${deadline} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

class Checks {
  constructor() {
    this.failed = 0;
    this.only = process.env.ONLY ?? '';
  }

  async that(name, body, deadline = 90000) {
    if (!name.includes(this.only)) return;
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not within ${deadline} ms`)), deadline);
    });
    try {
      await Promise.race([body(), late]);
      console.log(`ok ${name}`);
    } catch (error) {
      this.failed++;
      const frame = String(error.stack).split('\n').find((line) => /(kafkajs|confluent|corpus)\.js/.test(line)) ?? '';
      console.log(`not ok ${name}: ${String(error.message).replaceAll('\n', ' ').slice(0, 500)} ${frame.trim()}`);
    } finally {
      clearTimeout(timer);
    }
  }

  end() {
    process.exit(this.failed ? 1 : 0);
  }
}

module.exports = { COUNT, FIRST_TIMESTAMP, Checks, megabyte, messages, until, verify };

// Transactions with kafkajs and @confluentinc/kafka-javascript: kafkajs|confluent-javascript BOOTSTRAP
//
// The topics `txn-LIBRARY-in` and `txn-LIBRARY-out` are there and have one partition each.
'use strict';

const assert = require('node:assert');
const corpus = require('./corpus.js');

const [library, bootstrap] = process.argv.slice(2);
const input = `txn-${library}-in`;
const output = `txn-${library}-out`;
const group = `txn-${library}`;
const kept = [...names('kept'), ...names('more')];

function names(word) {
  return Array.from({ length: 5 }, (_, i) => `${word}-${i}`);
}

/** What is written differently in the two libraries. */
const libraries = {
  kafkajs: () => {
    const { Kafka, logLevel } = require('kafkajs');
    const kafka = new Kafka({ clientId: 'tests', brokers: [bootstrap], logLevel: logLevel.NOTHING });
    return {
      producer: (transactionalId) => kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 }),
      plain: () => kafka.producer(),
      consumer: (groupId, readUncommitted = false) =>
        kafka.consumer({ groupId, readUncommitted, sessionTimeout: 6000, heartbeatInterval: 500 }),
      subscription: (topic) => ({ topic, fromBeginning: true }),
      run: (options) => ({ ...options, autoCommit: false }),
      offsets: (consumer, topics) => ({ consumerGroupId: group, topics }),
      committed: async () => committed(kafka),
    };
  },
  'confluent-javascript': () => {
    const { Kafka, logLevel } = require('@confluentinc/kafka-javascript').KafkaJS;
    const kafka = new Kafka({ kafkaJS: { clientId: 'tests', brokers: [bootstrap], logLevel: logLevel.NOTHING } });
    return {
      producer: (transactionalId) => kafka.producer({ kafkaJS: { transactionalId, idempotent: true } }),
      plain: () => kafka.producer({ kafkaJS: {} }),
      consumer: (groupId, readUncommitted = false) =>
        kafka.consumer({
          kafkaJS: {
            groupId,
            readUncommitted,
            fromBeginning: true,
            autoCommit: false,
            sessionTimeout: 6000,
            heartbeatInterval: 500,
          },
        }),
      subscription: (topic) => ({ topic }),
      run: (options) => options,
      offsets: (consumer, topics) => ({ consumer, topics }),
      committed: async () => committed(kafka),
    };
  },
};

/** The group's offset for the input, or null. */
async function committed(kafka) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const found = await admin.fetchOffsets({ groupId: group, topics: [input] });
    const offset = Number(found[0]?.partitions[0]?.offset ?? -1);
    return offset < 0 ? null : offset;
  } finally {
    await admin.disconnect();
  }
}

const lib = libraries[library]();

async function transaction(producer, values, good) {
  const under = await producer.transaction();
  await under.send({ topic: output, messages: values.map((value) => ({ value, partition: 0 })) });
  await (good ? under.commit() : under.abort());
}

async function read(readUncommitted, count) {
  const consumer = lib.consumer(`reader-${library}-${readUncommitted}-${count}`, readUncommitted);
  const found = [];
  await consumer.connect();
  try {
    await consumer.subscribe(lib.subscription(output));
    await consumer.run(lib.run({ eachMessage: async ({ message }) => found.push(String(message.value)) }));
    await corpus.until(`${count} records`, () => found.length >= count);
    return found;
  } finally {
    await consumer.disconnect();
  }
}

async function visibility() {
  const producer = lib.producer(`${group}-visible`);
  await producer.connect();
  await transaction(producer, names('kept'), true);
  await transaction(producer, names('never'), false);
  await transaction(producer, names('more'), true);
  await producer.disconnect();
  assert.deepStrictEqual(await read(false, 10), kept, 'read_committed');
  const all = [...names('kept'), ...names('never'), ...names('more')];
  assert.deepStrictEqual(await read(true, 15), all, 'read_uncommitted');
}

async function offsets() {
  const plain = lib.plain();
  await plain.connect();
  const messages = Array.from({ length: 10 }, (_, i) => ({ value: `i${i}`, partition: 0 }));
  await plain.send({ topic: input, messages });
  await plain.disconnect();
  const producer = lib.producer(`${group}-offsets`);
  const consumer = lib.consumer(group);
  let seen = 0;
  await producer.connect();
  await consumer.connect();
  try {
    await consumer.subscribe(lib.subscription(input));
    await consumer.run(lib.run({ eachMessage: async () => { seen++; } }));
    await corpus.until('the input', () => seen === 10);
    for (const [offset, good] of [['4', false], ['10', true]]) {
      const under = await producer.transaction();
      const topics = [{ topic: input, partitions: [{ partition: 0, offset }] }];
      await under.sendOffsets(lib.offsets(consumer, topics));
      await (good ? under.commit() : under.abort());
      if (!good) assert.strictEqual(await lib.committed(), null, 'committed after the abort');
    }
    await corpus.until('the committed offset', async () => (await lib.committed()) === 10);
  } finally {
    await consumer.disconnect();
    await producer.disconnect();
  }
}

async function suite() {
  const checks = new corpus.Checks();
  await checks.that('committed is seen, aborted is not', visibility);
  await checks.that('offsets with a transaction', offsets);
  checks.end();
}

suite();

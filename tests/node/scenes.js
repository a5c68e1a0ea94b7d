// What kafkajs and @confluentinc/kafka-javascript (whose API is the same) both have to show.
'use strict';

const assert = require('node:assert');
const corpus = require('./corpus.js');

const { until } = corpus;

class Scenes {
  /** `library` makes clients: {kafka, producer(more), consumer(group, more), codecs, types}. */
  constructor(name, library) {
    this.name = name;
    this.library = library;
    this.groups = 0;
  }

  async send(topic, messages, more = {}) {
    const producer = this.library.producer(more);
    await producer.connect();
    try {
      return await producer.send(this.library.request({ topic, messages }, more));
    } finally {
      await producer.disconnect();
    }
  }

  /** Reads partition 0 of a topic from its start. */
  async read(topic, count, group = `reader-${this.name}-${this.groups++}`) {
    const consumer = this.library.consumer(group);
    const found = [];
    await consumer.connect();
    try {
      await consumer.subscribe(this.library.subscription(topic));
      await consumer.run({
        eachMessage: async ({ message, partition }) => {
          found.push({ ...message, partition });
        },
      });
      await until(`${count} records of ${topic}`, () => found.length >= count);
      return found;
    } finally {
      await consumer.disconnect();
    }
  }

  async withAdmin(body) {
    const admin = this.library.kafka.admin();
    await admin.connect();
    try {
      await body(admin);
    } finally {
      await admin.disconnect();
    }
  }

  async create(topic, numPartitions = 1) {
    await this.withAdmin((admin) => admin.createTopics({ topics: [{ topic, numPartitions }] }));
  }

  async codec(codec) {
    const topic = `corpus-${this.name}-${codec}`;
    await this.create(topic);
    await this.send(topic, corpus.messages(), { codec });
    corpus.verify(await this.read(topic, corpus.COUNT));
  }

  async javaCorpus(codec) {
    const topic = `corpus-java-${codec}`;
    let present = false;
    await this.withAdmin(async (admin) => {
      present = (await admin.listTopics()).includes(topic);
    });
    if (present) corpus.verify(await this.read(topic, corpus.COUNT));
  }

  async megabyte() {
    const topic = `big-${this.name}`;
    await this.create(topic);
    await this.send(topic, [{ value: corpus.megabyte() }]);
    const [record] = await this.read(topic, 1);
    assert.ok(record.value.equals(corpus.megabyte()), 'the megabyte');
  }

  async idempotence() {
    const topic = `idempotent-${this.name}`;
    await this.create(topic);
    const producer = this.library.producer({ idempotent: true });
    await producer.connect();
    for (let batch = 0; batch < 20; batch++) {
      const messages = Array.from({ length: 20 }, (_, i) => ({ value: `i${batch * 20 + i}`, partition: 0 }));
      await producer.send(this.library.request({ topic, messages }, { idempotent: true }));
    }
    await producer.disconnect();
    const values = (await this.read(topic, 400)).map((record) => String(record.value));
    assert.deepStrictEqual(values, Array.from({ length: 400 }, (_, i) => `i${i}`));
  }

  async resume() {
    const topic = `resume-${this.name}`;
    const group = `resume-${this.name}`;
    await this.create(topic, 2);
    const batch = (word) => Array.from({ length: 50 }, (_, i) => ({ value: `${word}${i}`, partition: i % 2 }));
    for (const word of ['first', 'second']) {
      await this.send(topic, batch(word));
      const values = (await this.read(topic, 50, group)).map((record) => String(record.value)).sort();
      assert.deepStrictEqual(values, batch(word).map((message) => message.value).sort());
    }
  }

  async topics() {
    const topic = `admin-${this.name}`;
    await this.withAdmin(async (admin) => {
      assert.strictEqual(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] }), true);
      assert.strictEqual(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] }), false, 'created twice');
      if (admin.createPartitions && this.library.createsPartitions) {
        await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
        await until('five partitions', async () => {
          const metadata = await admin.fetchTopicMetadata({ topics: [topic] });
          return metadata.topics[0].partitions.length === 5;
        });
      }
      await admin.deleteTopics({ topics: [topic] });
      await until('topic deleted', async () => !(await admin.listTopics()).includes(topic));
    });
  }

  async offsets() {
    const topic = `corpus-${this.name}-none`;
    await this.withAdmin(async (admin) => {
      const [offsets] = await admin.fetchTopicOffsets(topic);
      assert.strictEqual(String(offsets.high), '60');
      assert.strictEqual(String(offsets.low), '0');
      const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, corpus.FIRST_TIMESTAMP + 7);
      assert.strictEqual(String(found.offset), '7');
    });
  }

  async deleteRecords() {
    const topic = `trimmed-${this.name}`;
    await this.create(topic);
    await this.send(topic, Array.from({ length: 10 }, () => ({ value: 'd' })));
    await this.withAdmin(async (admin) => {
      await admin.fetchTopicOffsets(topic); // kafkajs deletes only from topics it has looked at
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] });
      const [offsets] = await admin.fetchTopicOffsets(topic);
      assert.strictEqual(String(offsets.low), '4');
    });
  }

  async groupAdmin() {
    const group = `resume-${this.name}`;
    await this.withAdmin(async (admin) => {
      const listed = (await admin.listGroups()).groups.map((g) => g.groupId);
      assert.ok(listed.includes(group), 'listed');
      const [described] = (await admin.describeGroups([group])).groups;
      assert.strictEqual(described.members.length, 0, 'members');
      const [committed] = await admin.fetchOffsets({ groupId: group, topics: [`resume-${this.name}`] });
      const total = committed.partitions.reduce((sum, p) => sum + Number(p.offset), 0);
      assert.strictEqual(total, 100, 'committed');
      await admin.deleteGroups([group]);
      const left = (await admin.listGroups()).groups.map((g) => g.groupId);
      assert.ok(!left.includes(group), 'deleted');
    });
  }

  async member(group, topic) {
    const consumer = this.library.consumer(group, { told: (text) => console.log(text) });
    await consumer.connect();
    await consumer.subscribe(this.library.subscription(topic));
    await consumer.run(
      this.library.run({
        eachMessage: async ({ partition, message }) => console.log(`got ${partition} ${message.offset} ${message.value}`),
      }),
    );
    this.library.afterRun?.(consumer, (text) => console.log(text));
  }
}

/** Runs `suite BOOTSTRAP` or `member BOOTSTRAP GROUP TOPIC`. */
async function main(name, library) {
  const scenes = new Scenes(name, library);
  if (process.argv[2] === 'member') {
    return scenes.member(process.argv[4], process.argv[5]);
  }
  const checks = new corpus.Checks();
  for (const codec of library.codecs) {
    await checks.that(`codec ${codec}`, () => scenes.codec(codec));
    await checks.that(`reads java's ${codec}`, () => scenes.javaCorpus(codec));
  }
  await checks.that('1 MB record', () => scenes.megabyte());
  await checks.that('idempotent producer', () => scenes.idempotence());
  await checks.that('commit and resume', () => scenes.resume());
  await checks.that('admin: topics and partitions', () => scenes.topics());
  await checks.that('admin: offsets', () => scenes.offsets());
  await checks.that('admin: delete records', () => scenes.deleteRecords());
  await checks.that('admin: groups', () => scenes.groupAdmin());
  for (const [title, body] of Object.entries(library.more ?? {})) await checks.that(title, () => body(scenes));
  checks.end();
}

module.exports = { main };

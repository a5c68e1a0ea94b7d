// kafkajs: suite BOOTSTRAP | member BOOTSTRAP GROUP TOPIC
'use strict';

const assert = require('node:assert');
const { CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs');
const { until } = require('./corpus.js');
const { main } = require('./scenes.js');

const bootstrap = process.argv[3];
const kafka = new Kafka({ clientId: 'tests', brokers: [bootstrap], logLevel: logLevel.NOTHING, requestTimeout: 20000 });
const types = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP };

async function configs(scenes) {
  const name = 'configured-kafkajs';
  await scenes.create(name);
  await scenes.withAdmin(async (admin) => {
    const resource = { type: ConfigResourceTypes.TOPIC, name };
    const configEntries = [{ name: 'retention.ms', value: '86400000' }];
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] });
    await until('altered', async () => {
      const answer = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
      const entry = answer.resources[0].configEntries.find((e) => e.configName === 'retention.ms');
      return entry.configValue === '86400000';
    });
  });
}

async function cluster(scenes) {
  await scenes.withAdmin(async (admin) => {
    const described = await admin.describeCluster();
    assert.deepStrictEqual(described.brokers.map((b) => `${b.host}:${b.port}`), [bootstrap]);
    assert.strictEqual(described.clusterId.length, 22);
  });
}

main('kafkajs', {
  kafka,
  codecs: Object.keys(types),
  createsPartitions: true,
  producer: (more) => kafka.producer({ idempotent: more.idempotent ?? false }),
  request: (send, more) => ({ ...send, acks: -1, compression: types[more.codec ?? 'none'] }),
  consumer: (groupId, more = {}) => {
    const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500 });
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      const partitions = Object.values(payload.memberAssignment).flat();
      more.told?.(`assigned ${partitions.join(',')}`);
    });
    return consumer;
  },
  subscription: (topic) => ({ topic, fromBeginning: true }),
  run: (options) => ({ ...options, autoCommitInterval: 200 }),
  more: { 'admin: topic configs': configs, 'admin: describe cluster': cluster },
});

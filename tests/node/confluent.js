// @confluentinc/kafka-javascript: suite BOOTSTRAP | member BOOTSTRAP GROUP TOPIC
'use strict';

const { Kafka, logLevel } = require('@confluentinc/kafka-javascript').KafkaJS;
const { main } = require('./scenes.js');

const bootstrap = process.argv[3];
const kafka = new Kafka({ kafkaJS: { clientId: 'tests', brokers: [bootstrap], logLevel: logLevel.NOTHING } });

main('confluent-javascript', {
  kafka,
  codecs: ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
  createsPartitions: false,
  producer: (more) =>
    kafka.producer({
      kafkaJS: { idempotent: more.idempotent ?? false, compression: more.codec ?? 'none' },
      'message.max.bytes': 1048588,
    }),
  request: (send) => send,
  consumer: (groupId) =>
    kafka.consumer({
      kafkaJS: {
        groupId,
        fromBeginning: true,
        sessionTimeout: 6000,
        heartbeatInterval: 500,
        autoCommitInterval: 200,
      },
    }),
  subscription: (topic) => ({ topic }),
  run: (options) => options,
  afterRun: (consumer, told) => {
    let before = '';
    setInterval(() => {
      const now = consumer.assignment().map((p) => p.partition).sort().join(',');
      if (now !== before) told(`assigned ${now}`);
      before = now;
    }, 50);
  },
});

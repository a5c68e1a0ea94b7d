// A service: its own consumer group, so it receives every payment. node servicio.js NAME
'use strict';

const { TOPIC, kafka } = require('./cliente.js');

const work = {
  billing: (event) => `invoice for ${event.customer}: ${event.amount}`,
  inventory: (event) => `one ${event.product} less`,
  shipping: (event) => `parcel for ${event.customer}`,
  notifications: (event) => `thank you, ${event.customer}`,
  analysis: (event) => `${event.customer} likes ${event.product}`,
};

async function main() {
  const name = process.argv[2];
  const consumer = kafka(name).consumer({ groupId: name, sessionTimeout: 6000, heartbeatInterval: 500 });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    console.log(`assigned ${Object.values(payload.memberAssignment).flat().join(',')}`);
  });
  await consumer.connect();
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const event = JSON.parse(message.value);
      console.log(`event ${partition} ${message.offset} ${event.order} ${work[name](event)}`);
    },
  });
  process.once('SIGTERM', () => consumer.disconnect().then(() => process.exit(0)));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

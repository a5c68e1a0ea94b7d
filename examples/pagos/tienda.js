// The shop: publishes payments. node tienda.js FIRST COUNT
'use strict';

const { TOPIC, kafka, payment } = require('./cliente.js');

async function main() {
  const [first, count] = process.argv.slice(2).map(Number);
  const producer = kafka('tienda').producer();
  await producer.connect();
  for (let number = first; number < first + count; number++) {
    const event = payment(number);
    // The key keeps the payments of one customer in one partition, and so in order.
    await producer.send({ topic: TOPIC, messages: [{ key: event.customer, value: JSON.stringify(event) }] });
  }
  await producer.disconnect();
  console.log(`sent ${count}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

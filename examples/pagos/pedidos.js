// The orders to ship: puts them into the queue. node pedidos.js FIRST COUNT [losing]
'use strict';

const { kafka } = require('./cliente.js');
const { QUEUE, shipment } = require('./cola.js');

async function main() {
  const [first, count] = process.argv.slice(2, 4).map(Number);
  const losing = process.argv[4] === 'losing';
  const producer = kafka('pedidos').producer();
  await producer.connect();
  for (let number = first; number < first + count; number++) {
    // No key: in a queue it does not matter who does what, or in which order.
    const value = JSON.stringify(shipment(number, losing));
    await producer.send({ topic: QUEUE, messages: [{ value }] });
  }
  await producer.disconnect();
  console.log(`sent ${count}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

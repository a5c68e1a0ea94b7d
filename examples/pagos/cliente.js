// What every program of the shop shares: where the cluster is and what a payment looks like.
'use strict';

const { Kafka, logLevel } = require('kafkajs');

const TOPIC = 'pagos';
const PARTITIONS = 4;

function kafka(clientId) {
  const brokers = (process.env.BOOTSTRAP ?? '127.0.0.1:9092').split(',');
  return new Kafka({ clientId, brokers, logLevel: logLevel.ERROR });
}

/** One event of the topic: somebody paid an order. */
function payment(number) {
  const products = ['café', 'yerba', 'pão de queijo', 'alfajor'];
  return {
    order: `order-${number}`,
    customer: `customer-${number % 7}`,
    product: products[number % products.length],
    amount: 100 + number,
  };
}

module.exports = { PARTITIONS, TOPIC, kafka, payment };

// What every program of the queue shares: its names and what an order to ship looks like.
'use strict';

const QUEUE = 'envios';
// Brokers take only names that begin like this (errors.deadletterqueue.topic.name.prefix).
const DEAD_LETTERS = 'dlq.envios';
const PARTITIONS = 2;
const WORKERS = 5;
const ATTEMPTS = 3;

/** Whose address gets lost, when addresses get lost. */
const isLost = (number) => number % 5 === 0;

/** An order to ship. Without an address nobody can, however often it is tried. */
function shipment(number, losing = false) {
  const cities = ['Buenos Aires', 'Montevideo', 'São Paulo', 'Porto Alegre'];
  const order = { order: `order-${number}`, customer: `customer-${number % 7}` };
  if (losing && isLost(number)) return order;
  return { ...order, address: `Calle ${number}, ${cities[number % cities.length]}` };
}

module.exports = { ATTEMPTS, DEAD_LETTERS, PARTITIONS, QUEUE, WORKERS, isLost, shipment };

// The whole story in one command: node run.js. BOOTSTRAP names a running cluster; without it
// `ottla server` is started on a fresh folder. Every step is checked.
'use strict';

const assert = require('node:assert');
const { PARTITIONS, TOPIC, kafka, payment } = require('./cliente.js');
const { Program, cluster, play, until } = require('./escena.js');

const here = { cwd: __dirname };

/** An instance of a service, which tells what it was given and what it saw. */
class Service extends Program {
  constructor(name) {
    super(name, process.execPath, ['servicio.js', name], here);
  }

  /** The partitions that this instance was told last. */
  assigned() {
    const last = this.lines.filter((line) => line.startsWith('assigned')).pop() ?? '';
    return last.split(' ')[1]?.split(',').filter(Boolean) ?? [];
  }

  /** The orders it has seen, with the partition of each. */
  events() {
    const events = this.lines.filter((line) => line.startsWith('event '));
    return events.map((line) => ({ partition: line.split(' ')[1], order: line.split(' ')[3] }));
  }
}

const service = (name) => new Service(name);

async function sell(first, count) {
  await new Program('tienda', process.execPath, ['tienda.js', first, count], here).success();
}

const orders = (count) => Array.from({ length: count }, (_, number) => payment(number).order).sort();
const seen = (...programs) => [...new Set(programs.flatMap((p) => p.events().map((e) => e.order)))].sort();

async function allSeen(count, ...programs) {
  const names = programs.map((program) => program.title).join(' and ');
  await until(`${names} to see ${count} payments`, () => seen(...programs).length >= count);
  assert.deepStrictEqual(seen(...programs), orders(count), `${names} saw other payments`);
}

async function story() {
  await cluster('pagos');
  const admin = kafka('admin').admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS }] });
  await admin.disconnect();

  const four = ['billing', 'inventory', 'shipping', 'notifications'].map(service);
  await until('four services in four groups', () => four.every((program) => program.assigned().length === PARTITIONS));
  await sell(0, 40);
  for (const program of four) await allSeen(40, program);
  console.log('ok each of the four services received each of 40 payments');

  const analysis = service('analysis');
  await allSeen(40, analysis);
  console.log('ok the analysis, added later, received all 40 from the beginning');

  const [billing] = four;
  const second = service('billing');
  await until('two instances of billing to share the partitions', () => {
    const both = [...billing.assigned(), ...second.assigned()];
    return second.assigned().length > 0 && both.length === PARTITIONS && new Set(both).size === PARTITIONS;
  });
  const shares = [billing, second].map((program) => [program, program.assigned(), program.events().length]);
  await sell(40, 40);
  await allSeen(80, billing, second);
  for (const [program, mine, before] of shares) {
    const fresh = program.events().slice(before);
    assert.ok(fresh.every((event) => mine.includes(event.partition)), 'an event of a partition of the other one');
  }
  for (const program of [...four.slice(1), analysis]) await allSeen(80, program);
  console.log('ok two instances of billing shared the partitions, every other service received everything');

  await billing.stop();
  await until('the second instance to take over', () => second.assigned().length === PARTITIONS);
  await sell(80, 20);
  await allSeen(100, billing, second);
  console.log('ok one instance stopped and the other took its partitions');
}

play(story);

// The whole story in one command: node run.js. BOOTSTRAP names a running cluster; without it
// `ottla server` is started on a fresh folder. Every step is checked.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { PARTITIONS, TOPIC, kafka, payment } = require('./cliente.js');

const DEADLINE_MS = 60000;
const children = [];

async function until(what, ready) {
  const end = Date.now() + DEADLINE_MS;
  for (;;) {
    const result = await ready();
    if (result) return result;
    if (Date.now() > end) throw new Error(`not within ${DEADLINE_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** A program of the shop and the lines it wrote. */
class Program {
  constructor(title, command, args, options = {}) {
    this.title = title;
    this.lines = [];
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options });
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
    readline.createInterface({ input: this.process.stdout }).on('line', (line) => this.lines.push(line));
    children.push(this);
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

  async stop() {
    this.process.kill('SIGTERM');
    await this.ended;
  }
}

const service = (name) => new Program(name, process.execPath, ['servicio.js', name], { cwd: __dirname });

async function sell(first, count) {
  const shop = new Program('tienda', process.execPath, ['tienda.js', first, count], { cwd: __dirname });
  assert.strictEqual(await shop.ended, 0, 'the shop could not send');
}

const orders = (count) => Array.from({ length: count }, (_, number) => payment(number).order).sort();
const seen = (...programs) => [...new Set(programs.flatMap((p) => p.events().map((e) => e.order)))].sort();

async function allSeen(count, ...programs) {
  const names = programs.map((program) => program.title).join(' and ');
  await until(`${names} to see ${count} payments`, () => seen(...programs).length >= count);
  assert.deepStrictEqual(seen(...programs), orders(count), `${names} saw other payments`);
}

async function cluster() {
  if (process.env.BOOTSTRAP) return;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pagos-'));
  const binary = process.env.OTTLA ?? path.join(__dirname, '../../target/release/ottla');
  const port = () =>
    new Promise((resolve) => {
      const probe = net.createServer().listen(0, '127.0.0.1', () => {
        const free = probe.address().port;
        probe.close(() => resolve(free));
      });
    });
  const [client, controller] = [await port(), await port()];
  const config = path.join(folder, 'server.properties');
  const lines = [
    'process.roles=broker,controller',
    'node.id=1',
    `listeners=PLAINTEXT://127.0.0.1:${client},CONTROLLER://127.0.0.1:${controller}`,
    'controller.listener.names=CONTROLLER',
    `controller.quorum.voters=1@127.0.0.1:${controller}`,
    `log.dirs=${path.join(folder, 'data')}`,
    'offsets.topic.replication.factor=1',
    'group.initial.rebalance.delay.ms=0',
  ];
  fs.writeFileSync(config, lines.map((line) => `${line}\n`).join(''));
  const id = 'cGFnb3MtcGFnb3MtcGFnbw';
  const format = new Program('format', binary, ['storage', 'format', '-t', id, '-c', config], { cwd: folder });
  assert.strictEqual(await format.ended, 0, format.lines.join('\n'));
  const server = new Program('ottla server', binary, ['server', config], { cwd: folder });
  await until('the server to start', () => server.lines.some((line) => line.includes('Kafka Server started')));
  process.env.BOOTSTRAP = `127.0.0.1:${client}`;
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
}

async function story() {
  await cluster();
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

story()
  .then(() => 0)
  .catch((error) => {
    console.error(`not ok ${error.stack}`);
    return 1;
  })
  .then(async (status) => {
    for (const child of children.reverse()) child.process.kill('SIGKILL');
    await Promise.all(children.map((child) => child.ended));
    process.exit(status);
  });

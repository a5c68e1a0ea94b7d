// The story of the queue in one command: node envios.js. BOOTSTRAP names a running cluster; without it
// `ottla server` is started on a fresh folder. PYTHON names the Python that has requirements.txt. Every
// step is checked.
'use strict';

const assert = require('node:assert');
const { kafka } = require('./cliente.js');
const { ATTEMPTS, DEAD_LETTERS, PARTITIONS, QUEUE, WORKERS, isLost, shipment } = require('./cola.js');
const { OTTLA, Program, cluster, pause, play, until } = require('./escena.js');

const ROUND = 20;
/** Long enough for a second copy of anything to turn up. */
const AFTERMATH_MS = 2000;

const here = { cwd: __dirname };
const worker = (name) => new Program(name, process.env.PYTHON ?? 'python3', ['trabajador.py', name], here);

/** What workers wrote: the lines that begin with `word`. */
function told(word, workers) {
  const lines = workers.flatMap((program) => program.lines.filter((line) => line.startsWith(`${word} `)));
  return lines.map((line) => ({ order: line.split(' ')[3], attempt: Number(line.split(' ')[4]) }));
}

const sorted = (orders) => [...orders].sort();
const done = (workers) => sorted(told('done', workers).map(({ order }) => order));
const orders = (numbers) => sorted(numbers.map((number) => shipment(number).order));
const range = (first, count) => Array.from({ length: count }, (_, at) => first + at);

/** The two topics, and what makes a group of workers a queue. */
async function prepare() {
  const admin = kafka('admin').admin();
  await admin.connect();
  const configEntries = [{ name: 'errors.deadletterqueue.group.enable', value: 'true' }];
  await admin.createTopics({
    topics: [
      { topic: QUEUE, numPartitions: PARTITIONS },
      { topic: DEAD_LETTERS, numPartitions: 1, configEntries },
    ],
  });
  await admin.disconnect();
  const settings = [
    'share.auto.offset.reset=earliest',
    `share.delivery.count.limit=${ATTEMPTS}`,
    `errors.deadletterqueue.topic.name=${DEAD_LETTERS}`,
    'errors.deadletterqueue.copy.record.enable=true',
  ];
  const group = ['--entity-type', 'groups', '--entity-name', QUEUE];
  const change = ['--alter', ...group, '--add-config', settings.join(',')];
  await new Program('configs', OTTLA, ['configs', '--bootstrap-server', process.env.BOOTSTRAP, ...change]).success();
}

async function put(first, count, ...more) {
  await new Program('pedidos', process.execPath, ['pedidos.js', first, count, ...more], here).success();
}

/** Reads the dead letters for as long as the story goes on. */
async function readLetters() {
  const letters = [];
  const consumer = kafka('letters').consumer({ groupId: 'letters' });
  await consumer.connect();
  await consumer.subscribe({ topic: DEAD_LETTERS, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      const header = (name) => String(message.headers[`__dlq.errors.${name}`]);
      const { order } = message.value ? JSON.parse(message.value) : {};
      letters.push({ order, topic: header('topic'), group: header('group'), attempts: header('delivery.count') });
    },
  });
  return { letters, stop: () => consumer.disconnect() };
}

async function story() {
  await cluster(QUEUE, [
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
  ]);
  await prepare();
  const five = range(1, WORKERS).map((number) => worker(`worker-${number}`));
  await until('the workers to start', () => five.every((program) => program.lines.includes('ready')));

  let sold = 0;
  await until('every worker to have something to do', async () => {
    await put(sold, ROUND);
    sold += ROUND;
    return five.every((program) => done([program]).length > 0);
  });
  await until('all orders to be done', () => done(five).length >= sold);
  await pause(AFTERMATH_MS);
  assert.deepStrictEqual(done(five), orders(range(0, sold)), 'an order was left, or done twice');
  console.log(`ok ${WORKERS} workers shared ${PARTITIONS} partitions, each of ${sold} orders was done once`);

  const { letters, stop } = await readLetters();
  const lost = range(sold, ROUND).filter(isLost);
  const good = range(0, sold + ROUND).filter((number) => !lost.includes(number));
  await put(sold, ROUND, 'losing');
  sold += ROUND;
  await until('the dead letters', () => letters.length >= lost.length && done(five).length >= good.length);
  await pause(AFTERMATH_MS);
  const letter = (order) => ({ order, topic: QUEUE, group: QUEUE, attempts: String(ATTEMPTS) });
  const byOrder = (a, b) => (a.order < b.order ? -1 : 1);
  assert.deepStrictEqual(letters.sort(byOrder), orders(lost).map(letter), 'other dead letters');
  for (const order of orders(lost)) {
    const attempts = told('failed', five).filter((failure) => failure.order === order);
    assert.deepStrictEqual(sorted(attempts.map(({ attempt }) => attempt)), range(1, ATTEMPTS), `attempts at ${order}`);
  }
  assert.deepStrictEqual(done(five), orders(good), 'a lost address held up another order');
  console.log(`ok ${lost.length} orders without an address went to ${DEAD_LETTERS} after ${ATTEMPTS} attempts`);

  await Promise.all(five.map((program) => program.stop()));
  const late = worker('worker-late');
  await put(sold, ROUND);
  await until('the late worker to do the new orders', () => done([late]).length >= ROUND);
  await pause(AFTERMATH_MS);
  assert.deepStrictEqual(done([late]), orders(range(sold, ROUND)), 'the late worker got other orders');
  assert.strictEqual(told('failed', [late]).length, 0, 'a dead letter came back');
  await stop();
  console.log('ok what is done is gone: a worker that came later got the new orders only');
}

play(story);

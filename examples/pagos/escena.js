// What a story needs: programs whose lines can be read, patience, and a server of its own.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const DEADLINE_MS = 60000;
const OTTLA = process.env.OTTLA ?? path.join(__dirname, '../../target/release/ottla');
const children = [];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what, ready) {
  const end = Date.now() + DEADLINE_MS;
  for (;;) {
    const result = await ready();
    if (result) return result;
    if (Date.now() > end) throw new Error(`not within ${DEADLINE_MS / 1000} s: ${what}`);
    await pause(25);
  }
}

/** A program and the lines it wrote. */
class Program {
  constructor(title, command, args, options = {}) {
    this.title = title;
    this.lines = [];
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options });
    this.ended = new Promise((resolve) => {
      this.process.once('exit', resolve);
      this.process.once('error', (error) => {
        console.error(`${title} does not start: ${error.message}`);
        resolve(1);
      });
    });
    readline.createInterface({ input: this.process.stdout }).on('line', (line) => this.lines.push(line));
    children.push(this);
  }

  /** Waits for its end, which must be a good one. */
  async success() {
    assert.strictEqual(await this.ended, 0, `${this.title} failed\n${this.lines.join('\n')}`);
  }

  async stop() {
    this.process.kill('SIGTERM');
    await this.ended;
  }
}

function freePort() {
  return new Promise((resolve) => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Starts `ottla server` on a fresh folder, unless BOOTSTRAP names a cluster that runs. */
async function cluster(name, more = []) {
  if (process.env.BOOTSTRAP) return;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
  const [client, controller] = [await freePort(), await freePort()];
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
    ...more,
  ];
  fs.writeFileSync(config, lines.map((line) => `${line}\n`).join(''));
  const id = 'cGFnb3MtcGFnb3MtcGFnbw';
  await new Program('format', OTTLA, ['storage', 'format', '-t', id, '-c', config], { cwd: folder }).success();
  const server = new Program('ottla server', OTTLA, ['server', config], { cwd: folder });
  await until('the server to start', () => server.lines.some((line) => line.includes('Kafka Server started')));
  process.env.BOOTSTRAP = `127.0.0.1:${client}`;
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
}

/** Plays a story to its end, good or bad, and ends with it. */
async function play(story) {
  let status = 0;
  try {
    await story();
  } catch (error) {
    console.error(`not ok ${error.stack}`);
    status = 1;
  }
  for (const child of children.reverse()) child.process.kill('SIGKILL');
  await Promise.all(children.map((child) => child.ended));
  process.exit(status);
}

module.exports = { OTTLA, Program, cluster, pause, play, until };

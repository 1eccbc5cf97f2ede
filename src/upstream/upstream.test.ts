import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import {
  FAULT_CONNECT_REFUSED,
  FAULT_CONNECT_SOURCE,
  FAULT_CONNECT_TIMEOUT,
  FAULT_CONNECT_UNREACHABLE,
  FAULT_EOF,
} from '../base/faults.ts';
import { allocate } from '../native/memory.ts';
import { READABLE } from '../native/poller.ts';
import { testReactor } from '../net/test-reactor.ts';
import { C_UPSTREAM_IDLE, C_UPSTREAM_OPEN, C_UPSTREAM_REUSES } from '../plan/counters.ts';
import type { TargetPlan, UpstreamPlan } from '../plan/plan.ts';
import { SharedTable, tableBytes } from '../plan/table.ts';
import type { Target } from './target.ts';
import { upstreamPlan } from './test-plan.ts';
import { Upstream } from './upstream.ts';
import type { UpstreamConnection, UpstreamOwner } from './upstream-connection.ts';

const reactor = testReactor();
const row = SharedTable.create(new ArrayBuffer(tableBytes(1)), 1).worker(0);
const memory = allocate(1 << 20);

/** Remembers what it is told, and reads what comes. */
class Owner implements UpstreamOwner {
  connection: UpstreamConnection | null = null;
  text = '';
  readonly told: (string | number)[] = [];
  #wake: () => void = () => {};

  #tell(what: string | number): void {
    this.told.push(what);
    this.#wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  onUpstreamConnected(): void {
    this.#tell('connected');
  }
  onUpstreamDrained(): void {
    this.#tell('drained');
  }
  onUpstreamReadable(): void {
    const connection = this.connection!;
    while (connection.readable) {
      const n = connection.stream.read(memory, 0, memory.length);
      connection.readable = n > 0 && (connection.hungUp || connection.stream.mayHaveMore());
      if (n > 0) this.text += memory.bytes.latin1Slice(0, n);
      if (n < 0) {
        this.told.push(n);
        connection.close();
      }
    }
    this.#tell('readable');
  }
  onUpstreamFault(fault: number): void {
    this.connection?.close();
    this.#tell(fault);
  }
  onUpstreamDeadline(): void {
    this.#tell('deadline');
  }
}

async function server(serve: (socket: Socket) => void) {
  const listening = createServer(serve).listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  return { listening, port: (listening.address() as AddressInfo).port };
}

/** Whose connection to `target` has said `hi`, and heard `answer`. */
async function answered(target: Target, answer: string): Promise<Owner> {
  const owner = new Owner();
  owner.connection = target.connect(owner, null);
  memory.bytes.write('hi');
  owner.connection!.send(memory, 0, 2);
  await owner.until(() => owner.text === answer);
  return owner;
}

test('Upstream.next() gives targets their turn by weight, smoothly', () => {
  const plan = upstreamPlan([1, 2, 3]);
  const targets = plan.targets.map((target, at) => ({ ...target, weight: at === 0 ? 5 : 1 }));
  const upstream = new Upstream({ ...plan, targets }, reactor, row);
  const turns = Array.from({ length: 14 }, () => upstream.targets.indexOf(upstream.next()!));
  assert.deepEqual(
    [0, 1, 2].map((target) => turns.filter((turn) => turn === target).length),
    [10, 2, 2],
  );
  // Smooth: the heavy one never takes all its turns at once.
  assert.ok(!turns.join('').includes('00000'));
  assert.equal(new Upstream(upstreamPlan([]), reactor, row).next(), null);
});

test('a connection is made, used, kept and used again, and more than the pool holds are closed', async () => {
  const { listening, port } = await server((socket) => socket.on('data', (data) => socket.write(`<${String(data)}>`)));
  const target = new Upstream(upstreamPlan([port]), reactor, row).next()!;
  const [one, two] = [new Owner(), new Owner()];
  for (const owner of [one, two]) {
    owner.connection = target.connect(owner, null);
    assert.ok(owner.connection !== null);
    memory.bytes.write('hi');
    assert.equal(owner.connection.send(memory, 0, 2), 0, 'kept until the connection stands');
    await owner.until(() => owner.text === '<hi>');
    assert.deepEqual(owner.told.slice(0, 2), ['connected', 'drained']);
  }
  assert.equal(row.counters[C_UPSTREAM_OPEN], 2);
  target.release(one.connection!);
  target.release(two.connection!);
  assert.equal(row.counters[C_UPSTREAM_OPEN], 1);
  assert.equal(row.counters[C_UPSTREAM_IDLE], 1);
  const again = new Owner();
  again.connection = target.takeIdle(again);
  assert.equal(again.connection, one.connection);
  assert.equal(again.connection!.served, 1);
  assert.equal(row.counters[C_UPSTREAM_REUSES], 1);
  assert.equal(target.takeIdle(again), null);
  again.connection!.close();
  again.connection!.close();
  assert.equal(row.counters[C_UPSTREAM_OPEN], 0);
  listening.close();
});

test('an event without bytes behind it costs no connection: the last read has taken them along', async () => {
  const { listening, port } = await server((socket) => {
    // The last of them is closed with bytes unread.
    socket.on('error', () => {});
    socket.on('data', () => socket.write('<hi>'));
  });
  const target = new Upstream(upstreamPlan([port]), reactor, row).next()!;
  const owner = await answered(target, '<hi>');
  const connection = owner.connection!;
  // As behind a read that filled its buffer to the last byte.
  connection.readable = true;
  target.release(connection);
  assert.equal(row.counters[C_UPSTREAM_IDLE], 1);
  // As of a segment that came between the wait for events and the read.
  connection.onEvents(READABLE);
  assert.equal(row.counters[C_UPSTREAM_IDLE], 1);
  const again = new Owner();
  again.connection = target.takeIdle(again);
  assert.equal(again.connection, connection);
  connection.send(memory, 0, 2);
  await again.until(() => again.text === '<hi>');
  // Bytes that nobody asked for, and nobody read, are another matter.
  connection.owner = null;
  connection.send(memory, 0, 2);
  while (!connection.readable) await new Promise((resolve) => setImmediate(resolve));
  target.release(connection);
  assert.equal(row.counters[C_UPSTREAM_IDLE], 0);
  assert.equal(row.counters[C_UPSTREAM_OPEN], 0);
  listening.close();
});

test('an idle connection that the server closes leaves the pool by itself', async () => {
  const accepted: Socket[] = [];
  const { listening, port } = await server((socket) => {
    accepted.push(socket);
    socket.on('data', () => socket.write('ok'));
  });
  const target = new Upstream(upstreamPlan([port]), reactor, row).next()!;
  const owner = await answered(target, 'ok');
  target.release(owner.connection!);
  assert.equal(row.counters[C_UPSTREAM_IDLE], 1);
  accepted[0]!.end();
  while (row.counters[C_UPSTREAM_IDLE] !== 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(row.counters[C_UPSTREAM_OPEN], 0);
  listening.close();
});

test('bytes larger than the socket are kept, sent as it empties, and told when gone', async () => {
  let received = 0;
  const { listening, port } = await server((socket) =>
    socket.on('data', (data) => {
      received += data.length;
    }),
  );
  const target = new Upstream(upstreamPlan([port]), reactor, row).next()!;
  const owner = new Owner();
  owner.connection = target.connect(owner, null);
  await owner.until(() => owner.told.includes('connected'));
  let sent = 0;
  while (owner.connection!.pending === null) {
    assert.ok(owner.connection!.send(memory, 0, 65_536) >= 0);
    sent += 65_536;
  }
  await owner.until(() => owner.told.includes('drained'));
  while (received < sent) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(received, sent);
  owner.connection!.close();
  listening.close();
});

test('an end that comes with the last bytes is noticed', async () => {
  const { listening, port } = await server((socket) => socket.once('data', () => socket.end('bye')));
  const target = new Upstream(upstreamPlan([port]), reactor, row).next()!;
  const owner = new Owner();
  owner.connection = target.connect(owner, null);
  memory.bytes.write('hi');
  owner.connection!.send(memory, 0, 2);
  await owner.until(() => owner.told.includes(FAULT_EOF));
  assert.equal(owner.text, 'bye');
  listening.close();
});

test('a refused connection and one that does not come about are told apart', async () => {
  const { listening, port } = await server(() => {});
  await new Promise((resolve) => listening.close(resolve));
  const target = new Upstream(upstreamPlan([port]), reactor, row).next()!;
  const owner = new Owner();
  owner.connection = target.connect(owner, null);
  if (owner.connection === null) assert.equal(target.fault, FAULT_CONNECT_REFUSED);
  else await owner.until(() => owner.told.includes(FAULT_CONNECT_REFUSED));
  // TEST-NET-1 (RFC 5737): no route, or no answer.
  const late = new Owner();
  late.connection = new Upstream(
    {
      ...upstreamPlan([9]),
      connectMs: 300,
      targets: [{ label: 'x', addresses: [{ family: 4, ip: '192.0.2.1', port: 9 }], host: null, weight: 1, slot: 0 }],
    },
    reactor,
    row,
  )
    .next()!
    .connect(late, null);
  if (late.connection !== null) {
    await late.until(() => late.told.length > 0);
    assert.ok([FAULT_CONNECT_TIMEOUT, FAULT_CONNECT_UNREACHABLE, FAULT_CONNECT_REFUSED].includes(late.told[0] as number));
  }
});

/** Somewhere that never answers: a listener of another process that is stopped, its queue full. */
async function silent(): Promise<{ port: number; close: () => void }> {
  const script =
    "require('node:net').createServer().listen({port:0,host:'127.0.0.1',backlog:1},function(){console.log(this.address().port)})";
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const port = Number(String(line));
  child.kill('SIGSTOP');
  const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  // The queue takes two or so; the kernel drops what comes behind.
  await Promise.race(fillers.map((filler) => once(filler, 'connect')));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const close = (): void => {
    for (const filler of fillers) filler.destroy();
    child.kill('SIGKILL');
  };
  return { port, close };
}

function withPlaces(addresses: TargetPlan['addresses'], more: Partial<UpstreamPlan> = {}) {
  const plan = { ...upstreamPlan([1]), ...more };
  return new Upstream({ ...plan, targets: [{ ...plan.targets[0]!, addresses }] }, reactor, row).next()!;
}

test('a place that refuses is passed over at once, and the one that worked is tried first from then on', async () => {
  const { listening, port } = await server((socket) => socket.on('data', () => socket.write('ok')));
  const closed = await server(() => {});
  await new Promise((resolve) => closed.listening.close(resolve));
  const target = withPlaces([
    { family: 6, ip: '::1', port: closed.port },
    { family: 4, ip: '127.0.0.1', port: closed.port },
    { family: 4, ip: '127.0.0.1', port },
  ]);
  for (const expected of [2, 0]) {
    const owner = new Owner();
    owner.connection = target.connect(owner, null);
    await owner.until(() => owner.told.includes('connected'));
    assert.equal(target.destination(0) === target.destination(expected), expected === 0);
    memory.bytes.write('hi');
    owner.connection!.send(memory, 0, 2);
    await owner.until(() => owner.text === 'ok');
    owner.connection!.close();
  }
  assert.equal(row.counters[C_UPSTREAM_OPEN], 0);
  listening.close();
});

test('a place that is silent is waited for a moment, then the next runs beside it', async () => {
  const quiet = await silent();
  const { listening, port } = await server((socket) => socket.on('data', () => socket.write('ok')));
  const places = [
    { family: 4, ip: '127.0.0.1', port: quiet.port },
    { family: 4, ip: '127.0.0.1', port },
  ] as const;
  const owner = new Owner();
  owner.connection = withPlaces(places, { connectMs: 5_000 }).connect(owner, null);
  memory.bytes.write('hi');
  assert.equal(owner.connection!.send(memory, 0, 2), 0, 'kept until a place stands');
  await owner.until(() => owner.text === 'ok');
  assert.deepEqual(owner.told.slice(0, 2), ['connected', 'drained']);
  owner.connection!.close();
  // All silent: the time for all of them is one.
  const none = new Owner();
  none.connection = withPlaces([places[0], places[0]], { connectMs: 600 }).connect(none, null);
  await none.until(() => none.told.length > 0);
  assert.deepEqual(none.told, [FAULT_CONNECT_TIMEOUT]);
  assert.equal(row.counters[C_UPSTREAM_OPEN], 0);
  listening.close();
  quiet.close();
});

test('a target that moves keeps what is at work, and nothing that waits', async () => {
  const one = await server((socket) => socket.on('data', () => socket.write('one')));
  const two = await server((socket) => socket.on('data', () => socket.write('two')));
  const target = withPlaces([{ family: 4, ip: '127.0.0.1', port: one.port }]);
  const [idle, busy, later] = [new Owner(), new Owner(), new Owner()];
  for (const owner of [idle, busy]) {
    owner.connection = target.connect(owner, null);
    await owner.until(() => owner.told.includes('connected'));
  }
  target.release(idle.connection!);
  assert.equal(row.counters[C_UPSTREAM_IDLE], 1);
  target.moveTo([{ family: 4, ip: '127.0.0.1', port: two.port }]);
  assert.equal(row.counters[C_UPSTREAM_IDLE], 0);
  memory.bytes.write('hi');
  busy.connection!.send(memory, 0, 2);
  await busy.until(() => busy.text === 'one');
  target.release(busy.connection!);
  assert.equal(row.counters[C_UPSTREAM_IDLE], 0, 'it leads to the old place');
  later.connection = target.connect(later, null);
  later.connection!.send(memory, 0, 2);
  await later.until(() => later.text === 'two');
  later.connection!.close();
  one.listening.close();
  two.listening.close();
});

test('a source address is ours, and one that is not is a fault', async () => {
  const from: (string | undefined)[] = [];
  const { listening, port } = await server((socket) => {
    from.push(socket.remoteAddress);
    socket.write('ok');
  });
  const place = [{ family: 4, ip: '127.0.0.1', port }] as const;
  const owner = new Owner();
  owner.connection = withPlaces(place, { source4: '127.0.0.77' }).connect(owner, null);
  await owner.until(() => owner.text === 'ok');
  assert.deepEqual(from, ['127.0.0.77']);
  owner.connection!.close();
  const target = withPlaces(place, { source4: '192.0.2.1' });
  assert.equal(target.connect(new Owner(), null), null);
  assert.equal(target.fault, FAULT_CONNECT_SOURCE);
  listening.close();
});

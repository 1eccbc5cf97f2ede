import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { FAULT_CONNECT_REFUSED, FAULT_CONNECT_TIMEOUT, FAULT_CONNECT_UNREACHABLE, FAULT_EOF } from '../base/faults.ts';
import { allocate } from '../native/memory.ts';
import { Reactor } from '../net/reactor.ts';
import { C_UPSTREAM_IDLE, C_UPSTREAM_OPEN, C_UPSTREAM_REUSES } from '../plan/counters.ts';
import type { TargetPlan, UpstreamPlan } from '../plan/plan.ts';
import { SharedTable, tableBytes } from '../plan/table.ts';
import { Upstream } from './upstream.ts';
import type { UpstreamConnection, UpstreamOwner } from './upstream-connection.ts';

// One reactor per process: the tests of this file share it.
const reactor = new Reactor(
  () => {},
  () => {},
);
reactor.start();
test.after(() => reactor.stop());
const row = SharedTable.create(new ArrayBuffer(tableBytes(1)), 1).worker(0);
const memory = allocate(1 << 20);

function upstreamPlan(ports: readonly number[], weights: readonly number[] = []): UpstreamPlan {
  const targets: TargetPlan[] = ports.map((port, slot) => ({
    label: `127.0.0.1:${port}`,
    address: { family: 4, ip: '127.0.0.1', port },
    weight: weights[slot] ?? 1,
    slot,
  }));
  return { name: 'u', balance: 'round-robin', targets, idleMax: 1, idleMs: 60_000, connectMs: 300, responseHeadMs: 1_000, bodyMs: 1_000 };
}

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

test('Upstream.next() gives targets their turn by weight, smoothly', () => {
  const upstream = new Upstream(upstreamPlan([1, 2, 3], [5, 1, 1]), reactor, row);
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
    owner.connection = target.connect(owner);
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

test('an idle connection that the server closes leaves the pool by itself', async () => {
  const accepted: Socket[] = [];
  const { listening, port } = await server((socket) => {
    accepted.push(socket);
    socket.on('data', () => socket.write('ok'));
  });
  const target = new Upstream(upstreamPlan([port]), reactor, row).next()!;
  const owner = new Owner();
  owner.connection = target.connect(owner);
  memory.bytes.write('hi');
  owner.connection!.send(memory, 0, 2);
  await owner.until(() => owner.text === 'ok');
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
  owner.connection = target.connect(owner);
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
  owner.connection = target.connect(owner);
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
  owner.connection = target.connect(owner);
  if (owner.connection === null) assert.equal(target.fault, FAULT_CONNECT_REFUSED);
  else await owner.until(() => owner.told.includes(FAULT_CONNECT_REFUSED));
  // TEST-NET-1 (RFC 5737): no route, or no answer.
  const late = new Owner();
  late.connection = new Upstream(
    { ...upstreamPlan([9]), targets: [{ label: 'x', address: { family: 4, ip: '192.0.2.1', port: 9 }, weight: 1, slot: 0 }] },
    reactor,
    row,
  )
    .next()!
    .connect(late);
  if (late.connection !== null) {
    await late.until(() => late.told.length > 0);
    assert.ok([FAULT_CONNECT_TIMEOUT, FAULT_CONNECT_UNREACHABLE, FAULT_CONNECT_REFUSED].includes(late.told[0] as number));
  }
});

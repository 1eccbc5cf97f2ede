/** TLS towards servers as plans change: real servers, the real engine, and the connections of upstreams that come and go. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer } from 'node:tls';
import { FAULT_NO_TARGET, FAULT_SERVER_CERTIFICATE_UNKNOWN_ISSUER, FAULT_SERVER_TLS_TIMEOUT } from '../base/faults.ts';
import { allocate } from '../native/memory.ts';
import { testReactor } from '../net/test-reactor.ts';
import { C_UPSTREAM_IDLE, T_HANDSHAKE_FAILURES, T_HANDSHAKES, T_HANDSHAKES_RESUMED } from '../plan/counters.ts';
import type { Plan, ServerTlsPlan, UpstreamPlan } from '../plan/plan.ts';
import { SharedTable, tableBytes } from '../plan/table.ts';
import type { HandshakeLog, ServerFailure } from '../record/handshake-log.ts';
import { OpensslEngine } from '../tls/openssl-engine.ts';
import { certify } from '../tls/test-authority.ts';
import type { Target } from '../upstream/target.ts';
import { upstreamPlan } from '../upstream/test-plan.ts';
import type { UpstreamConnection, UpstreamOwner } from '../upstream/upstream-connection.ts';
import { ServerTrust, type Trusted } from './server-trust.ts';

const reactor = testReactor();
const engine = new OpensslEngine();
const memory = allocate(65_536);
const root = certify('Test root', { issuer: null, authority: true });
const stranger = certify('Strange root', { issuer: null, authority: true });
const api = certify('api', { issuer: root, usage: 'serverAuth', names: ['127.0.0.1'] });

/** A worker's part of it: its row, what it logs, and the plan that runs. */
class Ground {
  readonly row = SharedTable.create(new ArrayBuffer(tableBytes(1)), 1).worker(0);
  readonly told: ServerFailure[] = [];
  readonly trust = new ServerTrust({
    engine: () => engine,
    reactor,
    row: this.row,
    logs: {
      handshakes: {
        takesFailure: () => true,
        writeServer: (failure: ServerFailure) => void this.told.push(failure),
      } as unknown as HandshakeLog,
    },
    unixMs: () => 0,
  });
  #running: { readonly plan: Plan; readonly trusted: Trusted } | null = null;

  /** Runs a plan of these upstreams, and gives the first target of each. */
  run(upstreams: readonly UpstreamPlan[], authorities: Buffer): Target[] {
    const plan = { upstreams, certificates: [], opensslLibrary: null } as unknown as Plan;
    const made = upstreams.map((each) => this.trust.upstream(each));
    const building = this.trust.build(plan, [authorities]);
    let step = building.next();
    while (step.done !== true) step = building.next();
    this.trust.use(step.value);
    if (this.#running !== null) this.trust.giveBack(this.#running.plan, this.#running.trusted);
    this.#running = { plan, trusted: step.value };
    return made.map(({ targets }) => targets[0]!);
  }

  count(place: number): number {
    return this.row.targets[place]!;
  }
}

function upstream(port: number, tls: Partial<ServerTlsPlan> | null): UpstreamPlan {
  return upstreamPlan([port], {
    idleMax: 4,
    tls: tls && {
      id: 'one',
      policy: 'intermediate@1',
      verifies: true,
      authoritiesBlob: 0,
      depth: 2,
      certificate: null,
      pins: [],
      alpn: [],
      handshakeMs: 60_000,
      peers: [{ serverName: null, identity: '127.0.0.1' }],
      ...tls,
    },
  });
}

/** Says `hi`, and waits for what comes of it: what the server says, or a fault. */
class Visit implements UpstreamOwner {
  readonly #target: Target;
  connection: UpstreamConnection | null = null;
  #done: (result: string | number) => void = () => {};

  constructor(target: Target) {
    this.#target = target;
  }

  async go(): Promise<string | number> {
    const result = new Promise<string | number>((resolve) => {
      this.#done = resolve;
    });
    this.connection = this.#target.takeIdle(this) ?? this.#target.connect(this, null);
    memory.bytes.write('hi');
    this.connection!.send(memory, 0, 2);
    return await result;
  }

  onUpstreamConnected(): void {}
  onUpstreamDrained(): void {}
  onUpstreamReadable(): void {
    const connection = this.connection!;
    while (connection.readable) {
      const n = connection.stream.read(memory, 0, memory.length);
      connection.readable = n > 0 && (connection.hungUp || connection.stream.mayHaveMore());
      if (n === 0) return;
      const text = n < 0 ? n : memory.bytes.latin1Slice(0, n);
      if (n < 0) connection.close();
      else this.#target.release(connection);
      this.#done(text);
      return;
    }
  }
  onUpstreamFault(fault: number): void {
    this.connection!.close();
    this.#done(fault);
  }
  onUpstreamDeadline(): void {}
}

async function serve(t: TestContext): Promise<number> {
  const server = createServer({ key: api.keyPem, cert: api.pem }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => socket.write(`heard ${String(data)}`));
    t.after(() => socket.destroy());
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('a connection by TLS is kept although tickets came behind what was asked for, and a session outlives a plan with the same rules', async (t) => {
  const ground = new Ground();
  const port = await serve(t);
  const [target] = ground.run([upstream(port, {})], root.pem);
  assert.equal(await new Visit(target!).go(), 'heard hi');
  assert.equal(ground.row.counters[C_UPSTREAM_IDLE], 1);
  assert.equal(await new Visit(target!).go(), 'heard hi');
  assert.deepEqual([ground.count(T_HANDSHAKES), ground.count(T_HANDSHAKES_RESUMED)], [1, 0]);
  const [next] = ground.run([upstream(port, {})], root.pem);
  target!.retire();
  assert.equal(ground.row.counters[C_UPSTREAM_IDLE], 0);
  assert.equal(await new Visit(next!).go(), 'heard hi');
  assert.deepEqual([ground.count(T_HANDSHAKES), ground.count(T_HANDSHAKES_RESUMED)], [1, 1]);
  next!.retire();
});

test('who began under an earlier plan connects by the rules of today, and finds nobody where there are none any more', async (t) => {
  const ground = new Ground();
  const port = await serve(t);
  const [target] = ground.run([upstream(port, {})], root.pem);
  assert.equal(await new Visit(target!).go(), 'heard hi');
  target!.retire();
  ground.run([upstream(port, { id: 'two' })], stranger.pem);
  assert.equal(await new Visit(target!).go(), FAULT_SERVER_CERTIFICATE_UNKNOWN_ISSUER);
  assert.deepEqual([ground.count(T_HANDSHAKE_FAILURES), ground.told.length, ground.told[0]?.chain.length], [1, 1, 1]);
  ground.run([upstream(port, null)], root.pem);
  assert.equal(await new Visit(target!).go(), FAULT_NO_TARGET);
});

test('a server that says nothing has the time of its upstream, and no more', async (t) => {
  const ground = new Ground();
  const silent = createTcpServer((socket) => socket.on('error', () => {}));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const [target] = ground.run([upstream((silent.address() as AddressInfo).port, { handshakeMs: 50 })], root.pem);
  assert.equal(await new Visit(target!).go(), FAULT_SERVER_TLS_TIMEOUT);
  assert.deepEqual(ground.told[0]?.chain, []);
});

test('ServerTrust.build() gives back what it took when something cannot be made', (t) => {
  const ground = new Ground();
  const plan = { upstreams: [upstream(1, {}), upstream(2, { id: 'broken' })], certificates: [], opensslLibrary: null } as unknown as Plan;
  t.after(() => ground.run([upstream(1, {})], root.pem));
  const building = ground.trust.build(plan, [Buffer.from('no PEM')]);
  assert.throws(() => building.next(), /authorities/);
  const again = ground.trust.build({ ...plan, upstreams: [upstream(1, {})] }, [root.pem]);
  let step = again.next();
  while (step.done !== true) step = again.next();
  ground.trust.giveBack({ ...plan, upstreams: [upstream(1, {})] }, step.value);
});

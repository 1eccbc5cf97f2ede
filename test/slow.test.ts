/** Ten thousand slow and silent connections beside fifty honest clients. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { leaf } from './support/certificates.ts';
import { Client, exchange } from './support/client.ts';
import { nginxOrigin } from './support/origin.ts';
import { descriptors, residentBytes, Tollgate, until } from './support/tollgate.ts';

const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const CLOSE = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
const LOAD = fileURLToPath(new URL('./support/slow-clients.ts', import.meta.url));
const CROWD = { silent: 4_000, hello: 4_000, head: 1_000, body: 900, reader: 100 } as const;

function crowdOf(t: { after(done: () => void): void }, port: number, seconds: number) {
  const kinds = Object.entries(CROWD).map(([kind, count]) => `${kind}=${count}`);
  const child = spawn(process.execPath, [LOAD, String(port), String(seconds), ...kinds], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (data) => {
    text += String(data);
  });
  const ended = new Promise<Record<string, number>>((resolve) => {
    child.once('close', () => resolve(JSON.parse(text.split('\n')[1] || '{}') as Record<string, number>));
  });
  /** Asks how many the other side has ended. They are all there until then. */
  const end = (): Promise<Record<string, number>> => {
    child.stdin.end();
    return ended;
  };
  return { open: () => text.startsWith('open'), end };
}

/** What fifty honest clients see for a while: every answer, on kept connections and new ones. Milliseconds, sorted. */
async function honest(port: number, forMs: number): Promise<number[]> {
  const durations: number[] = [];
  const end = Date.now() + forMs;
  await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const fresh = i % 5 === 0;
      const client = fresh ? null : await new Client(port).open();
      while (Date.now() < end) {
        const start = performance.now();
        if (client === null) assert.match(await exchange(port, CLOSE), /served$/);
        else {
          const before = client.received.length;
          client.send(GET);
          await client.wait(() => client.received.length > before && client.text.endsWith('served'));
        }
        durations.push(performance.now() - start);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      client?.close();
    }),
  );
  return durations.sort((a, b) => a - b);
}

test('10,000 half-open or dripping connections do not disturb 50 honest clients, and are ended one and all', async (t) => {
  const { certificate, key } = leaf(['localhost']);
  const locations =
    "location / { return 200 'served'; } location /large {} location /upload { proxy_pass http://127.0.0.1:$server_port/; }";
  const origin = await nginxOrigin(t, locations, { large: Buffer.alloc(16 << 20) });
  const tollgate = await Tollgate.start(t, {
    config: `
timeouts: { handshake: 20s, requestHead: 20s, body: 60s, close: 1s }
limits: { minimumRate: 64B, minimumRateAfter: 15s }
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    socket: { deferAccept: false }
    routes: [{ to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin}"] }
`,
  });
  const worker = (await tollgate.status()).workers[0]!.pid!;
  await honest(tollgate.port, 1_000);
  await until(async () => (await tollgate.status()).connections.open === 0);
  const alone = await honest(tollgate.port, 3_000);
  await until(async () => (await tollgate.status()).connections.open === 0);
  const before = { memory: residentBytes(worker), descriptors: descriptors(worker) };

  const crowd = crowdOf(t, tollgate.port, 150);
  await until(crowd.open, 40_000);
  // Readers are slow once what lies between us is full: until then they are a load like any other.
  let sent = -1;
  await until(async () => {
    const before = sent;
    sent = (await tollgate.metrics()).get('tollgate_sent_bytes_total')!;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return sent === before;
  }, 30_000);
  const { open } = (await tollgate.status()).connections;
  const beside = await honest(tollgate.port, 3_000);
  const each = (residentBytes(worker) - before.memory) / open;
  assert.ok(open > 9_000, `${open} connections are there`);
  assert.ok(each < 40_960, `${Math.round(each)} bytes for each`);
  const [quick, slow] = [alone[Math.floor(alone.length / 2)]!, beside[Math.floor(beside.length / 2)]!];
  assert.ok(slow < 10 * quick, `median ${quick.toFixed(1)} ms alone, ${slow.toFixed(1)} ms beside the crowd`);
  assert.ok(beside.length > alone.length / 3, `${beside.length} answers beside the crowd, ${alone.length} without`);

  t.diagnostic(
    `${open} slow connections, ${Math.round(each)} bytes for each; median ${quick.toFixed(2)} ms alone, ${slow.toFixed(2)} ms beside them`,
  );
  await until(async () => (await tollgate.status()).connections.open === 0, 90_000);
  const ended = await crowd.end();
  // What was only closed half tells nothing by itself to a socket that is paused: readers count on our side.
  for (const kind of ['silent', 'hello', 'head', 'body'] as const) assert.equal(ended[kind], CROWD[kind], kind);
  const metrics = await tollgate.metrics();
  const fault = (reason: string): number => [...metrics].find(([name]) => name.includes(`reason="${reason}"`))?.[1] ?? 0;
  assert.equal(fault('hello_gone') + fault('hello_timeout'), CROWD.silent + CROWD.hello);
  assert.equal(fault('request_head_timeout'), CROWD.head);
  assert.equal(fault('request_body_slow'), CROWD.body);
  assert.equal(fault('client_slow'), CROWD.reader);
  await until(() => descriptors(worker) <= before.descriptors + 100);
  assert.match(await exchange(tollgate.port, CLOSE), /served$/);
});

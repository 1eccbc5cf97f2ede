/**
 * `tollgate explain` where connections are carried as they are: TLS that is passed through, and routes by name and protocol. Each answer is held
 * against what the running program does with such a client.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkFile } from '../src/config/check-report.ts';
import { writeClientHello } from '../src/hello/hello-writer.ts';
import { KNOWN_CLIENTS } from '../src/hello/known-clients.ts';
import type { ListenerExplanation } from '../src/observe/explain.ts';
import { explainHello } from '../src/observe/explain-hello.ts';
import { Client } from './support/client.ts';
import { rawOrigin } from './support/origin.ts';
import { tls } from './support/tcp.ts';
import { testPort } from './support/test-port.ts';
import { Tollgate, until } from './support/tollgate.ts';

const UPSTREAMS = ['web', 'tenants', 'acme', 'imap', 'archive'] as const;
const NAMES = [null, 'shop.example', 'a.tenant.example', 'archive.example', 'nobody.example'] as const;
const PROTOCOLS: readonly (readonly string[])[] = [[], ['http/1.1'], ['acme-tls/1'], ['imap', 'http/1.1'], ['smtp']];

const SHOP = tls(['shop.example', 'archive.example']);
const PASSED = `passthrough: [{ match: { sni: "*.tenant.example" }, to: tenants }, { match: { sni: shop.example, alpn: [acme-tls/1] }, to: acme }]`;
const LISTENERS: readonly (readonly [name: string, lines: string])[] = [
  ['mixed', `${SHOP.replace('tls: {', 'tls: { strict: true,')}, ${PASSED}, routes: [{ to: web }]`],
  ['through', PASSED],
  [
    'mail',
    `protocol: tcp, ${SHOP.replace('tls: {', 'tls: { alpn: [imap, acme-tls/1],')}, routes: [{ match: { sni: archive.example }, to: archive }, { match: { alpn: imap }, to: imap }]`,
  ],
  [
    'carried',
    `protocol: tcp, ${SHOP}, ${PASSED}, routes: [{ match: { sni: archive.example }, to: archive }, { match: { sni: shop.example }, to: web }]`,
  ],
];

interface Ground {
  readonly tollgate: Tollgate;
  readonly ports: readonly number[];
  readonly origins: readonly { readonly port: number; readonly heard: string[] }[];
}

async function start(t: TestContext): Promise<Ground> {
  // Whoever is heard has been heard enough.
  const origins = await Promise.all(UPSTREAMS.map(() => rawOrigin(t, (socket) => void socket.once('data', () => socket.end()))));
  const ports: number[] = [];
  for (const _ of LISTENERS) {
    const port = await testPort();
    ports.push(port);
  }
  const listeners = LISTENERS.map(([name, lines], i) => `  - { name: ${name}, address: "127.0.0.1:${ports[i]}", ${lines} }\n`);
  const upstreams = UPSTREAMS.map((name, i) => `  - { name: ${name}, targets: ["127.0.0.1:${origins[i]!.port}"] }\n`);
  const tollgate = await Tollgate.start(t, { config: `listeners:\n${listeners.join('')}upstreams:\n${upstreams.join('')}` });
  return { tollgate, ports, origins };
}

function said({ ok, reason, passedThrough, upstream }: ListenerExplanation): string {
  if (!ok) return `refused: ${reason}`;
  return passedThrough ? `passed to ${upstream}` : upstream === null ? 'served, no route' : `served by ${upstream}`;
}

/** What one client sees happen: lines of the logs, and what a server heard. */
async function seen({ tollgate, origins }: Ground, port: number, name: string | null, protocols: readonly string[]): Promise<string> {
  const accessed = tollgate.accessLog().length;
  const failed = tollgate.handshakes().length;
  const before = origins.map(({ heard }) => heard.length);
  const ALPNProtocols = protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] };
  const client = new Client(port, { servername: name ?? '', rejectUnauthorized: false, ...ALPNProtocols });
  client.socket.once('secureConnect', () => client.socket.write('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n'));
  const heard = (): number => origins.findIndex((origin, i) => (origin.heard[before[i]!] ?? '') !== '');
  const told = (): boolean => tollgate.accessLog().length > accessed || tollgate.handshakes().length > failed;
  await until(() => heard() >= 0 || told());
  client.close();
  await until(told);
  const line = tollgate.handshakes()[failed];
  if (line !== undefined) return `refused: ${line.reason}`;
  const at = heard();
  if (at < 0) return 'served, no route';
  // What begins a record of a handshake has not been opened.
  const isHello = origins[at]!.heard[before[at]!]!.startsWith('\x16\x03\x01');
  return `${isHello ? 'passed to' : 'served by'} ${UPSTREAMS[at]}`;
}

test('explain says which route carries a client, and which TLS is passed through untouched', async (t) => {
  const ground = await start(t);
  const { checked } = await checkFile(join(ground.tollgate.directory, 'tollgate.yaml'));
  assert.ok(checked !== null);
  const usual = KNOWN_CLIENTS.find(({ id }) => id === 'openssl-3.5')!;
  const [wrong, answers]: [string[], Set<string>] = [[], new Set()];
  for (const name of NAMES) {
    for (const alpn of PROTOCOLS) {
      const hello = writeClientHello({ ...usual, alpn }, { name });
      const { listeners } = explainHello(checked.plan, hello, null, '/', Date.now());
      assert.deepEqual(
        listeners.map(({ listener }) => listener),
        LISTENERS.map(([listener]) => listener),
      );
      for (const [i, explained] of listeners.entries()) {
        const real = await seen(ground, ground.ports[i]!, name, alpn);
        answers.add(real);
        if (said(explained) !== real)
          wrong.push(`${name} ${alpn} on ${explained.listener}: explained as ${said(explained)}; seen as ${real}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.equal(answers.size, 8, [...answers].join(', '));
});

test('tollgate explain prints a passage, and what would change a refusal', async (t) => {
  const { tollgate } = await start(t);
  const run = (...args: readonly string[]) => tollgate.command('explain', '--config', join(tollgate.directory, 'tollgate.yaml'), ...args);
  const passed = run('--host', 'a.tenant.example');
  assert.match(
    passed,
    /^ {2}mixed {2}\S+ {2}passed through\n +route +mixed\/passthrough\/1 \(carry to tenants\)\n {4}note: its TLS goes to tenants as it is/m,
  );
  const refused = run('--host', 'nobody.example');
  assert.match(refused, /^ {2}through {2}\S+ {2}refused: unknown_name\n {4}because it asks for nobody.example/m);
  assert.match(refused, /would change it: passthrough: an entry for this name/);
  assert.match(refused, /note: no route is for it: the connection is closed behind the handshake/);
});

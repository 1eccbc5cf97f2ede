/** What is refused and warned of is in test/golden/errors, whole plans are in test/golden/plans. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { addressText, type CertificatePlan, type RouteMatch, type RoutePlan } from '../plan/plan.ts';
import { checkFile } from './check-report.ts';
import { type Compiled, type CompileOptions, compile } from './compile.ts';
import { ConfigError, findingText } from './findings.ts';
import { parseConfig } from './load.ts';
import { type MadeCertificate, makeCertificate, writePair } from './test-certificates.ts';

const directory = mkdtempSync(join(tmpdir(), 'tollgate-compile-'));
const day = (offset: number): Date => new Date(Date.UTC(2030, 0, 1 + offset));
const NOW_MS = day(0).getTime();
const SPAN = { notBefore: day(-30), notAfter: day(60) };
let root: MadeCertificate;
let middle: MadeCertificate;
let shop: MadeCertificate;

before(async () => {
  root = await makeCertificate({ commonName: 'Test root', authority: true, ...SPAN });
  middle = await makeCertificate({ commonName: 'Test issuer', authority: true, issuer: root, ...SPAN });
  shop = await makeCertificate({ names: ['shop.example.com', '*.Shop.example.com'], commonName: 'not.a.name', issuer: middle, ...SPAN });
  writePair(directory, 'shop', shop, [middle]);
});

after(() => rmSync(directory, { recursive: true }));

const HEAD = `listeners:
  - name: web
    address: "0.0.0.0:443"
    tls:
      certificates:
        - { certificate: shop.pem, key: shop.key }
`;
function forwardTo(slot: number, upstream: number, name: string, match: RouteMatch): RoutePlan {
  const action = {
    kind: 'forward',
    upstream,
    host: null,
    mend: true,
    requestBodyMax: null,
    responseBodyMax: null,
    requestBuffer: 0,
    responseBuffer: 0,
    compress: null,
  } as const;
  return { name, slot, match, action, access: null, basicAuth: null, forwardAuth: null, requestFields: null, responseFields: null };
}

const TAIL = `    routes:
      - to: web
upstreams:
  - name: web
    targets: ["10.0.0.1:8080"]
`;

async function compiled(text: string, options: Partial<CompileOptions> = {}): Promise<Compiled> {
  return await compile(await parseConfig(text, join(directory, 'site.yaml')), { planId: 1, nowMs: NOW_MS, ipv6: true, ...options });
}

/** Errors, or when there are none warnings, a line each, without the directory. */
async function findings(text: string, options: Partial<CompileOptions> = {}): Promise<readonly string[]> {
  const plain = (line: string): string => line.replaceAll(`${directory}/`, '');
  try {
    const { warnings } = await compiled(text, options);
    return warnings.map((warning) => plain(findingText(warning)));
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.split('\n').map(plain);
  }
}

test('compile() makes a plan with nothing left to look up', async () => {
  const text = `${HEAD}    routes:
      - match: { host: "*.shop.example.com", path: /api/* }
        to: api
      - match: { path: /exact }
        to: web
      - to: web
    socket: { backlog: 100, userTimeout: 30s, keepAlive: off }
upstreams:
  - name: web
    targets: ["10.0.0.1:8080", { address: "[FD00::0:1]:8080", weight: 3 }]
  - name: api
    targets: ["app.internal:8081", "unix:/run/app.sock"]
    idleConnections: 7
    timeouts: { connect: 1s, responseHead: 2s, body: 3s, idle: 4s }
log: { access: off }
`;
  const { plan, blobs, warnings } = await compiled(text, { planId: 7, resolve: async () => [{ address: '192.0.2.9', family: 4 }] });
  assert.deepEqual(warnings, []);
  assert.equal(plan.id, 7);
  assert.equal(plan.accessLog, null);
  assert.deepEqual(plan.listeners, [
    {
      name: 'web',
      address: { family: 4, ip: '0.0.0.0', port: 443 },
      tls: {
        engine: 's2n',
        engineReason: 'the fast one has all that is asked for',
        certificates: [0],
        strict: false,
        alpn: ['http/1.1', 'http/1.0'],
        compressCertificates: false,
        rules: [
          {
            names: [],
            policy: 'intermediate@1',
            minVersion: 0x0303,
            requirePostQuantum: false,
            report: null,
            tickets: true,
            ticketLifetimeS: 86_400,
            clients: null,
          },
        ],
      },
      routes: [
        forwardTo(0, 1, 'web/1', { host: '*.shop.example.com', path: '/api/', pathIsPrefix: true }),
        forwardTo(1, 0, 'web/2', { host: null, path: '/exact', pathIsPrefix: false }),
        forwardTo(2, 0, 'web/3', { host: null, path: null, pathIsPrefix: false }),
      ],
      tcpRoutes: null,
      passthrough: [],
      proxyProtocol: null,
      forwarding: { xForwarded: true, forwarded: false, traceparent: false, trustedProxies: [] },
      errorPages: [],
      hsts: null,
      access: null,
      socket: { backlog: 100, fastOpen: false, deferAccept: true, userTimeoutMs: 30_000, keepAliveS: 0 },
    },
  ]);
  assert.deepEqual(plan.upstreams[0]?.targets, [
    { label: '10.0.0.1:8080', addresses: [{ family: 4, ip: '10.0.0.1', port: 8080 }], host: null, weight: 1, slot: 0 },
    { label: '[FD00::0:1]:8080', addresses: [{ family: 6, ip: 'fd00::1', port: 8080 }], host: null, weight: 3, slot: 1 },
  ]);
  assert.deepEqual(plan.upstreams[1], {
    name: 'api',
    balance: 'round-robin',
    targets: [
      {
        label: 'app.internal:8081',
        addresses: [{ family: 4, ip: '192.0.2.9', port: 8081 }],
        host: { name: 'app.internal', port: 8081 },
        weight: 1,
        slot: 2,
      },
      { label: 'unix:/run/app.sock', addresses: [{ family: 0, path: '/run/app.sock' }], host: null, weight: 1, slot: 3 },
    ],
    proxyProtocol: null,
    idleMax: 7,
    idleMs: 4_000,
    connectMs: 1_000,
    responseHeadMs: 2_000,
    bodyMs: 3_000,
    source4: null,
    source6: null,
    tls: null,
  });
  const [certificate] = plan.certificates as [CertificatePlan];
  assert.match(certificate.fingerprint, /^[0-9a-f]{64}$/);
  assert.deepEqual(certificate.names, ['shop.example.com', '*.shop.example.com']);
  assert.equal(certificate.notAfterMs, SPAN.notAfter.getTime());
  assert.equal(blobs[certificate.chainBlob]?.toString().trim(), `${shop.certificatePem.trim()}\n${middle.certificatePem.trim()}`);
  assert.equal(blobs[certificate.keyBlob]?.toString().trim(), shop.keyPem.trim());
  assert.ok(
    blobs.every(({ buffer }) => buffer.byteLength === blobs[certificate.chainBlob]!.length + blobs[certificate.keyBlob]!.length),
    'a key shares memory with its certificate alone',
  );
  assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan);
  assert.ok(Object.isFrozen(plan.listeners[0]?.routes[0]?.match));
});

test('compile() keeps certificates and key of one file apart, and a file named twice once', async () => {
  const both = `${shop.certificatePem}-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${shop.keyPem}${middle.certificatePem}`;
  writeFileSync(join(directory, 'both.pem'), both, { mode: 0o600 });
  const { plan, blobs } = await compiled(
    `${HEAD.replace('shop.pem', 'both.pem').replace('shop.key', 'both.pem')}${TAIL.replace('upstreams:', '  - { name: copy, address: "0.0.0.0:444", routes: [{ to: web }], tls: { certificates: [{ certificate: shop.pem, key: shop.key }] } }\nupstreams:')}`,
  );
  assert.equal(plan.certificates.length, 1);
  assert.deepEqual(
    plan.listeners.map(({ tls }) => tls?.certificates),
    [[0], [0]],
  );
  assert.ok(!blobs[plan.certificates[0]!.chainBlob]!.includes('PRIVATE'));
  assert.equal(blobs[plan.certificates[0]!.keyBlob]!.toString().trim(), shop.keyPem.trim());
});

test('compile() reads a file once that has both, and a pipe can be one', async () => {
  const pipe = join(directory, 'pipe.pem');
  execFileSync('mkfifo', ['-m', '600', pipe]);
  const [{ plan }] = await Promise.all([
    compiled(`${HEAD.replace('shop.pem', 'pipe.pem').replace('shop.key', 'pipe.pem')}${TAIL}`),
    writeFile(pipe, shop.certificatePem + shop.keyPem),
  ]);
  assert.deepEqual(plan.certificates[0]?.names, ['shop.example.com', '*.shop.example.com']);
});

test('compile() opens one socket for each address that is meant', async () => {
  const addresses = async (written: string, ipv6: boolean): Promise<readonly string[]> => {
    const { plan } = await compiled(HEAD.replace('0.0.0.0:443', written) + TAIL, { ipv6 });
    return plan.listeners.map(({ address }) => (address.family === 0 ? address.path : `${address.ip} ${address.port}`));
  };
  assert.deepEqual(await addresses(':443', true), ['0.0.0.0 443', ':: 443']);
  assert.deepEqual(await addresses(':443', false), ['0.0.0.0 443']);
  assert.deepEqual(await addresses('localhost:8443', true), ['127.0.0.1 8443', '::1 8443']);
  assert.deepEqual(await addresses(':0', true), ['0.0.0.0 0']);
  assert.deepEqual(await addresses('[0::0]:443', false), [':: 443']);
  assert.deepEqual(await addresses('unix:web.sock', false), [join(directory, 'web.sock')]);
});

test('compile() reads the common name only where there is no alternative name', async () => {
  writePair(directory, 'old', await makeCertificate({ commonName: 'old.example.com', ...SPAN }));
  const { plan } = await compiled(HEAD.replace('shop.pem', 'old.pem').replace('shop.key', 'old.key') + TAIL);
  assert.deepEqual(plan.certificates[0]?.names, ['old.example.com']);
});

test('compile() takes RSA beside ECDSA for the same names', async () => {
  writePair(directory, 'rsa', await makeCertificate({ names: ['shop.example.com', '*.shop.example.com'], key: 'rsa', ...SPAN }));
  assert.deepEqual(await findings(`${HEAD}        - { certificate: rsa.pem, key: rsa.key }\n${TAIL}`), []);
});

test('compile() answers a name without address at its place', async () => {
  const resolve = async (host: string): Promise<never> => {
    throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' });
  };
  assert.deepEqual(await findings(HEAD + TAIL.replace('10.0.0.1', 'app.internal'), { resolve }), [
    "site.yaml:11:15: upstreams[0].targets[0].address: the name 'app.internal' has no address (ENOTFOUND)",
  ]);
});

test('compile() resolves localhost through the system', async () => {
  const { plan } = await compiled(HEAD + TAIL.replace('10.0.0.1', 'localhost'));
  const { addresses, host } = plan.upstreams[0]!.targets[0]!;
  assert.ok(addresses.some((address) => addressText(address) === '127.0.0.1:8080'));
  assert.deepEqual(host, { name: 'localhost', port: 8080 });
});

test('compile() leaves targets and routes that stay in their slots', async () => {
  const targets = (list: string): string => HEAD + TAIL.replace('["10.0.0.1:8080"]', list);
  const first = await compiled(targets('["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"]'));
  const second = await compiled(targets('["10.0.0.1:3", "10.0.0.1:4", "10.0.0.1:2", "10.0.0.1:5"]'), { previous: first.plan });
  assert.deepEqual(
    second.plan.upstreams[0]?.targets.map(({ slot }) => slot),
    [2, 3, 1, 4],
  );
  assert.deepEqual(
    second.plan.listeners[0]?.routes.map(({ slot }) => slot),
    [0],
  );
});

test('compile() zeroes keys when it fails', async () => {
  const seen: Buffer[] = [];
  const alloc = Buffer.alloc;
  Buffer.alloc = (...args) => {
    const buffer = alloc(...args);
    seen.push(buffer);
    return buffer;
  };
  try {
    await findings(HEAD + TAIL.replace('10.0.0.1', 'nowhere.invalid'), { resolve: () => Promise.reject(new Error('none')) });
  } finally {
    Buffer.alloc = alloc;
  }
  assert.ok(seen.length >= 3);
  assert.ok(!seen.some((buffer) => buffer.includes('PRIVATE KEY')));
});

test('checkFile() passes the examples, certificates beside them', async () => {
  const copy = join(directory, 'examples');
  cpSync(join(import.meta.dirname, '../../examples'), copy, { recursive: true });
  writePair(copy, 'shop', await makeCertificate({ names: ['shop.example.com'], ...SPAN }));
  writePair(copy, 'blog', await makeCertificate({ names: ['*.blog.example'], ...SPAN }));
  const root = await makeCertificate({ commonName: 'Our CA', authority: true, ...SPAN });
  writePair(copy, 'ca', root);
  for (const file of ['reverse-proxy.yaml', 'several-sites.yaml', 'servers-tls.yaml']) {
    const report = await checkFile(join(copy, file), { nowMs: NOW_MS });
    assert.deepEqual(report.errors, []);
    assert.deepEqual(report.warnings, []);
    assert.ok(report.checked !== null);
  }
});

test('checkFile() reports instead of throwing', async () => {
  const missing = await checkFile(join(directory, 'none.yaml'));
  assert.equal(missing.errors.length, 1);
  assert.equal(missing.checked, null);
  const path = join(directory, 'check.yaml');
  writeFileSync(path, HEAD + TAIL.replace('to: web', 'to: wbe'));
  assert.deepEqual(
    (await checkFile(path)).errors.map(({ line, column, setting }) => [line, column, setting]),
    [[8, 13, 'listeners[0].routes[0].to']],
  );
  assert.ok(readFileSync(join(directory, 'shop.key')).includes('PRIVATE KEY'), 'files stay as they are');
});

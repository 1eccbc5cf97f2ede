import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { compile } from './compile.ts';
import { filesOf } from './files-of.ts';
import { ConfigError, findingText } from './findings.ts';
import { parseConfig } from './load.ts';
import { makeCertificate, writePair } from './test-certificates.ts';

const directory = mkdtempSync(join(tmpdir(), 'tollgate-config-tcp-'));
after(() => rmSync(directory, { recursive: true }));
const day = (offset: number): Date => new Date(Date.UTC(2030, 0, 1 + offset));
before(async () =>
  writePair(directory, 'mail', await makeCertificate({ names: ['mail.example.com'], notBefore: day(-3), notAfter: day(90) })),
);

const TLS = 'tls: { certificates: [{ certificate: mail.pem, key: mail.key }] }';
const UPSTREAMS = `upstreams:
  - { name: imap, targets: ["127.0.0.1:143"], proxyProtocol: v2 }
  - { name: far, targets: ["127.0.0.1:443"], proxyProtocol: v1 }
`;

async function compiled(listener: string) {
  const text = `listeners:\n  - name: mail\n    address: 127.0.0.1:993\n    ${listener.trim().replaceAll('\n', '\n    ')}\n${UPSTREAMS}`;
  return await compile(await parseConfig(text, join(directory, 'site.yaml')), { planId: 1, nowMs: day(0).getTime(), ipv6: true });
}

/** What is wrong, or when nothing is, what is doubtful; without places. */
async function findings(listener: string): Promise<readonly string[]> {
  const bare = (line: string): string => line.replace(/^[^:]*:\d+:\d+: (?:warning: )?/, '').replace('listeners[0].', '');
  try {
    return (await compiled(listener)).warnings.map(findingText).map(bare);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.split('\n').map(bare);
  }
}

test('compile() makes the routes of a tcp listener, and what passes through', async () => {
  const { plan } = await compiled(`protocol: tcp
${TLS.replace('] }', '], alpn: [imap, "x-y"] }')}
proxyProtocol: { from: [10.0.0.0/8] }
passthrough:
  - { match: { sni: "*.Far.example", alpn: h2 }, to: far, access: { allow: [192.0.2.0/24] } }
routes:
  - { match: { sni: mail.example.com, alpn: imap }, to: imap, name: mail-imap }
  - { to: imap }`);
  const [listener] = plan.listeners;
  assert.deepEqual(listener?.routes, []);
  assert.deepEqual(listener.tcpRoutes, [
    { name: 'mail-imap', match: { sni: 'mail.example.com', alpn: ['imap'] }, upstream: 0, access: null },
    { name: 'mail/2', match: { sni: null, alpn: [] }, upstream: 0, access: null },
  ]);
  assert.deepEqual(listener.passthrough, [
    {
      name: 'mail/passthrough/1',
      match: { sni: '*.far.example', alpn: ['h2'] },
      upstream: 1,
      access: { ...listener.passthrough[0]!.access, networksBlob: 2, openToOthers: false },
    },
  ]);
  assert.deepEqual(listener.proxyProtocol, { from: ['10.0.0.0/8'], required: false });
  assert.deepEqual(listener.tls?.alpn, ['imap', 'x-y']);
  assert.deepEqual(
    plan.upstreams.map(({ proxyProtocol }) => proxyProtocol),
    [2, 1],
  );
});

test('compile() waits for nobody where the server may speak first', async () => {
  const deferred = async (listener: string): Promise<boolean | undefined> =>
    (await compiled(listener)).plan.listeners[0]?.socket.deferAccept;
  assert.equal(await deferred('protocol: tcp\nroutes: [{ to: imap }]'), false);
  assert.equal(await deferred(`protocol: tcp\n${TLS}\nroutes: [{ to: imap }]`), true);
  assert.equal(await deferred('protocol: tcp\npassthrough: [{ to: far }]'), true);
  assert.equal(await deferred('routes: [{ to: imap }]'), true);
});

test('lists of networks of what passes through lie beside the file, and are watched', async () => {
  const listener = 'passthrough: [{ to: far, access: { allowFile: ours.txt, denyFile: bad.txt } }]';
  const text = `listeners:\n  - { name: a, address: "127.0.0.1:1", ${listener} }\n${UPSTREAMS}`;
  assert.deepEqual(filesOf(await parseConfig(text, join(directory, 'site.yaml'))), [
    join(directory, 'site.yaml'),
    join(directory, 'ours.txt'),
    join(directory, 'bad.txt'),
  ]);
});

test('revocation lists and a libssl of ones own are watched, what is fetched is not', async () => {
  const clients = '{ authorities: ca.pem, revocation: { crl: [own.crl, "http://crl.example/x.crl"] } }';
  const listener = `tls: { certificates: [{ certificate: c.pem, key: c.key }], library: libssl.so, clientCertificates: ${clients} }\nroutes: [{ to: imap }]`;
  const text = `listeners:\n  - name: a\n    address: 127.0.0.1:1\n    ${listener.replace('\n', '\n    ')}\n${UPSTREAMS}`;
  assert.deepEqual(
    filesOf(await parseConfig(text, join(directory, 'site.yaml'))),
    ['site.yaml', 'c.pem', 'c.key', 'libssl.so', 'ca.pem', 'own.crl'].map((name) => join(directory, name)),
  );
});

const CASES: readonly (readonly [name: string, listener: string, ...found: readonly string[]])[] = [
  ['nothing to do', 'protocol: tcp', "routes: missing; a listener needs 'routes', as [{ to: an upstream }]"],
  [
    'settings of HTTP',
    `protocol: tcp\n${TLS}\nhsts: 1d\nforwarded: off\nroutes: [{ match: { host: a.example, path: / }, to: imap, compress: true }]`,
    "forwarded: 'forwarded' is a setting of HTTP, and this listener's protocol is tcp",
    "hsts: 'hsts' is a setting of HTTP, and this listener's protocol is tcp",
    "routes[0].compress: 'compress' is a setting of HTTP, and this listener's protocol is tcp",
    "routes[0].match.host: 'host' is of requests, and this listener's protocol is tcp; the name of TLS is 'sni'",
    "routes[0].match.path: 'path' is of requests, and this listener's protocol is tcp",
  ],
  ['a redirect', 'protocol: tcp\nredirect: https', "redirect: 'redirect' is a setting of HTTP, and this listener's protocol is tcp"],
  [
    'names without TLS',
    'protocol: tcp\nroutes: [{ match: { sni: a.example }, to: imap }]',
    'routes[0].match.sni: without TLS no client says it',
  ],
  [
    'a protocol nobody offers',
    `protocol: tcp\n${TLS}\nroutes: [{ match: { alpn: [imap] }, to: imap }]`,
    "routes[0].match.alpn: never agreed: 'tls.alpn' does not offer 'imap'",
  ],
  [
    'names of TLS for requests',
    `${TLS.replace('] }', '], alpn: [h2] }')}\nroutes: [{ match: { sni: a.example }, to: imap }]`,
    'tls.alpn: what an http listener speaks is known; this is for protocol: tcp',
    "routes[0].match.sni: requests are matched by host and path; connections that are passed through, by 'passthrough'",
  ],
  [
    'an address as a name',
    `protocol: tcp\npassthrough: [{ match: { sni: 192.0.2.1 }, to: far }]`,
    "passthrough[0].match.sni: found '192.0.2.1': a client names servers by name, never by address; expected a server name as 'mail.example.com', or '*.example.com'",
  ],
  [
    'routes where nothing is terminated',
    'passthrough: [{ to: far }]\nroutes: [{ to: imap }]',
    "routes: without 'tls' a listener with 'passthrough' terminates nothing, and has no routes",
  ],
  [
    'an upstream that is not there',
    'protocol: tcp\npassthrough: [{ to: fra }]',
    "passthrough[0].to: there is no upstream 'fra'; did you mean 'far'?",
  ],
  [
    'waiting for the client',
    'protocol: tcp\nsocket: { deferAccept: true }\nroutes: [{ to: imap }]',
    'socket.deferAccept: without TLS the server may be the one to speak first: nobody may wait for the client',
  ],
  [
    'no proxies',
    'proxyProtocol: { from: [] }\nroutes: [{ to: imap }]',
    "proxyProtocol.from: found an empty list, expected a list, each a network as '10.0.0.0/8', '2001:db8::/32', or one address",
  ],
];
for (const [name, listener, ...found] of CASES) {
  test(`parseConfig() refuses on a listener ${name}`, async () => {
    assert.deepEqual([...(await findings(listener))].sort(), [...found].sort());
  });
}

test('compile() warns of connections that nobody takes, and of names without a certificate', async () => {
  const listener = `protocol: tcp
${TLS}
passthrough: [{ match: { sni: "*.a.example" }, to: far }, { match: { sni: b.a.example, alpn: h2 }, to: far }]
routes: [{ match: { sni: other.example }, to: imap }, { to: imap }, { match: { sni: mail.example.com }, to: imap }]`;
  assert.deepEqual(await findings(listener), [
    'passthrough[1]: never taken: number 1 matches all its connections before it',
    'routes[0].match.sni: no certificate of this listener is for other.example; clients will refuse the connection',
    'routes[2]: never taken: number 2 matches all its connections before it',
  ]);
});

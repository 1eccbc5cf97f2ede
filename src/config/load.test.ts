import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError } from './findings.ts';
import { CONFIG_BYTES_MAX, loadConfig, parseConfig } from './load.ts';

const GOOD = `listeners:
  - name: web
    address: "0.0.0.0:443"
    tls:
      certificates:
        - { certificate: shop.pem, key: shop.key }
    routes:
      - match: { host: shop.example.com, path: /api/* }
        to: api
      - to: web
upstreams:
  - name: web
    targets: ["10.0.0.1:8080"]
  - name: api
    targets: ["10.0.0.3:8080"]
`;

/** Every error of GOOD with `from` replaced by `to`, a line each. */
async function errorsOf(from: string, to: string): Promise<readonly string[]> {
  assert.ok(from === '' || GOOD.includes(from), 'the case replaces something');
  return await errorsOfText(GOOD.replace(from, () => to));
}

async function errorsOfText(text: string): Promise<readonly string[]> {
  try {
    await parseConfig(text, 'site.yaml');
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.split('\n');
  }
  return [];
}

test('parseConfig() fills in every default', async () => {
  const { config } = await parseConfig(GOOD, '/etc/tollgate/site.yaml');
  assert.deepEqual(config.admin, { listen: { family: 4, ip: '127.0.0.1', port: 9901 } });
  assert.equal(config.workers, 'auto');
  assert.equal(config.runtime, undefined);
  assert.deepEqual(config.log, {
    level: 'info',
    access: { format: 'json', sample: 1, sampleErrors: true },
    error: { path: '-' },
  });
  assert.deepEqual(config.timeouts, {
    handshake: 10_000,
    requestHead: 10_000,
    body: 60_000,
    idle: 75_000,
    tunnel: 3_600_000,
    close: 5_000,
    drain: 30_000,
  });
  const { limits, clients } = config;
  assert.deepEqual(limits, {
    connections: 100_000,
    head: 32_768,
    fields: 100,
    target: 8_192,
    minimumRate: 64,
    minimumRateAfter: 30_000,
  });
  assert.deepEqual(clients, { ipv4Prefix: 32, ipv6Prefix: 64, exempt: [] });
  assert.deepEqual(config.listeners[0]?.socket, { backlog: 4_096, fastOpen: false, deferAccept: true, userTimeout: 0, keepAlive: 60 });
  assert.equal(config.listeners[0]?.tls?.policy, 'intermediate');
  assert.equal(config.listeners[0]?.tls?.tickets, true);
  assert.deepEqual(config.upstreams[0]?.timeouts, { connect: 5_000, responseHead: 60_000, body: 60_000, idle: 60_000 });
  assert.equal(config.upstreams[0]?.idleConnections, 64);
});

test('parseConfig() starts relative paths at the file', async () => {
  const text = `${GOOD}log: { access: logs/access.json }\nruntime: run\nadmin: { listen: "unix:admin.sock" }\n`;
  const { config } = await parseConfig(text, '/etc/tollgate/site.yaml');
  assert.deepEqual(config.listeners[0]?.tls?.certificates, [{ certificate: '/etc/tollgate/shop.pem', key: '/etc/tollgate/shop.key' }]);
  assert.equal(config.log.access.path, '/etc/tollgate/logs/access.json');
  assert.equal(config.runtime, '/etc/tollgate/run');
  assert.deepEqual(config.admin.listen, { family: 0, path: '/etc/tollgate/admin.sock' });
});

test('parseConfig() takes the short forms', async () => {
  const text = GOOD.replace('["10.0.0.1:8080"]', '["10.0.0.1:8080", { address: "10.0.0.2:8080", weight: 3 }]');
  const { config } = await parseConfig(`${text}log: { access: off }\nadmin: { listen: off }\n`, 'site.yaml');
  assert.deepEqual(
    config.upstreams[0]?.targets.map(({ weight }) => weight),
    [1, 3],
  );
  assert.equal(config.log.access.path, 'off');
  assert.equal(config.admin.listen, null);
});

test('parseConfig() makes A-labels of international host names', async () => {
  const { config } = await parseConfig(GOOD.replace('shop.example.com', '"*.Bücher.Example."'), 'site.yaml');
  assert.equal(config.listeners[0]?.routes?.[0]?.match.host?.host, '*.xn--bcher-kva.example');
});

test('where() gives the place of a setting, or of the nearest one around it', async () => {
  const { where } = await parseConfig(GOOD, 'site.yaml');
  assert.deepEqual(where(['listeners', 0, 'routes', 1, 'to']), { file: 'site.yaml', line: 10, column: 13 });
  assert.deepEqual(where(['listeners', 0, 'socket', 'backlog']), { file: 'site.yaml', line: 2, column: 5 });
  assert.deepEqual(where(['limits']), { file: 'site.yaml', line: 1, column: 1 });
});

const ADDRESSES = "'0.0.0.0:443', '[::]:443', ':443' (all addresses), 'localhost:8443' or 'unix:/path'";
const TARGETS = "'10.0.0.1:8080', '[fd00::1]:8080', 'app.internal:8080' or 'unix:/path'";
const DURATIONS = "a duration with its unit, as '500ms', '30s', '1m30s' or '1h'";

const WRONG: readonly (readonly [claim: string, from: string, to: string, ...errors: string[]])[] = [
  ['a misspelt setting', 'routes:', 'rutes:', `7:5: listeners[0].rutes: unknown setting 'rutes'; did you mean 'routes'?`],
  [
    'a misspelt setting of another case',
    'certificates:',
    'Certificates:',
    `5:7: listeners[0].tls.Certificates: unknown setting 'Certificates'; did you mean 'certificates'?`,
  ],
  [
    'an abbreviated setting',
    'certificate: shop.pem',
    'cert: shop.pem',
    `6:13: listeners[0].tls.certificates[0].cert: unknown setting 'cert'; did you mean 'certificate'?`,
  ],
  [
    'a setting that is like none',
    '    routes:',
    '    colour: red\n    routes:',
    `7:5: listeners[0].colour: unknown setting 'colour'; allowed here: name, address, protocol, tls, routes, redirect, forwarded, trustedProxies, traceparent, hsts, errorPages, access, socket`,
  ],
  [
    'a setting of the design',
    '    routes:',
    '    proxyProtocol: true\n    routes:',
    `7:5: listeners[0].proxyProtocol: 'proxyProtocol' is not available yet`,
  ],
  [
    'a protocol of the design',
    '    routes:',
    '    protocol: tcp\n    routes:',
    `7:15: listeners[0].protocol: 'tcp' is not available yet; allowed: http`,
  ],
  [
    'a balance of the design',
    '  - name: api',
    '    balance: least-connections\n  - name: api',
    `14:14: upstreams[0].balance: 'least-connections' is not available yet; allowed: round-robin`,
  ],
  ['TLS to an upstream', '  - name: api', '    tls: {}\n  - name: api', `14:5: upstreams[0].tls: 'tls' is not available yet`],
  [
    'a log format of the design',
    'listeners:',
    'log: { access: { path: a.log, format: logfmt } }\nlisteners:',
    `1:39: log.access.format: 'logfmt' is not available yet; allowed: json, combined, common`,
  ],
  [
    'client certificates',
    '      certificates:',
    '      clients: required\n      certificates:',
    `5:7: listeners[0].tls.clients: 'clients' is not available yet`,
  ],
  [
    'a misspelt policy',
    '      certificates:',
    '      policy: moderne\n      certificates:',
    `5:15: listeners[0].tls.policy: found 'moderne', allowed: intermediate, modern; did you mean 'modern'?`,
  ],
  ['an unknown upstream', 'to: web', 'to: wbe', `10:13: listeners[0].routes[1].to: there is no upstream 'wbe'; did you mean 'web'?`],
  [
    'an upstream like none',
    'to: web',
    'to: backend',
    `10:13: listeners[0].routes[1].to: there is no upstream 'backend'; there are: web, api`,
  ],
  ['a number for an address', '"0.0.0.0:443"', '443', `3:14: listeners[0].address: found 443, expected an address as ${ADDRESSES}`],
  [
    'an address without a port',
    '"0.0.0.0:443"',
    '10.0.0.1',
    `3:14: listeners[0].address: found '10.0.0.1' without a port; expected an address as ${ADDRESSES}`,
  ],
  [
    'a port that is none',
    '"0.0.0.0:443"',
    '"0.0.0.0:70000"',
    `3:14: listeners[0].address: found '0.0.0.0:70000': port 70000 is above 65535`,
  ],
  [
    'a name to listen on',
    '"0.0.0.0:443"',
    '"shop.example.com:443"',
    `3:14: listeners[0].address: found 'shop.example.com:443', expected an address as ${ADDRESSES}; a listener needs an IP address, not a name`,
  ],
  [
    'IPv6 without brackets',
    '"0.0.0.0:443"',
    '"::1"',
    `3:14: listeners[0].address: found '::1' without a port; an IPv6 address is written in brackets, as '[::1]:443'`,
  ],
  [
    'IPv6 without quotes',
    '"0.0.0.0:443"',
    '[::]:443',
    `3:18: Unexpected scalar at node end (an IPv6 address is written in quotes: "[::]:443")`,
  ],
  [
    'a URL for a target',
    '10.0.0.1:8080',
    'http://10.0.0.1:8080/',
    `13:15: upstreams[0].targets[0].address: found 'http://10.0.0.1:8080/', which is a URL; expected an address as ${TARGETS}, without 'http://' and without a path`,
  ],
  [
    'a target that is no address',
    '10.0.0.1:8080',
    '10.0.0.256:8080',
    `13:15: upstreams[0].targets[0].address: found '10.0.0.256:8080': '10.0.0.256' is not an IPv4 address`,
  ],
  [
    'every address for a target',
    '10.0.0.1:8080',
    '0.0.0.0:8080',
    `13:15: upstreams[0].targets[0].address: found '0.0.0.0:8080': 0.0.0.0 is every address and no target; write 127.0.0.1 for this machine`,
  ],
  [
    'a weight of nothing',
    '"10.0.0.1:8080"',
    '{ address: "10.0.0.1:8080", weight: 0 }',
    `13:51: upstreams[0].targets[0].weight: found 0, expected a whole number from 1 to 256`,
  ],
  [
    'an upstream without targets',
    '["10.0.0.1:8080"]',
    '[]',
    '13:14: upstreams[0].targets: found an empty list, expected a list of targets',
  ],
  [
    'an empty section',
    '      certificates:\n        - { certificate: shop.pem, key: shop.key }\n',
    '',
    '4:9: listeners[0].tls: found nothing, expected a mapping of policy, certificates, engine, library, compressCertificates, tickets, strict, names',
  ],
  ['a duration without a unit', 'listeners:', 'timeouts: { idle: 75 }\nlisteners:', `1:19: timeouts.idle: found 75, expected ${DURATIONS}`],
  [
    'a duration out of bounds',
    'listeners:',
    'timeouts: { handshake: 2h }\nlisteners:',
    "1:24: timeouts.handshake: found '2h', expected a duration from 10ms to 1h",
  ],
  [
    'a size of another unit',
    'listeners:',
    'limits: { head: 16KB }\nlisteners:',
    "1:17: limits.head: found '16KB', expected a size with its unit, as '512B', '64KiB' or '1MiB'",
  ],
  [
    'a size out of bounds',
    'listeners:',
    'limits: { head: 1MiB }\nlisteners:',
    "1:17: limits.head: found '1MiB', expected a size from 1KiB to 32KiB",
  ],
  [
    'a target larger than the head',
    'listeners:',
    'limits: { head: 4KiB }\nlisteners:',
    '1:9: limits.target: the longest target must be smaller than the largest head',
  ],
  ['no workers', 'listeners:', 'workers: 0\nlisteners:', `1:10: workers: found 0, expected 'auto' or a whole number from 1 to 256`],
  [
    'workers in words',
    'listeners:',
    'workers: all\nlisteners:',
    `1:10: workers: found 'all', expected 'auto' or a whole number from 1 to 256`,
  ],
  [
    'a yes for a true',
    '      certificates:',
    '      tickets: yes\n      certificates:',
    "5:16: listeners[0].tls.tickets: found 'yes', expected true or false",
  ],
  [
    'a host with a port',
    'shop.example.com',
    '"shop.example.com:443"',
    `8:24: listeners[0].routes[0].match.host: found 'shop.example.com:443', expected a host name as 'shop.example.com', or '*.example.com', without a port`,
  ],
  [
    'a star within a host',
    'shop.example.com',
    '"shop.*.com"',
    `8:24: listeners[0].routes[0].match.host: found 'shop.*.com': '*' may stand only for the first label; expected a host name as 'shop.example.com', or '*.example.com'`,
  ],
  [
    'a star without quotes',
    'host: shop.example.com',
    'host: *.example.com',
    `8:24: listeners[0].routes[0].match.host: there is no anchor '&.example.com' before the alias '*.example.com'; a value that begins with '*' is written in quotes`,
  ],
  [
    'a star within a path',
    '/api/*',
    '/api/*/v1',
    `8:48: listeners[0].routes[0].match.path: found '/api/*/v1': '*' may stand only at the end; expected a path that begins with '/', as '/login', or with '*' at its end as '/api/*'`,
  ],
  [
    'a path that does not begin',
    '/api/*',
    'api',
    `8:48: listeners[0].routes[0].match.path: found 'api', expected a path that begins with '/', as '/login', or with '*' at its end as '/api/*'`,
  ],
  [
    'a path outside ASCII',
    '/api/*',
    '/bücher',
    `8:48: listeners[0].routes[0].match.path: found '/bücher': spaces and characters outside ASCII are written percent-encoded, as '/b%C3%BCcher'`,
  ],
  [
    'two upstreams of one name',
    'name: api',
    'name: web',
    "9:13: listeners[0].routes[0].to: there is no upstream 'api'; there are: web",
    "14:11: upstreams[1].name: another upstream is named 'web' already on line 12",
  ],
  [
    'a name that is none',
    '- name: api',
    '- name: "a b"',
    "9:13: listeners[0].routes[0].to: there is no upstream 'api'; there are: web, a b",
    "14:11: upstreams[1].name: found 'a b', expected a name of letters, digits, '-', '_' and '.', 64 at most, beginning with a letter or digit",
  ],
  [
    'the address of the admin interface',
    '0.0.0.0:443',
    '127.0.0.1:9901',
    '3:14: listeners[0].address: 127.0.0.1:9901 is the address of the admin interface already',
  ],
  [
    'a setting of TCP on a Unix socket',
    '"0.0.0.0:443"',
    'unix:web.sock\n    socket: { keepAlive: 30s }',
    "4:26: listeners[0].socket.keepAlive: 'keepAlive' is a setting of TCP, and the listener is a Unix socket",
  ],
  [
    'a key in the place of its path',
    'key: shop.key',
    'key: "-----BEGIN PRIVATE KEY-----\\nMIGH\\n"',
    '6:41: listeners[0].tls.certificates[0].key: found the text of a PEM file, expected the path of a PEM file with the private key',
  ],
  [
    'a home directory',
    'key: shop.key',
    'key: ~/shop.key',
    "6:41: listeners[0].tls.certificates[0].key: found '~/shop.key': '~' is not expanded here; write the whole path",
  ],
  [
    'a setting twice',
    '    routes:',
    '    name: again\n    routes:',
    `7:5: listeners[0].name: 'name' is set twice; it stands on line 2 already`,
  ],
  [
    'a merge key',
    'listeners:',
    '<<: { workers: 1 }\nlisteners:',
    `1:1: ["<<"]: merge keys ('<<') are not read; use an alias ('*name') for a value as a whole`,
  ],
  ['a second document', 'upstreams:', '---\nupstreams:', "11:1: a second document begins here ('---'); one file is one configuration"],
  ['a tag', 'name: api', 'name: !secret api', '14:11: Unresolved tag: !secret'],
  ['a tab', '    routes:', '\troutes:', '7:1: Tabs are not allowed as indentation (YAML is indented with spaces, not tabs)'],
  [
    'a prototype',
    'listeners:',
    '__proto__: { a: 1 }\nlisteners:',
    "1:1: __proto__: unknown setting '__proto__'; allowed here: admin, workers, runtime, user, group, watch, log, listeners, upstreams, timeouts, limits, clients, telemetry",
  ],
];

for (const [claim, from, to, ...errors] of WRONG) {
  test(`parseConfig() refuses ${claim}`, async () => {
    assert.deepEqual(
      await errorsOf(from, to),
      errors.map((error) => `site.yaml:${error}`),
    );
  });
}

test('parseConfig() gives all errors at once, in the order of the file', async () => {
  const text = GOOD.replace('name: web', 'name: 7').replace('to: web', 'to: wbe').replace('["10.0.0.3:8080"]', 'none');
  assert.deepEqual(
    (await errorsOfText(`${text}timeouts: { idle: 1 }\n`)).map((line) => line.split(':').slice(1, 2).join()),
    ['2', '10', '15', '16'],
  );
});

test('parseConfig() never repeats more of a value than a line of it', async () => {
  const [line, ...more] = await errorsOf('api\n', `"${'x'.repeat(200)}"\n`);
  assert.equal(more.length, 0);
  assert.match(line!, /found 'x{57}\.\.\.'/);
  assert.deepEqual(await errorsOf('0.0.0.0:443', 'a\\nb'), [
    `site.yaml:3:14: listeners[0].address: found text of several lines, expected an address as ${ADDRESSES}`,
  ]);
});

test('parseConfig() refuses what unfolds without end', async () => {
  const levels = Array.from({ length: 9 }, (_, level) => `a${level + 1}: &a${level + 1} [${Array(9).fill(`*a${level}`).join(', ')}]`);
  assert.match((await errorsOfText(['a0: &a0 [x]', ...levels].join('\n'))).join('\n'), /more than 200000 values, aliases unfolded/);
  assert.match((await errorsOfText('x: &a [*a]')).join('\n'), /1:8: x\[0\]: the alias '\*a' stands inside what it refers to/);
  assert.match((await errorsOfText(`a: ${'['.repeat(70)}${']'.repeat(70)}`)).join('\n'), /nested more than 64 deep/);
  assert.deepEqual(await errorsOfText('['.repeat(100_000)), ['site.yaml:1:1: nested more than 64 deep']);
});

test('parseConfig() refuses what is no mapping', async () => {
  const settings = 'admin, workers, runtime, user, group, watch, log, listeners, upstreams, timeouts, limits, clients, telemetry';
  assert.deepEqual(await errorsOfText('just text'), [`site.yaml:1:1: found 'just text', expected a mapping of ${settings}`]);
  assert.deepEqual(await errorsOfText('- a\n- b'), [`site.yaml:1:1: found a list, expected a mapping of ${settings}`]);
  assert.deepEqual(await errorsOfText('# nothing\n'), [
    'site.yaml: the file is empty; a configuration has at least listeners and upstreams',
  ]);
});

test('loadConfig() answers every unreadable file with one sentence', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-load-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const refusal = async (name: string, bytes?: string | Buffer): Promise<string> => {
    const path = join(directory, name);
    if (bytes !== undefined) writeFileSync(path, bytes);
    const error = await loadConfig(path).then(
      () => assert.fail('it was read'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.code, 'config_unreadable');
    assert.equal(error.findings.length, 1);
    return error.message.replaceAll(directory, '').trim();
  };
  assert.equal(await refusal('none.yaml'), '/none.yaml: there is no file /none.yaml');
  assert.equal(await refusal('.'), ':  is a directory, not a file');
  assert.equal(await refusal('empty.yaml', ''), '/empty.yaml: the file is empty; a configuration has at least listeners and upstreams');
  assert.equal(
    await refusal('latin1.yaml', Buffer.from('a: caf\xe9', 'latin1')),
    '/latin1.yaml: the file is not UTF-8 text (first bad byte at offset 6)',
  );
  assert.equal(await refusal('utf16.yaml', Buffer.from('\ufeffa: 1', 'utf16le')), '/utf16.yaml: the file is UTF-16; save it as UTF-8');
  assert.equal(
    await refusal('zero.yaml', 'a: 1\nb: \0'),
    '/zero.yaml: the file holds a control character (U+0000) on line 2; is it a text file?',
  );
  assert.equal(
    await refusal('large.yaml', Buffer.alloc(CONFIG_BYTES_MAX + 1, 0x20)),
    '/large.yaml: /large.yaml is larger than 4194304 bytes',
  );
  assert.equal(await refusal('good.yaml/x', undefined).catch(String), '/good.yaml/x: there is no file /good.yaml/x');
  if (process.geteuid?.() !== 0) {
    writeFileSync(join(directory, 'closed.yaml'), GOOD);
    chmodSync(join(directory, 'closed.yaml'), 0);
    assert.match(await refusal('closed.yaml'), /may not be read by this user/);
  }
});

test('loadConfig() reads a byte order mark and CRLF', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-load-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'site.yaml');
  writeFileSync(path, `\ufeff${GOOD.replaceAll('\n', '\r\n')}`);
  assert.equal((await loadConfig(path)).config.listeners.length, 1);
});

test('loadConfig() loads every example', async () => {
  const directory = join(import.meta.dirname, '../../examples');
  const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
  assert.ok(files.length >= 2);
  for (const file of files) assert.ok((await loadConfig(join(directory, file))).config.listeners.length > 0, file);
});

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { TollgateError } from '../../base/tollgate-error.ts';
import { importConfig } from './import-config.ts';
import { type ImportKind, kindOfFile } from './kind-of-file.ts';
import { noteText } from './notes.ts';
import { SOURCE_BYTES_MAX } from './source-text.ts';

const GOLDENS = fileURLToPath(new URL('../../../test/golden/import', import.meta.url));

function ground(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-import-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function imported(t: TestContext, name: string, text: string | Buffer, kind: ImportKind | null = null) {
  const path = join(ground(t), name);
  writeFileSync(path, text);
  const result = await importConfig(path, kind);
  const config = parse(result.yaml) as Record<string, unknown> & {
    listeners: Record<string, unknown>[];
    upstreams?: Record<string, unknown>[];
  };
  return { ...result, config, said: result.notes.map(noteText).join('\n') };
}

function routesOf(config: { listeners: Record<string, unknown>[] }): readonly unknown[] {
  const routes = config.listeners[0]?.routes;
  return Array.isArray(routes) ? routes : [];
}

const SITE = (inner: string): string => `server { listen 80; ${inner} location / { proxy_pass http://127.0.0.1:1; } }`;

test('importConfig() escapes what would be a variable of ours', async (t) => {
  const { yaml, config } = await imported(
    t,
    'nginx.conf',
    SITE(
      "location /x { add_header Content-Type text/css; return 200 'a${'; } location /y { proxy_pass http://127.0.0.1:1; add_header X-A 'b \\'\\' c'; }",
    ).replace("'a${'", '"a$"'),
  );
  assert.match(yaml, /body: a\$/);
  assert.equal(routesOf(config).length, 3);
  const haproxy = await imported(
    t,
    'haproxy.cfg',
    "defaults\n mode http\nfrontend a\n bind :80\n http-request return status 200 string '${HOME} $${x}' if { path /x }\n http-response set-header X-A '${file:/etc/passwd}'\n default_backend b\nbackend b\n server s 127.0.0.1:1\n",
  );
  assert.match(haproxy.yaml, /body: "\$\$\{HOME\} \$\$\$\{x\}"/);
  assert.match(haproxy.yaml, /\$\$\{\{file:\/etc\/passwd\}\}/);
});

test('importConfig() keeps out whom a rule kept out that has no counterpart', async (t) => {
  const { config, said } = await imported(
    t,
    'nginx.conf',
    `server { listen 443 ssl; ssl_certificate a; ssl_certificate_key b; ssl_verify_client on; location / { proxy_pass http://127.0.0.1:1; } }
     server { listen 81; auth_basic "x"; location / { proxy_pass http://127.0.0.1:1; } }
     server { listen 82; auth_request /no; location / { proxy_pass http://127.0.0.1:1; } }`,
  );
  assert.deepEqual(
    config.listeners.map(({ routes }) => routes),
    [[{ respond: { status: 403 } }], [{ respond: { status: 403 } }], [{ respond: { status: 403 } }]],
  );
  assert.match(said, /client certificates are not translated: these requests are answered 403/);
});

test('importConfig() takes no word of a configuration for one of JavaScript', async (t) => {
  for (const [file, text] of [
    ['nginx.conf', 'server { listen 81; location / { proxy_pass http://127.0.0.1:1; proxy_set_header constructor x; } }'],
    [
      'haproxy.cfg',
      'frontend a\n mode http\n bind :81\n http-request deny if toString\n default_backend b\nbackend b\n mode http\n server c 127.0.0.1:1\n',
    ],
  ] as const)
    assert.equal((await imported(t, file, text)).config.listeners.length, 1);
});

test('importConfig() has an address of IPv4 for IPv4 alone, whatever is said of IPv6', async (t) => {
  const { config } = await imported(
    t,
    'nginx.conf',
    'server { listen 127.0.0.1:81 ipv6only=off; listen [::1]:82 ipv6only=off; location / { proxy_pass http://127.0.0.1:1; } }',
  );
  assert.deepEqual(
    config.listeners.map(({ address }) => address),
    ['127.0.0.1:81', '[::1]:82'],
  );
});

test('importConfig() takes no name of a file that goes over several lines', async (t) => {
  const { config, said } = await imported(
    t,
    'nginx.conf',
    `error_log "a\nb"; http { access_log "a\nb";
     server { listen 81; auth_basic "x"; auth_basic_user_file "a\nb"; location / { proxy_pass http://127.0.0.1:1; } }
     server { listen 443 ssl; ssl_certificate a; ssl_certificate_key "a\nb"; location / { proxy_pass http://127.0.0.1:1; } } }`,
  );
  assert.deepEqual(config.listeners[0]?.routes, [{ respond: { status: 403 } }]);
  for (const each of [/the name of a log is known beforehand/, /there is no file of users/, /files with a name that is known beforehand/])
    assert.match(said, each);
});

test('importConfig() never sends over what was TLS without it', async (t) => {
  const unverified = [{ insecureSkipVerification: true }];
  const haproxy = await imported(t, 'haproxy.cfg', 'defaults\n mode http\nlisten a\n bind :80\n server s 127.0.0.1:1 ssl verify none\n');
  assert.deepEqual(
    haproxy.config.upstreams?.map(({ tls }) => tls),
    unverified,
  );
  const nginx = await imported(t, 'nginx.conf', 'server { listen 83; location / { proxy_pass https://127.0.0.1; } }');
  assert.deepEqual(
    nginx.config.upstreams?.map(({ tls }) => tls),
    unverified,
  );
  assert.deepEqual(nginx.config.upstreams?.[0]?.targets, ['127.0.0.1:443']);
  assert.match(nginx.said, /proxy_pass https:\/\/127\.0\.0\.1'.*whoever answers is believed there as here/);
  await assert.rejects(
    imported(t, 'haproxy.cfg', 'defaults\n mode http\nlisten a\n bind :443 ssl crt-list /none\n server s 127.0.0.1:1\n'),
    /has nothing that Tollgate could listen for \(.*there is no file \/none\)/,
  );
});

test('importConfig() shows no password and no key', async (t) => {
  const { said, yaml } = await imported(
    t,
    'haproxy.cfg',
    'userlist u\n user anna insecure-password topsecret\ndefaults\n mode http\nfrontend a\n bind :80\n http-request auth unless { http_auth(u) }\n',
  );
  assert.doesNotMatch(said + yaml, /topsecret/);
  assert.match(yaml, /respond: \{ status: 403 \}/);
});

const UNREADABLE: readonly (readonly [name: string, text: string | Buffer, error: RegExp])[] = [
  ['nginx.conf', 'http { server {', /nginx\.conf:1: the block that begins here has no end/],
  ['nginx.conf', '', /looks neither like nginx's configuration nor like HAProxy's; say which with --from/],
  ['nginx.conf', 'events {} http {}', /nginx\.conf has nothing that Tollgate could listen for/],
  ['nginx.conf', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1, 2]), /nginx\.conf:1: a control character \(U\+007F\); is it a text file\?/],
  ['nginx.conf', Buffer.alloc(SOURCE_BYTES_MAX + 1, 'a'), /is larger than 4194304 bytes/],
  ['haproxy.cfg', 'global\n a "b\n', /haproxy\.cfg:2: the text that begins with " has no end/],
  ['haproxy.cfg', 'global\ndefaults\nfrontend a\n bind :80\n', /nothing that Tollgate could listen for \(.*it is of mode tcp/],
  ['settings', 'key = value\n', /looks neither like/],
];

test('importConfig() has one sentence for what it cannot read', async (t) => {
  for (const [name, text, expected] of UNREADABLE) {
    await assert.rejects(
      imported(t, name, text),
      (error) => error instanceof TollgateError && expected.test(error.message) && !error.message.includes('\n'),
      `${name} ${String(text).slice(0, 40)}`,
    );
  }
  await assert.rejects(importConfig('/none/nginx.conf', null), /there is no file \/none\/nginx\.conf/);
  await assert.rejects(importConfig('/', null), /\/ is a directory, not a file/);
  await assert.rejects(imported(t, 'x', SITE(''), 'haproxy'), /x:1: a setting stands before the first section/);
});

test('importConfig() bounds a file of many servers, locations and names', async (t) => {
  const names = Array.from({ length: 400 }, (_, i) => `h${i}.test`).join(' ');
  const locations = Array.from({ length: 60 }, (_, i) => `location /p${i} { proxy_pass http://127.0.0.1:1; }`).join('\n');
  const { config, said } = await imported(t, 'nginx.conf', `${SITE('')} server { listen 80; server_name ${names}; ${locations} }`);
  assert.equal(routesOf(config).length, 10_000);
  assert.match(said, /routes at one address; 10000 at most/);
  const rules = Array.from({ length: 3_000 }, (_, i) => ` use_backend b if { hdr(x) ${i} }`).join('\n');
  const many = await imported(
    t,
    'haproxy.cfg',
    `defaults\n mode http\nfrontend a\n bind :80\n${rules}\nbackend b\n server s 127.0.0.1:1\n`,
  );
  assert.ok(many.lost > 0);
  assert.match(many.yaml, new RegExp(`^# ${many.lost} more, which found no room here$`, 'm'));
});

test('kindOfFile() knows the two by their words, and says when it does not', () => {
  for (const folder of ['nginx-site', 'nginx-corners'])
    assert.equal(kindOfFile('x', readFileSync(join(GOLDENS, folder, 'nginx.conf'), 'utf8')), 'nginx');
  for (const folder of ['haproxy-site', 'haproxy-corners'])
    assert.equal(kindOfFile('x', readFileSync(join(GOLDENS, folder, 'haproxy.cfg'), 'utf8')), 'haproxy');
  assert.equal(kindOfFile('any', 'server {\n listen 80;\n}\n'), 'nginx');
  assert.equal(kindOfFile('any', 'a b\nc d\n'), null);
  assert.equal(kindOfFile('any.yaml', 'listeners:\n  - name: web\n'), null);
});

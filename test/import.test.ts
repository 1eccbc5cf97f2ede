/** The same requests to nginx or HAProxy, and to Tollgate with what `tollgate config import` made of their configuration: the same answers. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { ca, leaf } from './support/certificates.ts';
import { httpOrigin } from './support/origin.ts';
import { startPeer } from './support/peer.ts';
import { testPort } from './support/test-port.ts';
import { PROGRAM, Tollgate } from './support/tollgate.ts';

interface Ask {
  readonly path: string;
  readonly host?: string;
  /** Default: with TLS. */
  readonly plain?: boolean;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Ports {
  readonly plain: number;
  readonly tls: number;
}

/** Fields of servers' answers that are compared, besides Location: Tollgate's own have none added, as the import says. */
const ANSWER_FIELDS = ['x-answer', 'x-second', 'strict-transport-security', 'www-authenticate', 'x-origin', 'x-hidden', 'x-tls'];
/** Fields of requests as servers see them. Who came in by which scheme Tollgate tells in every request, asked or not. */
const REQUEST_FIELDS = ['host', 'x-trace', 'x-static', 'x-path', 'x-dropped', 'x-user', 'x-client'];

/** What a client can tell of an answer, in one line for each thing. */
async function ask(ports: Ports, { path, host = 'shop.test', plain = false, method = 'GET', headers = {}, body }: Ask): Promise<string> {
  const port = plain ? ports.plain : ports.tls;
  return await new Promise((resolve, reject) => {
    const send = plain ? requestPlain : requestTls;
    const sent = send({
      host: '127.0.0.1',
      port,
      path,
      method,
      servername: 'shop.test',
      ca,
      agent: false,
      headers: { Host: host, ...headers },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const { location, 'content-type': type } = response.headers;
        const lines = [`${response.statusCode}`];
        if (location !== undefined) lines.push(`location: ${new URL(location, `${plain ? 'http' : 'https'}://${host}:${port}`)}`);
        for (const name of ANSWER_FIELDS)
          if (response.statusCode === 200 && 'x-origin' in response.headers && response.headers[name] !== undefined)
            lines.push(`${name}: ${response.headers[name]}`);
        // Pages about errors and redirects are everybody's own.
        if (response.statusCode === 200) lines.push(text.startsWith('{"origin"') ? text : `${type}: ${text}`);
        resolve(lines.join('\n'));
      });
    });
    sent.end(body);
  });
}

/** Servers that say who they are and what they were asked. */
async function origins(t: TestContext, names: readonly string[]): Promise<readonly number[]> {
  const made = names.map(async (name) => {
    const { port } = await httpOrigin(t, (message, response) => {
      message.resume();
      message.on('end', () => {
        const { method, url, headers } = message;
        // nginx's $host is in lower case; here it goes on as it came.
        headers.host = headers.host?.toLowerCase();
        const seen = Object.fromEntries(REQUEST_FIELDS.flatMap((field) => (headers[field] === undefined ? [] : [[field, headers[field]]])));
        response.writeHead(url === '/gate/check' && headers['x-badge'] !== 'gold' ? 403 : 200, {
          'X-Origin': name,
          'X-Hidden': 'secret',
          'X-User': 'anna',
        });
        response.end(JSON.stringify({ origin: name, method, url, seen }));
      });
    });
    return port;
  });
  return await Promise.all(made);
}

async function twoPorts(): Promise<Ports> {
  return { plain: await testPort(), tls: await testPort() };
}

/** Imports `file`, checks the result as it is, and serves it from the same ports. */
async function serve(t: TestContext, file: string, directory: string): Promise<string> {
  const output = join(directory, 'tollgate.yaml');
  const imported = spawnSync(process.execPath, [PROGRAM, 'config', 'import', file, '--output', output], { encoding: 'utf8' });
  assert.equal(imported.status, 0, imported.stderr);
  assert.doesNotMatch(imported.stderr, /UNGUARDED/);
  const checked = spawnSync(process.execPath, [PROGRAM, 'check', output], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stderr);
  const { listeners, upstreams, timeouts, limits } = parse(readFileSync(output, 'utf8')) as Record<string, unknown>;
  await Tollgate.start(t, { config: stringify({ listeners, upstreams, timeouts, limits }) });
  return imported.stderr;
}

async function compare(
  t: TestContext,
  asks: readonly Ask[],
  ports: Ports,
  peer: () => Promise<{ end(): Promise<void> }>,
  file: string,
  directory: string,
): Promise<void> {
  const running = await peer();
  const expected: string[] = [];
  for (const each of asks) expected.push(await ask(ports, each));
  await running.end();
  const notes = await serve(t, file, directory);
  for (const [index, each] of asks.entries()) {
    assert.equal(await ask(ports, each), expected[index], `${JSON.stringify(each)}\n${notes}`);
  }
}

function folder(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-import-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('config import of nginx.conf: Tollgate answers as nginx does', async (t) => {
  const directory = folder(t);
  const ports = await twoPorts();
  const [a, b, c] = await origins(t, ['a', 'b', 'c']);
  const pair = leaf(['shop.test', '*.shop.test', 'other.test']);
  const hash = execFileSync('openssl', ['passwd', '-6', 'secret'], { encoding: 'utf8' }).trim();
  writeFileSync(join(directory, 'users'), `anna:${hash}\n`);
  mkdirSync(join(directory, 'sites'));
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${directory}/${each};`).join(' ');
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 512; }
http {
  ${temp} access_log off;
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Real-IP $remote_addr;
  ssl_certificate ${pair.certificate}; ssl_certificate_key ${pair.key};
  upstream b { server 127.0.0.1:${b} weight=2; keepalive 8; }
  include sites/*.conf;
}
`,
  );
  writeFileSync(
    join(directory, 'sites/plain.conf'),
    `server {
  listen 127.0.0.1:${ports.plain};
  server_name shop.test www.shop.test;
  if ($host = www.shop.test) { return 301 https://shop.test$request_uri; }
  if ($scheme = http) { return 308 https://$host$request_uri; }
  location / { proxy_pass http://b; }
}
server { listen 127.0.0.1:${ports.plain} default_server; server_name _; return 404; }
server { listen 127.0.0.1:${ports.plain}; server_name old.test; rewrite ^/there$ https://shop.test/here redirect; rewrite ^/(.*)$ https://other.test/$1 permanent; }
server { listen 127.0.0.1:${ports.plain}; server_name *.wild.test; location /x { return 200 "wild"; } }
server { listen 127.0.0.1:${ports.plain}; server_name *.deep.wild.test exact.wild.test; location / { return 200 "deep"; } }
`,
  );
  writeFileSync(
    join(directory, 'sites/shop.conf'),
    `server {
  listen 127.0.0.1:${ports.tls} ssl;
  server_name .shop.test shop.test;
  add_header X-Answer "from {shop}" always;
  add_header Strict-Transport-Security "max-age=600" always;
  location / { proxy_pass http://127.0.0.1:${a}; }
  location /api { proxy_pass http://b; proxy_set_header Host $proxy_host; }
  location /api/v1/ {
    proxy_pass http://127.0.0.1:${c};
    proxy_set_header Host $http_host; proxy_set_header X-Trace "m $request_method {p}"; proxy_set_header X-Path $request_uri; proxy_set_header X-Static 'a "b"; c';
    proxy_set_header X-Dropped "";
    add_header X-Second "two; \${scheme}" always; proxy_hide_header X-Hidden;
    location /api/v1/inner/ { proxy_pass http://b; }
  }
  location ~ ^/api/re/ { proxy_pass http://127.0.0.1:${c}; }
  location ~ ^/api/v1/one\\.txt$ { return 200 "one"; }
  location ^~ /fixed/ { proxy_pass http://b/fixed/; }
  location ~ ^/fixed/ { return 200 "never"; }
  location = /exact { default_type text/html; return 200 "<p>exact</p>"; }
  location = /empty { return 204; }
  location = /gone { return 410; }
  location /moved { return 301 /exact; }
  location /far/ { return 302 https://other.test$request_uri; }
  location /see { return 303 $scheme://$host/exact?from=$uri; }
  location /closed { deny all; proxy_pass http://b; }
  location /near { allow 127.0.0.0/8; deny all; proxy_pass http://b; }
  location /lists { deny 127.0.0.1; allow 127.0.0.0/8; deny all; proxy_pass http://b; }
  location /secret { auth_basic "Staff only"; auth_basic_user_file users; proxy_pass http://b; }
  location /gated { auth_request /gate/check; auth_request_set $user $upstream_http_x_user; proxy_set_header X-User $user; proxy_pass http://b; }
  location = /gate/check { internal; proxy_pass http://127.0.0.1:${a}; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
  location /small { client_max_body_size 1k; proxy_pass http://b; }
}
server { listen 127.0.0.1:${ports.tls} ssl default_server; server_name other.test .other.test; location / { proxy_pass http://b; } location /api { return 200 "other"; } }
`,
  );
  const asks: readonly Ask[] = [
    ...[
      '/',
      '/x?y=1&z=%20',
      '/api',
      '/apix',
      '/api/',
      '/api/v1',
      '/api/v1/',
      '/api/v1/two?q=1',
      '/api/v1/inner/x',
      '/api/v1/one.txt',
      '/api/v1/oneXtxt',
    ].map((path) => ({ path })),
    ...[
      '/api/re/x',
      '/fixed/x',
      '/fixed',
      '/exact',
      '/exact/',
      '/exact?q=1',
      '/empty',
      '/gone',
      '/moved',
      '/moved/on?q=1',
      '/far/away?q=1',
      '/see',
    ].map((path) => ({ path })),
    ...[
      '/closed',
      '/near',
      '/lists',
      '/secret',
      '/gated',
      '/gate/check',
      '/api%2fv1/x',
      '//api/v1/x',
      '/api/v1/../re/x',
      '/%61pi/v1/x',
    ].map((path) => ({ path })),
    { path: '/secret', headers: { Authorization: `Basic ${Buffer.from('anna:secret').toString('base64')}` } },
    { path: '/secret', headers: { Authorization: `Basic ${Buffer.from('anna:wrong').toString('base64')}` } },
    { path: '/gated/x', headers: { 'X-Badge': 'gold' } },
    { path: '/api/v1/x', headers: { 'X-Dropped': 'by the client', 'X-Trace': 'mine' } },
    { path: '/api/v1/x', host: 'shop.test:8443' },
    { path: '/small', method: 'POST', body: 'x'.repeat(1_000) },
    { path: '/small', method: 'POST', body: 'x'.repeat(1_100) },
    { path: '/api', method: 'PUT', body: 'something' },
    ...['any.shop.test', 'deep.any.shop.test', 'other.test', 'below.other.test', 'SHOP.test', 'unknown.test'].flatMap((host) =>
      ['/', '/api/v1/x', '/exact'].map((path) => ({ path, host })),
    ),
    ...['shop.test', 'www.shop.test', 'old.test', 'a.wild.test', 'b.deep.wild.test', 'exact.wild.test', 'unknown.test'].flatMap((host) =>
      ['/', '/there', '/x', '/some/where?q=1'].map((path) => ({ path, host, plain: true })),
    ),
  ];
  const start = async () =>
    await startPeer(
      t,
      'nginx',
      ['-p', directory, '-e', join(directory, 'error.log'), '-c', join(directory, 'nginx.conf')],
      [ports.plain, ports.tls],
    );
  await compare(t, asks, ports, start, join(directory, 'nginx.conf'), directory);
});

test('config import of haproxy.cfg: Tollgate answers as HAProxy does', async (t) => {
  const directory = folder(t);
  const ports = await twoPorts();
  const [a, b, c] = await origins(t, ['a', 'b', 'c']);
  const pair = leaf(['shop.test', '*.shop.test', 'other.test']);
  mkdirSync(join(directory, 'certs'));
  writeFileSync(join(directory, 'certs/shop.pem'), readFileSync(pair.certificate, 'utf8') + readFileSync(pair.key, 'utf8'), {
    mode: 0o600,
  });
  writeFileSync(
    join(directory, 'haproxy.cfg'),
    `global
  maxconn 500
  crt-base ${directory}/certs
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  option forwardfor
frontend web
  bind 127.0.0.1:${ports.plain}
  bind 127.0.0.1:${ports.tls} ssl crt shop.pem alpn http/1.1
  acl api_host hdr(host) -i api.shop.test api2.shop.test
  acl below hdr(host) -m end .wild.test
  acl admin path_beg /admin
  acl admin path /manage
  acl local src 127.0.0.0/8
  acl challenge path_beg /.well-known/acme-challenge/
  monitor-uri /alive
  http-request deny if admin !local
  http-request deny deny_status 404 if { path_beg /hidden } or { path /secret.txt }
  http-request deny if { path_beg /lists } { src 127.0.0.1 }
  http-request return status 200 content-type text/plain string "fixed {a} \\"b\\"" if { path /fixed }
  http-request redirect location /fixed code 303 if { path /see }
  http-request redirect prefix https://other.test code 307 if { hdr(host) -i old.test } !{ path_beg /keep }
  http-request set-header X-Trace "m %[method] {p}" unless challenge
  http-request set-header X-Static 'a "b"; c'
  http-request add-header X-Path %[path] if admin
  http-request del-header X-Dropped
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
  http-request set-header X-Client %[src]
  http-response set-header X-Answer "from shop"
  http-response set-header X-Tls yes if { ssl_fc }
  http-response del-header X-Hidden
  redirect scheme https code 301 if !{ ssl_fc } !challenge !admin
  use_backend b if challenge
  use_backend c if api_host { path_beg /v2 } or api_host admin
  use_backend b if api_host
  use_backend c if below || { path -m beg /c/ }
  use_backend gone if { hdr(host) gone.test }
  default_backend a
backend a
  server a 127.0.0.1:${a}
backend b
  http-request set-header Host inner.test
  http-request redirect location https://shop.test/elsewhere?x=%[path] if { path /from-b }
  http-response add-header X-Second b
  server b 127.0.0.1:${b} weight 3
backend c
  http-request del-header X-Trace if { path_beg /v2/plain }
  server c 127.0.0.1:${c}
backend gone
  http-request deny deny_status 410
  server a 127.0.0.1:${a}
`,
  );
  const paths = [
    '/',
    '/x?q=1',
    '/admin',
    '/administration',
    '/manage',
    '/manage/x',
    '/hidden/x',
    '/secret.txt',
    '/lists',
    '/fixed',
    '/see',
    '/v2/x',
    '/v2/plain',
    '/from-b',
  ];
  const asks: readonly Ask[] = [
    ...['shop.test', 'api.shop.test', 'API2.shop.test', 'a.wild.test', 'deep.a.wild.test', 'wild.test', 'old.test', 'gone.test'].flatMap(
      (host) =>
        [...paths, '/.well-known/acme-challenge/token', '/c/x', '/keep/x', '/alive'].flatMap((path) =>
          [true, false].map((plain) => ({ path, host, plain })),
        ),
    ),
    { path: '/v2/x', host: 'api.shop.test', headers: { 'X-Dropped': '1', 'X-Trace': 'mine', 'X-Static': 'mine', 'X-Path': 'mine' } },
    { path: '/admin', headers: { 'X-Path': 'mine' } },
    { path: '/upload', method: 'POST', body: 'something' },
  ];
  const start = async () => await startPeer(t, 'haproxy', ['-db', '-f', join(directory, 'haproxy.cfg')], [ports.plain, ports.tls]);
  await compare(t, asks, ports, start, join(directory, 'haproxy.cfg'), directory);
});

test('config import keeps what is there, tells programs, and ends with 1 when nothing can be made of a file', async (t) => {
  const directory = folder(t);
  const run = (...args: readonly string[]) =>
    spawnSync(process.execPath, [PROGRAM, 'config', 'import', ...args], { encoding: 'utf8', cwd: directory });
  writeFileSync(
    join(directory, 'site'),
    'server { listen 80; gzip_static on; unheard of; location / { proxy_pass http://127.0.0.1:1; } }\n',
  );
  const text = run('site');
  assert.equal(text.status, 0);
  assert.match(
    text.stdout,
    /^# Made from site by tollgate config import\.\n#\n# site:1: 'unheard of': not translated: there is nothing like it\n\nlisteners:\n/,
  );
  assert.equal(
    text.stderr,
    "site:1: 'unheard of': not translated: there is nothing like it\n1 listeners, 1 upstreams; 1 remarks, above and in the file\n",
  );
  const json = run('site', '--json', '--from', 'nginx');
  assert.equal(json.stderr, '');
  const { kind, yaml, notes, output } = JSON.parse(json.stdout) as { kind: string; yaml: string; notes: unknown[]; output: unknown };
  assert.deepEqual([kind, yaml, output], ['nginx', text.stdout, null]);
  assert.deepEqual(notes, [
    { kind: 'untranslated', file: 'site', line: 1, what: "'unheard of'", why: 'there is nothing like it', instead: null },
  ]);

  const written = run('site', '--output', 'out.yaml');
  assert.deepEqual([written.status, written.stdout], [0, '']);
  assert.equal(readFileSync(join(directory, 'out.yaml'), 'utf8'), text.stdout);
  writeFileSync(join(directory, 'out.yaml'), 'mine');
  const refused = run('site', '--output', 'out.yaml');
  assert.deepEqual([refused.status, refused.stderr], [1, 'there is a file out.yaml already; --force writes over it\n']);
  assert.equal(readFileSync(join(directory, 'out.yaml'), 'utf8'), 'mine');
  assert.equal(run('site', '--output', 'out.yaml', '--force').status, 0);
  assert.equal(readFileSync(join(directory, 'out.yaml'), 'utf8'), text.stdout);

  const wrong = run('site', '--from', 'haproxy');
  assert.deepEqual([wrong.status, wrong.stdout], [1, '']);
  assert.match(wrong.stderr, /^site:1: a setting stands before the first section \(.*\)\n$/);
  assert.deepEqual([run('none').status, run('none').stderr], [1, 'there is no file none\n']);
  assert.equal(run('site', '--from', 'apache').status, 2);
});

/** The access log on destinations that fill up, stall, move away or listen for datagrams; and what no log may ever say. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makePasswordHash } from '../src/config/make-password.ts';
import { sampleOf } from '../src/record/sample.ts';
import { ca, leaf } from './support/certificates.ts';
import { exchange, plainExchange } from './support/client.ts';
import { httpOrigin } from './support/origin.ts';
import { smallDisk } from './support/small-disk.ts';
import { testPort } from './support/test-port.ts';
import { Tollgate, type TollgateOptions, until } from './support/tollgate.ts';

const COMBINED =
  /^127\.0\.0\.1 - (?:-|[^" ]+) \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "(?:[^"\\]|\\x[0-9A-F]{2})*" \d{3} \d+ "(?:[^"\\]|\\x[0-9A-F]{2})*" "(?:[^"\\]|\\x[0-9A-F]{2})*"$/;
const COMMON = /^127\.0\.0\.1 - - \[[^\]]+\] "(?:[^"\\]|\\x[0-9A-F]{2})*" \d{3} \d+$/;
const FORMATS = ['json', 'combined', 'common'] as const;

function assertParses(line: string, format: (typeof FORMATS)[number]): void {
  if (format === 'json') assert.equal(typeof (JSON.parse(line) as { requestId: unknown }).requestId, 'string');
  else assert.match(line, format === 'combined' ? COMBINED : COMMON);
}

function linesOf(text: string): string[] {
  return text.split('\n').slice(0, -1);
}

/** A tollgate in front of `to` whose `log` section is `log`. */
function start(t: TestContext, to: number, log: string, more: Partial<TollgateOptions> = {}): Promise<Tollgate> {
  return Tollgate.start(t, { to, workers: 2, log, ...more });
}

/** Requests over kept-alive connections, `at` times at once. Every one must be answered 200. */
class Load {
  readonly #agent: Agent;
  sent = 0;
  readonly #at: number;

  constructor(t: TestContext, at = 8) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: at, ca });
    this.#at = at;
    t.after(() => this.#agent.destroy());
  }

  async get(port: number, path: string, headers: Record<string, string> = {}): Promise<number> {
    this.sent++;
    return await new Promise<number>((resolve, reject) => {
      const asked = request({ port, host: '127.0.0.1', servername: 'localhost', path, agent: this.#agent, headers }, (answer) => {
        answer.resume();
        answer.once('end', () => resolve(answer.statusCode ?? 0));
      });
      asked.once('error', reject);
      asked.end();
    });
  }

  async send(port: number, count: number, path: (index: number) => string, headers: Record<string, string> = {}): Promise<void> {
    let next = 0;
    const one = async (): Promise<void> => {
      while (next < count) assert.equal(await this.get(port, path(next++), headers), 200);
    };
    await Promise.all(Array.from({ length: this.#at }, one));
  }
}

/** Lines written and lost, once every one of `requests` is one or the other. */
async function settled(tollgate: Tollgate, requests: number): Promise<{ written: number; lost: number }> {
  let written = 0;
  let lost = 0;
  await until(async () => {
    const metrics = await tollgate.metrics();
    written = metrics.get('tollgate_log_lines_total') ?? 0;
    lost = metrics.get('tollgate_log_lines_lost_total') ?? 0;
    return written + lost >= requests;
  }, 30_000);
  assert.equal(written + lost, requests);
  return { written, lost };
}

for (const format of FORMATS) {
  test(`a full disk costs log lines, counted, and no request: ${format}`, async (t) => {
    const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
    const disk = smallDisk(t);
    const directory = disk ?? mkdtempSync(join(tmpdir(), 'tollgate-test-disk-'));
    if (disk === null) t.after(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'access.log');
    const tollgate = await start(t, origin.port, `access: { path: ${path}, format: ${format} }`);
    if (disk === null) {
      // Not root: a bound on the size of the workers' files does as well.
      for (const { pid } of (await tollgate.status()).workers) execFileSync('prlimit', ['--fsize=131099:131099', '--pid', String(pid)]);
    }
    const load = new Load(t);
    const headers = { 'user-agent': `"agent" \\ ${'a'.repeat(300)}`, referer: 'https://example.com/\u00e9' };
    await load.send(tollgate.port, 1_000, (i) => `/${i}?${'q'.repeat(i % 400)}`, headers);
    const { lost } = await settled(tollgate, 1_000);
    const text = readFileSync(path, 'latin1');
    const lines = linesOf(text);
    assert.ok(text.endsWith('\n'));
    assert.ok(lost > 0);
    assert.equal(lost, 1_000 - lines.length);
    for (const line of lines) assertParses(line, format);
    if (disk === null) return;
    // Room again: lines again, and none of them hangs on to the end of another.
    writeFileSync(path, '');
    await load.send(tollgate.port, 50, (i) => `/again/${i}`);
    await settled(tollgate, 1_050);
    const again = linesOf(readFileSync(path, 'latin1'));
    for (const line of again) assertParses(line, format);
    assert.equal(again.filter((line) => line.includes('/again/')).length, 50);
  });

  test(`a reader that stalls costs log lines, counted, and no request: ${format}`, async (t) => {
    const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
    const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-fifo-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'fifo');
    execFileSync('mkfifo', [path]);
    const tollgate = await start(t, origin.port, `access: { path: ${path}, format: ${format} }`, { workers: 1 });
    const load = new Load(t);
    // More than the pipe and a worker may hold.
    const headers = { 'user-agent': 'a'.repeat(380), referer: 'r'.repeat(500) };
    const count = 3_500;
    await load.send(tollgate.port, count, (i) => `/${i}?${'q'.repeat(1_250)}`, headers);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    t.after(() => closeSync(reader));
    let text = '';
    const read = (): void => {
      const bytes = Buffer.alloc(65_536);
      for (;;) {
        try {
          const n = readSync(reader, bytes);
          if (n === 0) return;
          text += bytes.latin1Slice(0, n);
        } catch {
          return;
        }
      }
    };
    let lost = 0;
    await until(async () => {
      read();
      const metrics = await tollgate.metrics();
      lost = metrics.get('tollgate_log_lines_lost_total') ?? 0;
      return (metrics.get('tollgate_log_lines_total') ?? 0) + lost === count;
    }, 60_000);
    read();
    const lines = linesOf(text);
    assert.ok(text.endsWith('\n'));
    for (const line of lines) assertParses(line, format);
    assert.equal(lost, count - lines.length);
    assert.ok(lost > 0);
  });
}

test('logs moved away and opened anew under load lose no line', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await start(t, origin.port, 'access: access.log\n  error: error.log');
  const path = join(tollgate.directory, 'access.log');
  const load = new Load(t);
  let going = true;
  const sending = (async () => {
    while (going) await load.send(tollgate.port, 100, (i) => `/${i}`);
  })();
  const moved: string[] = [];
  for (let i = 1; i <= 5; i++) {
    renameSync(path, `${path}.${i}`);
    assert.match(tollgate.command('reopen', '--runtime', join(tollgate.directory, 'run')), /^2 workers write to the logs anew\n$/);
    // The answer means that the old file is complete: it could be compressed now.
    moved.push(readFileSync(`${path}.${i}`, 'utf8'));
  }
  going = false;
  await sending;
  assert.equal((await settled(tollgate, load.sent)).lost, 0);
  for (let i = 1; i <= 5; i++) assert.equal(readFileSync(`${path}.${i}`, 'utf8'), moved[i - 1]);
  const lines = [...moved, readFileSync(path, 'utf8')].flatMap(linesOf);
  assert.equal(lines.length, load.sent);
  assert.equal(new Set(lines.map((line) => (JSON.parse(line) as { requestId: string }).requestId)).size, load.sent);
});

test('a reload changes path, format and sample in running workers, and a log that cannot be opened changes nothing', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await start(t, origin.port, 'access: access.log');
  const config = join(tollgate.directory, 'tollgate.yaml');
  const written = readFileSync(config, 'utf8');
  const reload = (log: string): string => {
    writeFileSync(config, written.replace('access: access.log', log));
    return tollgate.command('reload', '--runtime', join(tollgate.directory, 'run'));
  };
  const load = new Load(t, 4);
  let going = true;
  const sending = (async () => {
    while (going) await load.send(tollgate.port, 50, (i) => `/${i}`);
  })();
  reload('access: { path: second.log, format: combined }');
  assert.throws(
    () => reload('access: /nonexistent/directory/access.log'),
    /the access log \/nonexistent\/directory\/access\.log cannot be written: ENOENT/,
  );
  reload('access: { path: third.log, fields: [status, path] }');
  going = false;
  await sending;
  await settled(tollgate, load.sent);
  const [first, second, third] = ['access.log', 'second.log', 'third.log'].map((name) =>
    linesOf(readFileSync(join(tollgate.directory, name), 'utf8')),
  );
  assert.equal(first!.length + second!.length + third!.length, load.sent);
  for (const line of first!) assertParses(line, 'json');
  for (const line of second!) assertParses(line, 'combined');
  for (const line of third!) assert.deepEqual(Object.keys(JSON.parse(line) as object), ['status', 'path']);
  reload('access: off');
  const before = await tollgate.metrics();
  await load.send(tollgate.port, 20, (i) => `/${i}`);
  const after = await tollgate.metrics();
  for (const name of ['tollgate_log_lines_total', 'tollgate_log_lines_lost_total']) assert.equal(after.get(name), before.get(name));
});

test('a sample holds the requests that their ids say, and every failure', async (t) => {
  const origin = await httpOrigin(t, (incoming, response) => {
    response.statusCode = incoming.url === '/fails' ? 500 : 200;
    response.end('ok');
  });
  const tollgate = await start(t, origin.port, 'access: { path: access.log, sample: 1/4 }');
  const load = new Load(t);
  await load.send(tollgate.port, 400, (i) => `/${i}`);
  for (let i = 0; i < 5; i++) assert.equal(await load.get(tollgate.port, '/fails'), 500);
  const expected = new Set<string>();
  for (const { headers, url } of origin.requests) {
    const id = String(headers['x-request-id']);
    if (url === '/fails' || sampleOf(Buffer.from(id)) < 0.25) expected.add(id);
  }
  await until(() => tollgate.accessLog().length >= expected.size);
  assert.deepEqual(new Set(tollgate.accessLog().map(({ requestId }) => String(requestId))), expected);
  assert.equal((await settled(tollgate, expected.size)).lost, 0);
});

const SYSLOG = /^<134>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,64}) shop (\d+) access - (\{.*\})$/;

test('syslog by UDP and by a Unix socket, which may come and go: a datagram a line, RFC 5424', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-syslog-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const check = (text: string): string => {
    const [, time, , pid, json] = SYSLOG.exec(text) ?? assert.fail(text);
    const line = JSON.parse(json!) as { time: string; path: string };
    assert.equal(line.time, time);
    assert.ok(Number(pid) > 1);
    return line.path;
  };

  const udp = createSocket('udp4');
  const heard: string[] = [];
  udp.on('message', (bytes) => heard.push(bytes.toString('latin1')));
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
  t.after(() => udp.close());
  const over = await start(t, origin.port, `access: { syslog: { to: "127.0.0.1:${udp.address().port}", facility: local0, name: shop } }`);
  const load = new Load(t, 2);
  await load.send(over.port, 40, (i) => `/udp/${i}`);
  await until(() => heard.length === 40);
  assert.deepEqual(new Set(heard.map(check)), new Set(Array.from({ length: 40 }, (_, i) => `/udp/${i}`)));

  const path = join(directory, 'log');
  const output = join(directory, 'output');
  const receive = async () => {
    const child = spawn('python3', ['-c', RECEIVER, path, output], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    return async (): Promise<void> => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await gone;
    };
  };
  const lines = (): string[] => (existsSync(output) ? linesOf(readFileSync(output, 'latin1')) : []);
  let stop = await receive();
  t.after(() => stop());
  const unix = await start(t, origin.port, `access: { syslog: { to: "unix:${path}", facility: local0, name: shop } }`);
  const other = new Load(t, 2);
  await other.send(unix.port, 100, (i) => `/unix/${i}`);
  await until(() => lines().length === 100);
  // Nobody listens: what is said meanwhile is kept, and told to whoever listens next.
  await stop();
  await other.send(unix.port, 50, (i) => `/unix/${100 + i}`);
  stop = await receive();
  await until(() => lines().length === 150);
  assert.deepEqual(new Set(lines().map(check)), new Set(Array.from({ length: 150 }, (_, i) => `/unix/${i}`)));
  assert.equal((await settled(unix, 150)).lost, 0);
});

/** Node has no datagram sockets of the Unix family. */
const RECEIVER = `
import os, socket, sys
path, output = sys.argv[1:]
if os.path.exists(path): os.unlink(path)
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(path)
print("ready", flush=True)
with open(output, "ab", buffering=0) as file:
    while True: file.write(receiver.recv(65536) + b"\\n")
`;

test('standard output that nobody reads any more, or not yet, holds nothing up', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const tollgate = await start(t, origin.port, 'access: "-"');
  const load = new Load(t);
  await load.send(tollgate.port, 100, (i) => `/${i}`);
  await until(() => linesOf(tollgate.output).length === 100);
  for (const line of linesOf(tollgate.output)) assertParses(line, 'json');
  tollgate.child.stdout?.destroy();
  await load.send(tollgate.port, 100, (i) => `/${i}`);
  assert.deepEqual(await settled(tollgate, 200), { written: 100, lost: 100 });
});

test('the combined format says what nginx says of the same requests', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-nginx-log-'));
  // With a length, because nginx asks with HTTP/1.0 and would add chunks of its own.
  const origin = await httpOrigin(t, (_request, response) => response.writeHead(200, { 'content-length': '9' }).end('some body'));
  const tollgate = await start(t, origin.port, 'access: { path: access.log, format: combined }', { plain: true, workers: 1 });
  const port = await testPort();
  const file = join(directory, 'access.log');
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((each) => `${each}_temp_path ${directory}/${each};`).join(' ');
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log; ${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 64; }
http { ${temp} access_log ${file} combined; server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${origin.port}; } } }
`,
  );
  const nginx = spawn('nginx', ['-p', directory, '-e', join(directory, 'error.log'), '-c', join(directory, 'nginx.conf')], {
    stdio: 'ignore',
    env: { ...process.env, TZ: 'UTC' },
  });
  t.after(async () => {
    const gone = new Promise((resolve) => nginx.once('exit', resolve));
    nginx.kill('SIGTERM');
    await gone;
    rmSync(directory, { recursive: true });
  });
  await until(() =>
    fetch(`http://127.0.0.1:${port}/probe`).then(
      () => true,
      () => false,
    ),
  );
  const requests = [
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET /a"b?c=d\\e HTTP/1.1\r\nHost: a\r\nReferer: https://x/"\\\r\nUser-Agent: caf\u00e9 \t"x"\r\nConnection: close\r\n\r\n',
    'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nReferer:\r\nConnection: close\r\n\r\nhi',
    'HEAD /h HTTP/1.0\r\nHost: a\r\n\r\n',
    'GET http://a/absolute?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ];
  for (const text of requests) {
    await plainExchange(port, text);
    await plainExchange(tollgate.port, text);
  }
  const ours = join(tollgate.directory, 'access.log');
  const read = (from: string): string[] =>
    linesOf(existsSync(from) ? readFileSync(from, 'latin1') : '')
      .filter((line) => !line.includes('/probe'))
      .map((line) => line.replace(/\[[^\]]*\]/, '[time]'));
  await until(() => read(ours).length === requests.length && read(file).length === requests.length);
  assert.deepEqual(read(ours), read(file));
});

test('no log says a password, a cookie, a token of a field, or a key', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => {
    response.setHeader('set-cookie', 'session=SECRET-answer');
    response.end('SECRET-body');
  });
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-users-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const hash = await makePasswordHash(Buffer.from('SECRET-password'), 'bcrypt');
  writeFileSync(join(directory, 'users'), `anna:${hash}\n`, { mode: 0o600 });
  const { certificate, key } = leaf(['localhost']);
  const tollgate = await Tollgate.start(t, {
    log: 'level: debug\n  access: { path: access.log, format: combined }\n  error: { path: error.log, format: text }',
    config: `
listeners:
  - name: web
    address: 127.0.0.1:PORT
    tls: { certificates: [{ certificate: ${certificate}, key: ${key} }] }
    routes:
      - { match: { path: /open }, to: origin }
      - { to: origin, basicAuth: { users: ${directory}/users } }
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin.port}"] }
`,
  });
  const load = new Load(t, 1);
  const basic = (password: string, user = 'anna') => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });
  const secret = { cookie: 'session=SECRET-cookie', 'x-api-key': 'SECRET-key' };
  assert.equal(await load.get(tollgate.port, '/closed', { ...basic('SECRET-password'), ...secret }), 200);
  assert.equal(await load.get(tollgate.port, '/closed', { ...basic('SECRET-wrong'), ...secret }), 401);
  assert.equal(await load.get(tollgate.port, '/closed', { ...basic('x', 'SECRET-typed-as-a-name'), ...secret }), 401);
  assert.equal(await load.get(tollgate.port, '/open?token=said', { authorization: 'Bearer SECRET-token', ...secret }), 200);
  await exchange(tollgate.port, 'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic SECRET-broken\x01\r\nCookie: SECRET-c\r\n\r\n');
  await plainExchange(tollgate.port, 'GET / HTTP/1.1\r\nAuthorization: SECRET-plain\r\n\r\n');
  tollgate.command('reload', '--runtime', join(tollgate.directory, 'run'));
  await until(() => linesOf(readFileSync(join(tollgate.directory, 'access.log'), 'utf8')).length === 5);
  await until(() => readFileSync(join(tollgate.directory, 'error.log'), 'utf8').includes('plain_http'));
  tollgate.child.kill('SIGTERM');
  await tollgate.ended();
  const logs = ['access.log', 'error.log'].map((name) => readFileSync(join(tollgate.directory, name), 'utf8'));
  const [access, error] = logs;
  assert.match(access!, /^127\.0\.0\.1 - anna \[/);
  assert.match(access!, /"GET \/open\?token=said HTTP\/1\.1"/);
  assert.match(error!, /info: handshake failed reason=plain_http/);
  assert.match(error!, /info: tollgate has ended/);
  assert.equal(tollgate.errors, '');
  for (const text of [...logs, tollgate.output]) {
    assert.doesNotMatch(text, /SECRET/);
    assert.ok(!text.includes(Buffer.from('anna:SECRET-password').toString('base64')));
    assert.doesNotMatch(text, /PRIVATE KEY|\$2[aby]\$/);
  }
});

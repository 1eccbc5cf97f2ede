/** `tollgate check` on this machine: what would keep a configuration from starting or serving here. The cases are in golden/host/. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { readCase } from '../scripts/golden-case.ts';
import { authority, client, expired, pinOf, server, stranger } from './support/server-certificates.ts';
import { testPort } from './support/test-port.ts';
import { PROGRAM, ROOT, Tollgate } from './support/tollgate.ts';

const HOST = join(ROOT, 'test/golden/host');
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const servers: Server[] = [];
const waiting: Socket[] = [];
let full: ChildProcess;
let talkers: ChildProcess;
let directory = '';
/** What stands in braces in the cases. */
const names = new Map<string, string>();

async function listening(where: { port: number; host: string } | { path: string }): Promise<string> {
  const listener = createServer((socket) => socket.on('error', () => undefined));
  servers.push(listener);
  listener.listen(where);
  await once(listener, 'listening');
  const address = listener.address();
  return typeof address === 'string' ? address : String((address as AddressInfo).port);
}

/** Servers that speak TLS, and one that does not, in a process of its own: this one waits for the program that it checks. Their ports. */
async function talking(): Promise<readonly string[]> {
  const program = `
    const { readFileSync } = require('fs');
    const quiet = (socket) => socket.on('error', () => {});
    const servers = process.argv.slice(1).map((file) =>
      require('tls').createServer({ cert: readFileSync(file + '.pem'), key: readFileSync(file + '.key') }, quiet).on('tlsClientError', () => {}));
    servers.push(require('net').createServer((socket) => quiet(socket).once('data', () => socket.end('HTTP/1.1 400 Bad Request\\r\\n\\r\\n'))));
    Promise.all(servers.map((each) => new Promise((done) => each.listen(0, '127.0.0.1', () => done(each.address().port)))))
      .then((ports) => console.log(ports.join()));`;
  const files = [server, stranger, expired, client].map(({ certificate }) => certificate.replace(/\.pem$/, ''));
  talkers = spawn(process.execPath, ['-e', program, ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(talkers.stdout!, 'data')) as [Buffer];
  return String(line).trim().split(',');
}

/** A port whose kernel queue is full: who connects hears nothing. */
async function fullPort(): Promise<string> {
  const program =
    "const s = require('net').createServer(); s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port));";
  full = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(full.stdout!, 'data')) as [Buffer];
  const port = Number(String(line).trim());
  full.kill('SIGSTOP');
  for (let i = 0; i < 4; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    waiting.push(socket);
    await Promise.race([once(socket, 'connect'), new Promise((resolve) => setTimeout(resolve, 200))]);
  }
  return String(port);
}

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tollgate-check-'));
  chmodSync(directory, 0o755);
  const [secure, ofStranger, ofExpired, ofClient, plain] = await talking();
  for (const [name, value] of [
    ['SECURE', secure!],
    ['STRANGER', ofStranger!],
    ['EXPIRED', ofExpired!],
    ['OF_CLIENT', ofClient!],
    ['ENDED', new X509Certificate(expired.pem).validToDate.toISOString().slice(0, 10)],
    ['PLAIN', plain!],
    ['AUTHORITY', authority.certificate],
    ['PIN', pinOf(server)],
    ['OTHER_PIN', pinOf(stranger)],
    ['TAKEN', await listening({ port: 0, host: '127.0.0.1' })],
    ['TAKEN6', await listening({ port: 0, host: '::1' })],
    ['TAKEN_BY_ALL', await listening({ port: 0, host: '0.0.0.0' })],
    ['FULL', await fullPort()],
    ['FREE', String(await testPort())],
    ['PID', String(process.pid)],
    ['NAME', readFileSync('/proc/self/comm', 'utf8').trim()],
    ['LEAST', readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').trim()],
    ['DIR', directory],
  ] as const) {
    names.set(name, value);
  }
  await listening({ path: join(directory, 'taken.sock') });
  mkdirSync(join(directory, 'shut/there'), { recursive: true });
  writeFileSync(join(directory, 'shut/404.html'), 'no');
  chmodSync(join(directory, 'shut'), 0o700);
  for (const name of ['closed.log', 'closed.txt']) writeFileSync(join(directory, name), '10.0.0.0/8\n', { mode: 0o600 });
});

after(() => {
  for (const socket of waiting) socket.destroy();
  for (const each of servers) each.close();
  full.kill('SIGKILL');
  talkers.kill();
  rmSync(directory, { recursive: true, force: true });
});

function filled(text: string): string {
  return text.replaceAll(/\{([A-Z_0-9]+)\}/g, (whole, name: string) => names.get(name) ?? whole);
}

/** Writes the case's file and checks it with the real program; every line of standard error. */
function check(text: string, args: readonly string[] = [], asNobody = false): { readonly lines: string[]; readonly status: number | null } {
  writeFileSync(join(directory, 'site.yaml'), filled(text));
  const identity = asNobody && isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const run = spawnSync(process.execPath, [PROGRAM, 'check', 'site.yaml', ...args], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 60_000,
    ...identity,
  });
  return { lines: run.stderr.split('\n').filter((line) => line !== ''), status: run.status };
}

function matches(lines: readonly string[], expected: string): void {
  // Columns move with the numbers of ports, and resolvers have words of their own.
  const form = (text: string): string =>
    text
      .replaceAll(/^(site\.yaml:\d+:)\d+:/gm, '$1')
      .replaceAll(/^(site\.yaml:\d+:)\{COLUMN\}/gm, '$1')
      .replaceAll(/has no address \(.*\)/g, 'has no address');
  assert.deepEqual(
    lines.map(form),
    filled(expected)
      .split('\n')
      .filter((line) => line !== '')
      .map(form),
  );
}

for (const file of globSync('*.txt', { cwd: HOST }).sort()) {
  if (file === 'running.txt') continue;
  test(`check on this machine: ${file}`, (t: TestContext) => {
    const given = readCase(readFileSync(join(HOST, file), 'utf8'));
    const wants = (name: string): boolean => given.directives.some(([each]) => each === name);
    // Whose files are closed to whom is another question for an ordinary user, whose own they are.
    if ((wants('root') || wants('user')) && !isRoot) return t.skip('needs root');
    const [, text] = given.files[0]!;
    const { lines, status } = check(text, wants('offline') ? ['--offline'] : [], wants('user'));
    // Where everybody may bind low ports, nothing is wrong with one.
    matches(lines, Number(names.get('LEAST')) > 80 ? given.output : given.output.replace(/^.*may bind no port.*\n/m, ''));
    assert.equal(status, 0, 'a warning is none of the file');
  });
}

test('check of what runs already: its own ports are not in the way', async (t) => {
  const running = await Tollgate.start(t, { plain: true });
  const { pid } = await running.status();
  for (const [name, value] of [
    ['ADMIN', String(running.adminPort)],
    ['OURS', String(running.port)],
    ['RUNTIME', `${running.directory}/run`],
    ['SUPERVISOR', String(pid)],
  ] as const) {
    names.set(name, value);
  }
  const given = readCase(readFileSync(join(HOST, 'running.txt'), 'utf8'));
  const [, text] = given.files[0]!;
  matches(check(text).lines, given.output);
  // Somebody else's are; and --runtime says whose.
  const other = check(text.replace('{RUNTIME}', 'run')).lines.join('\n');
  assert.match(other, new RegExp(`127\\.0\\.0\\.1:${running.port} is in use by \\S+ \\(pid \\d+\\)`));
  matches(check(text.replace('{RUNTIME}', 'run'), ['--runtime', `${running.directory}/run`]).lines, given.output);
});

test('check --json has errors, warnings and notes, each with its place', () => {
  writeFileSync(
    join(directory, 'site.yaml'),
    'listeners: [{ name: web, address: "192.0.2.77:80", redirect: https }]\nruntime: run\nadmin: { listen: off }\n',
  );
  const run = spawnSync(process.execPath, [PROGRAM, 'check', '--json', '--offline', 'site.yaml'], { cwd: directory, encoding: 'utf8' });
  assert.deepEqual(JSON.parse(run.stdout), {
    ok: true,
    errors: [],
    warnings: [
      {
        file: 'site.yaml',
        line: 1,
        column: 35,
        severity: 'warning',
        setting: 'listeners[0].address',
        message: '192.0.2.77 is no address of this machine',
      },
    ],
    notes: [],
    engines: [],
  });
});

/**
 * bin/tollgate.js, run for real in packages made for the purpose. An old Node is this one told to call itself 20 and to have no exec;
 * where npm itself runs on an old one, that one is used as well.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tollgate-launcher-'));
after(() => rmSync(folder, { recursive: true }));

/** Tells who it is; then, for `wait`, the signals it gets, until SIGTERM. */
const PROGRAM = `
console.log(JSON.stringify({ file: import.meta.url, pid: process.pid, node: process.versions.node, argv: process.argv.slice(2), execArgv: process.execArgv }));
if (process.argv.includes('seven')) process.exitCode = 7;
if (process.argv.includes('die')) process.kill(process.pid, 'SIGKILL');
if (process.argv.includes('wait')) {
  const alive = setInterval(() => {}, 1000);
  for (const name of ['SIGHUP', 'SIGUSR2', 'SIGINT', 'SIGTERM']) {
    process.on(name, () => {
      console.log(JSON.stringify(name));
      if (name === 'SIGTERM') clearInterval(alive);
    });
  }
  console.log('"ready"');
}
`;

/** Loaded before the launcher: another version, platform or machine; no runtime where this machine may have one. */
const DISGUISE = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { version, platform, arch } = JSON.parse(process.env.DISGUISE);
if (version) {
  Object.defineProperty(process, 'versions', { value: { ...process.versions, node: version } });
  process.execve = undefined;
}
if (platform) Object.defineProperty(process, 'platform', { value: platform });
if (arch) Object.defineProperty(process, 'arch', { value: arch });
process.execArgv.length = 0;
const { realpathSync } = fs;
fs.realpathSync = (path) => {
  if (/^\\/(?:usr|opt|snap)\\//.test(path)) throw new Error('absent');
  return realpathSync(path);
};
syncBuiltinESMExports();
`;
const disguise = join(folder, 'disguise.mjs');
writeFileSync(disguise, DISGUISE);

interface Options {
  readonly name: string;
  /** Where the program lies: built, in source, or both. */
  readonly program?: readonly ('dist/cli/main.js' | 'src/cli/main.ts')[];
  /** Brings the node package along. */
  readonly bundled?: boolean;
}

/** A package with the real launcher; gives the launcher's path. */
function makePackage({ name, program = ['dist/cli/main.js'], bundled = false }: Options): string {
  const root = join(folder, name);
  for (const file of ['bin/x', 'scripts/x', 'node_modules/x', ...program]) mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "name": "tollgate", "type": "module" }');
  for (const file of ['bin/tollgate.js', 'bin/runtime.js', 'scripts/node.js']) copyFileSync(join(project, file), join(root, file));
  for (const file of program) writeFileSync(join(root, file), PROGRAM);
  if (bundled) {
    const node = join(root, `node_modules/node-linux-${process.arch}`);
    mkdirSync(join(node, 'bin'), { recursive: true });
    writeFileSync(join(node, 'package.json'), '{}');
    symlinkSync(process.execPath, join(node, 'bin/node'));
  }
  return join(root, 'bin/tollgate.js');
}

const OLD = { version: '20.20.2' };

function environment(disguised: object, path: string): NodeJS.ProcessEnv {
  return { PATH: path, HOME: folder, DISGUISE: JSON.stringify(disguised) };
}

function launch(launcher: string, disguised: object, args: readonly string[], path = '') {
  const result = spawnSync(process.execPath, ['--import', disguise, launcher, ...args], {
    encoding: 'utf8',
    env: environment(disguised, path),
    cwd: folder,
    timeout: 60_000,
  });
  return { ...result, told: result.stdout === '' ? null : JSON.parse(result.stdout.split('\n')[0]!) };
}

test('tollgate runs the command line in the same process when its node is new enough', () => {
  const { told, pid, status } = launch(makePackage({ name: 'right' }), {}, ['status', '--json', 'seven']);
  assert.equal(told.pid, pid);
  assert.deepEqual(told.argv, ['status', '--json', 'seven']);
  assert.equal(status, 7);
});

test('tollgate run replaces its process by one that has the flags of a daemon', () => {
  const { told, pid, stderr } = launch(makePackage({ name: 'daemon' }), {}, ['run', 'x']);
  assert.equal(told.pid, pid);
  assert.deepEqual(told.argv, ['run', 'x']);
  assert.deepEqual(told.execArgv, ['--disable-sigusr1', '--disable-warning=ExperimentalWarning']);
  assert.equal(stderr, '');
});

/** Tells what lies behind the descriptors 3 and 4. */
const SOCKETS = `
import { readlinkSync } from 'node:fs';
console.log(JSON.stringify({ pid: process.pid, flags: process.execArgv, fds: [3, 4].map((fd) => readlinkSync('/proc/self/fd/' + fd)) }));
`;

test('tollgate run keeps the sockets that a service manager passed, across its own replacement', () => {
  const launcher = makePackage({ name: 'passed' });
  const root = dirname(dirname(launcher));
  writeFileSync(join(root, 'dist/cli/main.js'), SOCKETS);
  for (const name of ['koffi', '@koromix']) symlinkSync(join(project, 'node_modules', name), join(root, 'node_modules', name));
  const file = join(folder, 'passed-file');
  writeFileSync(file, '');
  const passed = (script: string) =>
    spawnSync('/bin/sh', ['-c', `${script} exec "$@" 3<"$FILE" 4<"$FILE"`, 'sh', process.execPath, '--import', disguise, launcher, 'run'], {
      encoding: 'utf8',
      env: { ...environment({}, ''), FILE: file },
      timeout: 60_000,
    });
  const { stdout, stderr, pid } = passed('export LISTEN_PID=$$ LISTEN_FDS=2;');
  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout), { pid, flags: ['--disable-sigusr1', '--disable-warning=ExperimentalWarning'], fds: [file, file] });
  // Meant for another process, they are nobody's here.
  assert.ok(!passed('export LISTEN_PID=1 LISTEN_FDS=2;').stdout.includes('passed-file'));
});

test('tollgate started by an old node says that it cannot hand on the sockets it was passed', () => {
  const launcher = makePackage({ name: 'passed-old', bundled: true });
  const args = [
    '-c',
    'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3</dev/null',
    'sh',
    process.execPath,
    '--import',
    disguise,
    launcher,
    'run',
  ];
  const { status, stdout, stderr } = spawnSync('/bin/sh', args, { encoding: 'utf8', env: environment(OLD, ''), timeout: 60_000 });
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.equal(stderr, 'Sockets that systemd opened cannot be handed on by Node 20.20.2: start Tollgate with Node 24 or newer.\n');
});

test('tollgate says one sentence when its package was made without a build', () => {
  const launcher = makePackage({ name: 'empty', program: [] });
  const { status, stderr } = launch(launcher, {}, ['version']);
  assert.equal(status, 1);
  assert.match(stderr, /^Tollgate's program is missing in [^\n]*\/empty: [^\n]*\n$/);
});

test('tollgate prefers the sources where they are, and what was built from them where they are not', () => {
  const both = launch(makePackage({ name: 'both', program: ['dist/cli/main.js', 'src/cli/main.ts'] }), {}, []);
  assert.match(both.told.file, /both\/src\/cli\/main\.ts$/);
  const built = launch(makePackage({ name: 'built' }), {}, []);
  assert.match(built.told.file, /built\/dist\/cli\/main\.js$/);
});

test('tollgate started by an old node goes on with the one that npm brought', () => {
  const { told, pid, status, stderr } = launch(makePackage({ name: 'bundled', bundled: true }), OLD, ['check', 'a b', 'seven']);
  assert.notEqual(told.pid, pid);
  assert.equal(told.node, process.versions.node);
  assert.deepEqual(told.argv, ['check', 'a b', 'seven']);
  assert.ok(told.execArgv.includes('--disable-sigusr1'));
  assert.equal(status, 7);
  assert.equal(stderr, '');
});

test('tollgate started by an old node finds a new one in PATH, past those that are old or do not start', () => {
  const script = '#!/bin/sh\necho v18.0.0\n';
  for (const [name, body] of [
    ['old', script],
    ['broken', 'not a program'],
  ] as const) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'node'), body, { mode: 0o755 });
  }
  mkdirSync(join(folder, 'new'));
  symlinkSync(process.execPath, join(folder, 'new/node'));
  const path = ['absent', 'old', 'broken', 'new'].map((name) => join(folder, name)).join(':');
  assert.equal(launch(makePackage({ name: 'path' }), OLD, ['version'], path).told.node, process.versions.node);
});

test('tollgate started by an old node finds a new one that a version manager keeps', () => {
  const bin = join(folder, '.nvm/versions/node/v24.4.1/bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync(process.execPath, join(bin, 'node'));
  try {
    assert.equal(launch(makePackage({ name: 'managed' }), OLD, ['version']).told.node, process.versions.node);
  } finally {
    rmSync(join(folder, '.nvm'), { recursive: true });
  }
});

test('tollgate never takes a node from a relative entry of PATH', () => {
  const { status, stdout } = launch(makePackage({ name: 'relative' }), OLD, ['version'], 'new:.:');
  assert.equal(status, 1);
  assert.equal(stdout, '');
});

test('tollgate says one sentence when there is no node new enough, and where it cannot run at all', () => {
  const launcher = makePackage({ name: 'nowhere' });
  const disguises: [object, RegExp][] = [
    [OLD, /^Tollgate needs Node 24 or newer and this is 20\.20\.2: [^\n]*\n$/],
    [{ platform: 'darwin' }, /^Tollgate runs on Linux, on x64 and arm64 machines; this is darwin on \w+\.\n$/],
    [{ arch: 'riscv64' }, /^Tollgate runs on Linux, on x64 and arm64 machines; this is linux on riscv64\.\n$/],
  ];
  for (const [disguised, sentence] of disguises) {
    const { status, stdout, stderr } = launch(launcher, disguised, ['run']);
    assert.equal(status, 1);
    assert.equal(stdout, '');
    assert.match(stderr, sentence);
  }
});

test('tollgate says one sentence when its dependencies are not installed', () => {
  const launcher = makePackage({ name: 'bare', program: ['src/cli/main.ts'] });
  const root = dirname(dirname(launcher));
  rmSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(join(root, 'src/cli/main.ts'), "import 'commander';\n");
  const { status, stderr } = launch(launcher, {}, ['version']);
  assert.equal(status, 1);
  assert.equal(stderr, `Tollgate's dependencies are not installed: run "npm ci" in ${root}.\n`);
});

test('tollgate passes signals to the node it started, and ends as that one ends', async () => {
  const launcher = makePackage({ name: 'signals', bundled: true });
  const child = spawn(process.execPath, ['--import', disguise, launcher, 'run', 'wait', 'seven'], {
    env: environment(OLD, ''),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => JSON.parse(String((await lines.next()).value));
  const told = (await next()) as { pid: number };
  assert.notEqual(told.pid, child.pid);
  assert.equal(await next(), 'ready');
  for (const signal of ['SIGHUP', 'SIGUSR2', 'SIGINT', 'SIGTERM'] as const) {
    child.kill(signal);
    assert.equal(await next(), signal);
  }
  assert.deepEqual(await ending(child), [7, null]);
});

test('tollgate dies of the signal that the node it started died of', () => {
  const { status, signal } = launch(makePackage({ name: 'killed', bundled: true }), OLD, ['die']);
  assert.equal(status, null);
  assert.equal(signal, 'SIGKILL');
});

test('tollgate is understood by the node that npm runs on', () => {
  const node = process.env.npm_node_execpath ?? process.execPath;
  const launcher = makePackage({ name: 'real', bundled: true });
  const result = spawnSync(node, [launcher, 'version'], { encoding: 'utf8', env: { PATH: '', HOME: folder }, timeout: 60_000 });
  assert.equal(result.stderr, '');
  assert.ok(Number.parseInt(JSON.parse(result.stdout).node, 10) >= 24);
});

test('scripts/node.js runs a script with a node that is new enough, and puts it first in PATH', () => {
  const script = join(folder, 'script.mjs');
  writeFileSync(script, `${PROGRAM}console.log(process.env.PATH);`);
  const launcher = makePackage({ name: 'scripts', bundled: true });
  for (const disguised of [{}, OLD]) {
    const { told, stdout, status } = launch(
      join(dirname(dirname(launcher)), 'scripts/node.js'),
      disguised,
      [script, 'a b', 'seven'],
      '/nonexistent',
    );
    assert.deepEqual(told.argv, ['a b', 'seven']);
    assert.equal(told.node, process.versions.node);
    assert.equal(stdout.trimEnd().split('\n').at(-1), `${dirname(process.execPath)}:/nonexistent`);
    assert.equal(status, 7);
  }
});

test('scripts/node.js says one sentence when there is no node new enough', () => {
  const launcher = makePackage({ name: 'no-scripts' });
  const { status, stderr } = launch(join(dirname(dirname(launcher)), 'scripts/node.js'), OLD, ['x.mjs']);
  assert.equal(status, 1);
  assert.match(stderr, /^Tollgate needs Node 24 or newer and this is 20\.20\.2: [^\n]*\n$/);
});

async function ending(child: ChildProcess): Promise<unknown[]> {
  return child.exitCode === null && child.signalCode === null ? once(child, 'exit') : [child.exitCode, child.signalCode];
}

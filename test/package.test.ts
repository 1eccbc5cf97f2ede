/**
 * The package as users get it: packed, installed into an empty folder from what npm has and the registry, and run there. Nothing of the
 * checkout is in reach of what is run.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { isProcess, startTimeOf } from '../src/control/process-identity.ts';
import type { Status } from '../src/observe/status.ts';
import { ROOT, until } from './support/tollgate.ts';

/** From a cold cache over a slow line. */
const INSTALL_MS_MAX = 240_000;
const COMMAND_MS_MAX = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'tollgate-test-package-'));
const home = join(folder, 'home');
const installed = join(home, 'node_modules/tollgate');
after(() => rmSync(folder, { recursive: true, force: true }));

/** How this machine reaches the registry. */
const NETWORK = /^npm_config_(?:cache|registry|userconfig|globalconfig|cafile|proxy|https_proxy|noproxy)$/;

/** As a person's shell would have it: npm tells what it runs about the project it runs it for, and how that project is set up. */
function environment(): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, TOLLGATE_DATA: join(folder, 'data') };
  for (const name of Object.keys(env)) if (/^npm_|^INIT_CWD$/.test(name) && !NETWORK.test(name)) delete env[name];
  return env;
}

async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  timeout = COMMAND_MS_MAX,
): Promise<{ stdout: string; stderr: string }> {
  return await promisify(execFile)(command, [...args], { cwd, env: environment(), timeout, maxBuffer: 16 * 1024 * 1024 });
}

/** Through npx once, and then by the link that it finds: npx alone takes longer than what it runs. */
async function tollgate(...args: readonly string[]): Promise<string> {
  return (await run(join(home, 'node_modules/.bin/tollgate'), args, home)).stdout;
}

let packed: readonly string[] = [];

before(async () => {
  const pack = ['pack', '--foreground-scripts=false', '--json', '--pack-destination', folder];
  const [made] = JSON.parse((await run('npm', pack, ROOT, INSTALL_MS_MAX)).stdout) as [{ filename: string; files: { path: string }[] }];
  packed = made.files.map(({ path }) => path);
  mkdirSync(home);
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, made.filename)], home, INSTALL_MS_MAX);
});

test('the package has what it runs by, and nothing that only we need', () => {
  for (const path of [
    'bin/tollgate.js',
    'bin/runtime.js',
    'dist/cli/main.js',
    'dist/worker/main.js',
    'docs/tollgate.1',
    'LICENSE',
    'NOTICE',
  ]) {
    assert.ok(packed.includes(path), `${path} is missing`);
  }
  const known = /^(?:(?:bin|dist|docs|examples)\/.+|(?:package\.json|README\.md|CHANGELOG\.md|LICENSE|NOTICE))$/;
  assert.deepEqual(
    packed.filter((path) => !known.test(path)),
    [],
  );
  const ours = /\.(?:test|fuzz)\.|(?:^|\/)test-|\.tsbuildinfo$|\.map$|(?<!\.d)\.ts$/;
  assert.deepEqual(
    packed.filter((path) => ours.test(path)),
    [],
  );
  // Each program once, with its types: what a file was called before is not packed beside it.
  for (const path of packed.filter((each) => each.startsWith('dist/'))) {
    const source = path.replace(/^dist\//, 'src/').replace(/(?:\.d\.ts|\.js)$/, '.ts');
    assert.ok(existsSync(join(ROOT, source)), `${path} comes from no ${source}`);
  }
});

test('the installed program tells its versions', async () => {
  const versions = JSON.parse(await tollgate('version', '--json')) as Record<string, string>;
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  assert.equal(versions.tollgate, version);
  assert.match(versions.s2n ?? '', /^\d+\.\d+\.\d+$/);
  assert.match(await tollgate('completion', 'bash'), /^complete -F _tollgate tollgate$/m);
});

test('the installed program serves HTTPS, from what was built, in the supervisor and in its workers', async (t) => {
  const runtime = join(folder, 'run');
  const child = spawn('npx', ['--no-install', 'tollgate', 'run', '--from', '127.0.0.1:0', '--runtime', runtime], {
    cwd: home,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += String(data);
    });
  }
  t.after(async () => {
    // npx, what it started, and what that started are one group.
    if (child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid!, 'SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  });
  await until(() => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${output}`);
    return output.includes('access log below');
  }, COMMAND_MS_MAX);

  const port = /serves https:\/\/localhost:(\d+)\//.exec(output)?.[1];
  assert.ok(port !== undefined, output);
  // It says what can be typed here: there is no "npm start".
  assert.match(output, /Your own server: tollgate run --from/);
  const ca = join(folder, 'data/local-ca.pem');
  const { stdout } = await run('curl', ['-sS', '-w', ' %{http_code}', '--cacert', ca, `https://127.0.0.1:${port}/`], home);
  assert.match(stdout, /your connection was encrypted.* 200$/s);

  const status = JSON.parse(await tollgate('status', '--json', '--runtime', runtime)) as Status;
  const workers = status.workers.map(({ pid }) => pid).filter((pid) => pid !== null);
  assert.ok(workers.length > 0);
  for (const pid of workers) {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    assert.ok(line.includes(join(realpathSync(installed), 'dist/worker/main.js')), line.join(' '));
  }
  const living = workers.map((pid) => [pid, startTimeOf(pid) ?? ''] as const);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  assert.match(await tollgate('stop', '--runtime', runtime), /drains/);
  assert.equal(await ended, 0);
  for (const [pid, startTime] of living) assert.ok(!isProcess(pid, startTime));
});

/** Loaded before the launcher: this node is an old one, and there is no other on the machine. */
const DISGUISE = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });
process.execve = undefined;
process.execArgv.length = 0;
const { realpathSync } = fs;
fs.realpathSync = (path) => {
  if (!path.startsWith(process.env.INSTALLED)) throw new Error('absent');
  return realpathSync(path);
};
syncBuiltinESMExports();
`;

test('where node is too old, the package runs by the node that npm installed with it', async () => {
  const disguise = join(folder, 'disguise.mjs');
  writeFileSync(disguise, DISGUISE);
  const args = ['--import', disguise, join(installed, 'bin/tollgate.js'), 'version', '--json'];
  const env = { PATH: '', HOME: folder, INSTALLED: realpathSync(home) };
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env, timeout: COMMAND_MS_MAX });
  const brought = JSON.parse(readFileSync(join(home, `node_modules/node-linux-${process.arch}/package.json`), 'utf8')) as {
    version: string;
  };
  assert.equal((JSON.parse(stdout) as { node: string }).node, brought.version);
});

test('the installed manual page is read without a warning', async () => {
  const { stdout, stderr } = await run('groff', ['-man', '-Tutf8', '-ww', join(installed, 'docs/tollgate.1')], home);
  assert.equal(stderr, '');
  assert.match(stdout, /TLS offloader/);
  const { man } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { man: string | string[] };
  assert.deepEqual([man].flat(), ['docs/tollgate.1']);
});

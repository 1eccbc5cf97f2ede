#!/usr/bin/env node
/**
 * Starts the command line with a Node that can run it, or says in one sentence why it cannot.
 *
 * Whatever `node` is first in PATH starts this file, so it is plain JavaScript that Node 14 parses: no TypeScript, no `node:test`, no
 * syntax younger than 2020. It owns the search for a runtime and knows nothing of the commands.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The first major version that runs TypeScript by type stripping and has what the workers need. */
const NODE_MAJOR_MIN = 24;
/** A candidate that does not tell its version within this time is not a runtime. Milliseconds. */
const VERSION_MS_MAX = 5000;
/** Candidates asked for their version, so that a long PATH cannot make the start slow. */
const CANDIDATES_MAX = 16;
/** SIGUSR1 would open Node's inspector; warnings of experimental features are for us, not for operators. */
const NODE_FLAGS = ['--disable-sigusr1', '--disable-warning=ExperimentalWarning'];
const FORWARDED = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'];

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));

main();

function main() {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    return giveUp(`Tollgate runs on Linux, on x64 and arm64 machines; this is ${process.platform} on ${process.arch}.`);
  }
  if (majorOf(process.versions.node) < NODE_MAJOR_MIN) {
    const node = findNode();
    if (node === null) {
      return giveUp(
        `Tollgate needs Node ${NODE_MAJOR_MIN} or newer and this is ${process.versions.node}: install a newer one from https://nodejs.org, or let npm bring it with "npm install --include=optional".`,
      );
    }
    return become(node);
  }
  // A daemon gets its flags, which only a start of node can set. Short commands are spared that: 30 ms.
  const isDaemon = process.argv[2] === 'run';
  const hasFlags = NODE_FLAGS.every((flag) => process.execArgv.includes(flag));
  if (isDaemon && !hasFlags && canReplaceProcess()) return become(process.execPath);
  run();
}

/** Loads the command line into this process. Importing it runs it. */
function run() {
  const built = join(root, 'dist', 'cli', 'main.js');
  const source = join(root, 'src', 'cli', 'main.ts');
  const program = existsSync(built) && !existsSync(join(root, 'src')) ? built : source;
  import(pathToFileURL(program).href).catch((error) => {
    if (error && error.code === 'ERR_MODULE_NOT_FOUND' && !existsSync(join(root, 'node_modules')) && existsSync(join(root, 'src'))) {
      return giveUp(`Tollgate's dependencies are not installed: run "npm ci" in ${root}.`);
    }
    throw error;
  });
}

/** Goes on as `node`, with the same arguments. */
function become(node) {
  const args = NODE_FLAGS.concat(process.execArgv, self, process.argv.slice(2));
  // One process instead of two: the same id for whoever watches it, and no signal to pass on.
  if (canReplaceProcess()) return process.execve(node, [node].concat(args));
  // Node before 22.15 has no exec, so this process stays as the parent: it passes signals down and the way of ending up.
  const child = spawn(node, args, { stdio: 'inherit' });
  child.on('error', (error) => giveUp(`Tollgate could not start ${node}: ${error.message}.`));
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      // A terminal sends its interrupt to both of us, and a second one means "now" to the child.
      if (signal === 'SIGINT' && hasTerminal()) return;
      child.kill(signal);
    });
  }
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exitCode = code;
      return;
    }
    for (const name of FORWARDED) process.removeAllListeners(name);
    process.kill(process.pid, signal);
    // Where the signal does not end this process, a shell's number for it does.
    process.exitCode = 128 + (constants.signals[signal] || 0);
  });
}

/** A channel from a Node parent does not survive the replacement. */
function canReplaceProcess() {
  return typeof process.execve === 'function' && process.send === undefined;
}

function hasTerminal() {
  return Boolean(process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
}

/** The path of a new enough node that starts on this machine, or null. */
function findNode() {
  const seen = new Set();
  for (const candidate of candidates()) {
    const path = realPath(candidate);
    if (path === null || seen.has(path)) continue;
    if (seen.size === CANDIDATES_MAX) return null;
    seen.add(path);
    if (versionOf(path) >= NODE_MAJOR_MIN) return path;
  }
  return null;
}

/** Where a node may be, the likeliest first. */
function candidates() {
  const paths = [];
  try {
    const require = createRequire(import.meta.url);
    paths.push(join(dirname(require.resolve(`node-linux-${process.arch}/package.json`)), 'bin', 'node'));
  } catch (_) {
    // An optional dependency, and this one was left out.
  }
  for (const folder of (process.env.PATH || '').split(delimiter)) {
    // A relative entry would run whatever lies in the current folder.
    if (isAbsolute(folder)) paths.push(join(folder, 'node'), join(folder, 'nodejs'));
  }
  paths.push('/usr/local/bin/node', '/usr/bin/node', '/opt/node/bin/node', '/snap/bin/node');
  const home = homedir();
  paths.push(join(home, '.volta', 'bin', 'node'));
  const versions = [
    [process.env.NVM_DIR ? join(process.env.NVM_DIR, 'versions/node') : join(home, '.nvm/versions/node'), 'bin/node'],
    [join(home, '.local/share/fnm/node-versions'), 'installation/bin/node'],
    [join(process.env.N_PREFIX || '/usr/local', 'n/versions/node'), 'bin/node'],
    [join(home, '.asdf/installs/nodejs'), 'bin/node'],
    [join(home, '.local/share/mise/installs/node'), 'bin/node'],
  ];
  for (const [folder, node] of versions) {
    for (const version of newestIn(folder)) paths.push(join(folder, version, node));
  }
  return paths;
}

/** The new enough versions among a folder's entries (`v26.1.0`, `24.4.1`), newest first. */
function newestIn(folder) {
  let names;
  try {
    names = readdirSync(folder);
  } catch (_) {
    return [];
  }
  return names
    .filter((name) => /^v?\d+\.\d+\.\d+$/.test(name) && majorOf(name) >= NODE_MAJOR_MIN)
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
}

function realPath(path) {
  try {
    return realpathSync(path);
  } catch (_) {
    return null;
  }
}

/** Major version of the node at `path`; 0 when it is none, or does not start here (another libc, another machine). */
function versionOf(path) {
  const result = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: VERSION_MS_MAX, stdio: ['ignore', 'pipe', 'ignore'] });
  return result.status === 0 && /^v\d+\.\d+\.\d+/.test(result.stdout) ? majorOf(result.stdout) : 0;
}

function majorOf(version) {
  return Number(/^v?(\d+)/.exec(version)[1]);
}

function giveUp(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = 1;
}

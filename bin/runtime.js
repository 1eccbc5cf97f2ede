/**
 * Finds a Node that can run Tollgate, and goes on as it. Shared by the command line (tollgate.js) and by the project's own scripts
 * (scripts/node.js).
 *
 * Whatever `node` is first in PATH loads this file, so it is plain JavaScript that Node 14 parses: no TypeScript, no syntax younger than
 * 2020. It knows nothing of what is run.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';

/** The first major version that runs TypeScript by type stripping and has what the workers need. */
export const NODE_MAJOR_MIN = 24;
/** A candidate that does not tell its version within this time is not a runtime. Milliseconds. */
const VERSION_MS_MAX = 5000;
/** Candidates asked for their version, so that a long PATH cannot make the start slow. */
const CANDIDATES_MAX = 16;
const FORWARDED = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'];

/** True when the node that runs this is new enough. */
export function isNodeRecent() {
  return majorOf(process.versions.node) >= NODE_MAJOR_MIN;
}

/** What to tell who has no node that is new enough: one sentence. */
export function noNodeSentence() {
  return `Tollgate needs Node ${NODE_MAJOR_MIN} or newer and this is ${process.versions.node}: install a newer one from https://nodejs.org, or let npm bring it with "npm install --include=optional".`;
}

/** Goes on as `node` with these arguments. Nothing of the caller runs after it that matters. */
export function becomeNode(node, args) {
  // One process instead of two: the same id for whoever watches it, and no signal to pass on.
  if (canReplaceProcess()) return process.execve(node, [node].concat(args));
  // Node before 22.15 has no exec, so this process stays as the parent: it passes signals down and the way of ending up.
  const child = spawn(node, args, { stdio: 'inherit' });
  child.on('error', (error) => {
    process.stderr.write(`Tollgate could not start ${node}: ${error.message}.\n`);
    process.exitCode = 1;
  });
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
export function canReplaceProcess() {
  return typeof process.execve === 'function' && process.send === undefined;
}

function hasTerminal() {
  return Boolean(process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
}

/** The path of a new enough node that starts on this machine, or null. */
export function findNode() {
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

#!/usr/bin/env node
/**
 * Starts the command line with a Node that can run it, or says in one sentence why it cannot.
 *
 * Whatever `node` is first in PATH starts this file, so it is plain JavaScript that Node 14 parses. It knows nothing of the commands.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { becomeNode, canReplaceProcess, findNode, isNodeRecent, NODE_MAJOR_MIN, noNodeSentence } from './runtime.js';

/** SIGUSR1 would open Node's inspector; warnings of experimental features are for us, not for operators. */
const NODE_FLAGS = ['--disable-sigusr1', '--disable-warning=ExperimentalWarning'];

/** The first descriptor that a service manager passes (sd_listen_fds(3)), and fcntl(2)'s command for its flags. */
const FIRST_LISTEN_FD = 3;
const F_SETFD = 2;
const LISTEN_FDS_MAX = 4096;

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));

main();

function main() {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    return giveUp(`Tollgate runs on Linux, on x64 and arm64 machines; this is ${process.platform} on ${process.arch}.`);
  }
  const args = NODE_FLAGS.concat(process.execArgv, self, process.argv.slice(2));
  if (!isNodeRecent()) {
    const node = findNode();
    return node === null ? giveUp(noNodeSentence()) : become(node, args);
  }
  // A daemon gets its flags, which only a start of node can set. Short commands are spared that: 30 ms.
  const isDaemon = process.argv[2] === 'run';
  const hasFlags = NODE_FLAGS.every((flag) => process.execArgv.includes(flag));
  if (isDaemon && !hasFlags && canReplaceProcess()) return become(process.execPath, args);
  run();
}

/**
 * Goes on as `node`, with the sockets that a service manager passed. Node marks all it inherits as to be closed by the next exec, and its
 * own interfaces cannot take the mark away: libc can.
 */
function become(node, args) {
  if (process.env.LISTEN_PID === String(process.pid)) {
    if (!canReplaceProcess()) {
      return giveUp(
        `Sockets that systemd opened cannot be handed on by Node ${process.versions.node}: start Tollgate with Node ${NODE_MAJOR_MIN} or newer.`,
      );
    }
    const fcntl = createRequire(import.meta.url)('koffi')
      .load(null)
      .func('int fcntl(int, int, int)');
    const count = Math.min(Number(process.env.LISTEN_FDS) || 0, LISTEN_FDS_MAX);
    for (let fd = FIRST_LISTEN_FD; fd < FIRST_LISTEN_FD + count; fd++) fcntl(fd, F_SETFD, 0);
  }
  becomeNode(node, args);
}

/** Loads the command line into this process. Importing it runs it. */
function run() {
  const built = join(root, 'dist', 'cli', 'main.js');
  const source = join(root, 'src', 'cli', 'main.ts');
  const program = existsSync(built) && !existsSync(join(root, 'src')) ? built : source;
  import(pathToFileURL(program).href).catch((error) => {
    if (!existsSync(program))
      return giveUp(`Tollgate's program is missing in ${root}: the package was made without it ("npm run package" makes a whole one).`);
    if (error && error.code === 'ERR_MODULE_NOT_FOUND' && !existsSync(join(root, 'node_modules')) && existsSync(join(root, 'src'))) {
      return giveUp(`Tollgate's dependencies are not installed: run "npm ci" in ${root}.`);
    }
    throw error;
  });
}

function giveUp(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = 1;
}

#!/usr/bin/env node
/**
 * Starts the command line with a Node that can run it, or says in one sentence why it cannot.
 *
 * Whatever `node` is first in PATH starts this file, so it is plain JavaScript that Node 14 parses. It knows nothing of the commands.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { becomeNode, canReplaceProcess, findNode, isNodeRecent, noNodeSentence } from './runtime.js';

/** SIGUSR1 would open Node's inspector; warnings of experimental features are for us, not for operators. */
const NODE_FLAGS = ['--disable-sigusr1', '--disable-warning=ExperimentalWarning'];

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
    return node === null ? giveUp(noNodeSentence()) : becomeNode(node, args);
  }
  // A daemon gets its flags, which only a start of node can set. Short commands are spared that: 30 ms.
  const isDaemon = process.argv[2] === 'run';
  const hasFlags = NODE_FLAGS.every((flag) => process.execArgv.includes(flag));
  if (isDaemon && !hasFlags && canReplaceProcess()) return becomeNode(process.execPath, args);
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

function giveUp(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = 1;
}

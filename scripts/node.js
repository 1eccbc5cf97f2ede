/**
 * Runs one of the project's scripts with a Node that can: `node scripts/node.js scripts/check.ts ...`.
 *
 * npm puts the node of the optional dependency first in PATH, as `node_modules/.bin/node`. But npm 10, which comes with Node 20 and 22,
 * removes that link again when it skips the package for the other machine, because both bring a `node` (https://github.com/npm/cli/issues/4362). So the
 * scripts look for it themselves, and put it first in PATH for what they start.
 */
import { delimiter, dirname } from 'node:path';
import { becomeNode, findNode, isNodeRecent, noNodeSentence } from '../bin/runtime.js';

const node = isNodeRecent() ? process.execPath : findNode();
if (node === null) {
  process.stderr.write(`${noNodeSentence()}\n`);
  process.exitCode = 1;
} else {
  process.env.PATH = `${dirname(node)}${delimiter}${process.env.PATH || ''}`;
  becomeNode(node, process.execArgv.concat(process.argv.slice(2)));
}

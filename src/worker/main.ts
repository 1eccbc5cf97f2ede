/**
 * A worker's beginning: `main.ts ROW GENERATION CONTROL_PATH LASTING_PATH`, with the descriptors of plan/messages.ts. Started by the supervisor, and
 * of no use by hand.
 */
import { closeOnExec } from '../native/listen-sockets.ts';
import { abortOn } from '../native/loop.ts';
import { goBeforeParent, keepNothing } from '../native/privileges.ts';
import { openSharedMemory } from '../native/shared-memory.ts';
import { HANDOFF_FD, TABLE_FD, type WorkerArguments } from '../plan/messages.ts';
import { SharedTable } from '../plan/table.ts';
import { TlsEngines } from '../tls/engines.ts';
import { Worker } from './worker.ts';

function readArguments(argv: readonly string[]): WorkerArguments {
  const [row, generation, controlPath, lastingPath] = argv;
  if (controlPath === undefined || lastingPath === undefined || !/^\d+$/.test(row ?? '') || !/^\d+$/.test(generation ?? '')) {
    process.stderr.write('This is a part of tollgate, started by it. Run "tollgate run".\n');
    process.exit(2);
  }
  return { row: Number(row), generation: Number(generation), controlPath, lastingPath };
}

const values = readArguments(process.argv.slice(2));
for (const fd of [HANDOFF_FD, TABLE_FD]) closeOnExec(fd);
// A timer's exceptions end the process as the event loop's do: where is said, what is not.
process.on('uncaughtException', abortOn);
// The supervisor decides when a worker ends; a terminal's Ctrl-C reaches the whole group.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => worker.onTerminate());
process.on('SIGHUP', () => {});
goBeforeParent();
keepNothing();
const table = SharedTable.open(openSharedMemory(TABLE_FD));
const worker = new Worker(values, table, new TlsEngines());

/** The command line. Every command exits 0, or tells why on standard error in one sentence and exits 1; a wrong call exits 2. */
import { CommanderError } from 'commander';
import { TollgateError } from '../base/tollgate-error.ts';
import { program } from './program.ts';

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    process.stderr.write(`${error instanceof TollgateError ? error.message : unexpected(error)}\n`);
    process.exitCode = 1;
  }
}

function unexpected(error: unknown): string {
  return `tollgate: an error of its own: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

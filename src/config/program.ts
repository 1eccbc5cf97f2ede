/**
 * A configuration written in TypeScript or JavaScript: evaluated in a process of its own that may read files, and nothing else (no writing,
 * no network, no other process, no native code; not root where we are), and gives data back.
 */
import { spawn } from 'node:child_process';
import { extname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readBoundedFile } from '../base/bounded-file.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import type { Document } from './document.ts';
import { ConfigError, type Place } from './findings.ts';

const EXTENSIONS: readonly string[] = ['.ts', '.mts', '.js', '.mjs'];
const PROGRAM_BYTES_MAX = 4 * 1024 * 1024;
/** Of the wall clock: a busy machine is no reason to refuse. */
const TIME_MS = 20_000;
const RESULT_BYTES_MAX = 4 * 1024 * 1024;
/** Who prints more prints without end: what the kernel's buffer holds comes at once, even out of a loop. */
const PRINTED_BYTES_MAX = 65_536;
const MEMORY_MB = 256;
const NOBODY = 65_534;

/** Whether `file` is evaluated rather than read. */
export function isProgram(file: string): boolean {
  return EXTENSIONS.includes(extname(file));
}

/** Evaluates `file`; or takes `known`, what it gave at another time. Throws ConfigError. */
export async function readProgram(
  file: string,
  known: string | undefined,
): Promise<{ readonly text: string; readonly document: Document }> {
  const text = known ?? (await evaluate(file));
  const place: Place = { file, line: 0, column: 0 };
  return { text, document: { value: JSON.parse(text) as unknown, errors: [], where: () => place, whereKey: () => place } };
}

async function evaluate(file: string): Promise<string> {
  const path = resolve(file);
  try {
    await readBoundedFile(file, PROGRAM_BYTES_MAX);
  } catch (error) {
    throw error instanceof TollgateError ? refused(file, error.message) : error;
  }
  const script = fileURLToPath(new URL(`./program-child${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
  const flags = [
    '--disable-sigusr1',
    '--disable-warning=ExperimentalWarning',
    '--permission',
    '--allow-fs-read=*',
    `--max-old-space-size=${MEMORY_MB}`,
  ];
  // Root's rights are for sockets and keys. What an ordinary user writes is evaluated as that user.
  const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const child = spawn(process.execPath, [...flags, script, path], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], cwd: '/', ...identity });
  const result: Buffer[] = [];
  let bytes = 0;
  let said = '';
  let problem: string | null = null;
  const give = (sentence: string): void => {
    problem ??= sentence;
    child.kill('SIGKILL');
  };
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (data: Buffer) => {
      if (said.length <= PRINTED_BYTES_MAX) said += data.toString('latin1');
      // Its last words; then it writes down where it was, which takes long, and helps nobody here.
      if (/heap out of memory/.test(said)) give(`it takes more than ${MEMORY_MB} MiB of memory`);
      if (said.length > PRINTED_BYTES_MAX) give(`it prints more than ${PRINTED_BYTES_MAX / 1_024} KiB`);
    });
  }
  child.stdio[3]!.on('data', (data: Buffer) => {
    bytes += data.length;
    if (bytes > RESULT_BYTES_MAX) give(`it gives more than ${RESULT_BYTES_MAX / 1_048_576} MiB`);
    else result.push(data);
  });
  const late = setTimeout(() => give(`it takes more than ${TIME_MS / 1_000} s`), TIME_MS);
  const how = await new Promise<string>((done) => {
    child.once('error', (error) => done(error.message));
    child.once('close', (code, signal) => done(signal ?? `exit code ${code}`));
  });
  clearTimeout(late);
  if (problem !== null) throw refused(file, problem);
  if (bytes === 0) throw refused(file, whyNothing(said, how));
  const answer = readAnswer(Buffer.concat(result).toString('utf8'));
  if (answer === null) throw refused(file, 'it wrote to the descriptor that its result goes to');
  if (answer.problem !== undefined) throw refused(file, `${answer.problem}${asNobody(answer.problem)}`, answer.line, answer.column);
  return JSON.stringify(answer.value, null, 2);
}

interface ChildAnswer {
  readonly value?: unknown;
  readonly problem?: string;
  readonly line?: number;
  readonly column?: number;
}

/** Null: it is not the child's own. The configuration is a program, and may write there, too. */
function readAnswer(text: string): ChildAnswer | null {
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer !== 'object' || answer === null) return null;
    const { problem, line, column }: { problem?: unknown; line?: unknown; column?: unknown } = answer;
    if ('value' in answer) return { value: answer.value };
    if (typeof problem !== 'string') return null;
    return { problem, line: Number(line) || 0, column: Number(column) || 0 };
  } catch {
    return null;
  }
}

/** What root must be told about a file that cannot be read. */
function asNobody(said: string): string {
  const denied = process.getuid?.() === 0 && /EACCES|permission denied/i.test(said);
  return denied ? "; a configuration that is a program is evaluated as the user 'nobody', without root's rights" : '';
}

function whyNothing(said: string, how: string): string {
  const line = said.split('\n').find((each) => /error/i.test(each)) ?? '';
  return `it ended with ${how} and gave nothing${line === '' ? '' : `: ${line.trim().slice(0, 300)}`}${asNobody(`${said}${how}`)}`;
}

function refused(file: string, message: string, line = 0, column = 0): ConfigError {
  return new ConfigError('config_unreadable', [{ file, line, column, severity: 'error', setting: '', message }]);
}

/**
 * A configuration written in TypeScript or JavaScript: evaluated in a process of its own that may read files, and nothing else (no writing,
 * no network, no other process, no native code; not root where we are), and gives data back.
 */
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TollgateError } from '../base/tollgate-error.ts';
import type { Document } from './document.ts';
import { ConfigError, type Place } from './findings.ts';

const EXTENSIONS: readonly string[] = ['.ts', '.mts', '.js', '.mjs'];
const TIME_MS = 10_000;
const RESULT_BYTES_MAX = 4 * 1024 * 1024;
const SAID_BYTES_MAX = 65_536;
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
    if (!statSync(path).isFile()) throw new TollgateError('file_unreadable', `${file} is not a file`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw refused(file, code === 'ENOENT' ? `${file} does not exist` : error instanceof Error ? error.message : String(error));
  }
  const script = fileURLToPath(new URL(`./program-child${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));
  const flags = [
    '--disable-sigusr1',
    '--disable-warning=ExperimentalWarning',
    '--permission',
    '--allow-fs-read=*',
    '--max-old-space-size=256',
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
      if (said.length < SAID_BYTES_MAX) said += String(data);
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
  const answer = JSON.parse(Buffer.concat(result).toString('utf8')) as {
    value?: unknown;
    problem?: string;
    line?: number;
    column?: number;
  };
  if (answer.problem !== undefined) throw refused(file, answer.problem, answer.line, answer.column);
  return JSON.stringify(answer.value, null, 2);
}

function whyNothing(said: string, how: string): string {
  if (process.getuid?.() === 0 && /EACCES|permission denied/i.test(`${said}${how}`)) {
    return "it is evaluated without root's rights, and the user 'nobody' may not read it, or may not read Tollgate's own files";
  }
  const line = said.split('\n').find((each) => /Error/.test(each)) ?? '';
  return `it ended with ${how} and gave nothing${line === '' ? '' : `: ${line.trim().slice(0, 300)}`}`;
}

function refused(file: string, message: string, line = 0, column = 0): ConfigError {
  return new ConfigError('config_unreadable', [{ file, line, column, severity: 'error', setting: '', message }]);
}

/**
 * Loads a configuration: files to text to values to a checked configuration. Certificates and names are compile.ts's affair.
 */
import { resolve } from 'node:path';
import { readBoundedFile } from '../base/bounded-file.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { type Assembled, assemble, assembleText, type SourceFile } from './assemble.ts';
import { checkConfig, type LoadedConfig } from './check.ts';
import { readDocument } from './document.ts';
import { ConfigError } from './findings.ts';
import { isProgram, readProgram } from './program.ts';

export type { SourceFile } from './assemble.ts';
export type { LoadedConfig } from './check.ts';

/** Largest configuration file. Bytes. */
export const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads and checks a configuration file and all it includes. Throws ConfigError with every error at once, the file named as the caller did.
 * `kept`: what files are to be taken for, whatever the disk says now.
 */
export async function loadConfig(path: string, kept: readonly SourceFile[] = [], env: Env = process.env): Promise<LoadedConfig> {
  const readAtMs = Date.now();
  const read = async (file: string) => {
    const known = kept.find((each) => each.path === resolve(file))?.text;
    if (isProgram(file)) return await readProgram(file, known);
    const text = known ?? (await readText(file));
    return { text, document: readDocument(text, file) };
  };
  const readSecret = async (file: string, bytesMax: number): Promise<string> => {
    const { bytes } = await readBoundedFile(file, bytesMax);
    const text = decoded(bytes);
    bytes.fill(0);
    if (text === null || /[^\P{Cc}\t\n\r]/u.test(text)) throw new TollgateError('file_unreadable', `${file} is no text`);
    return text;
  };
  return checked(await assemble(path, { read, readSecret, env }), path, readAtMs);
}

/** Checks the text of a configuration that includes nothing. `file` is blamed for its errors, and relative paths start in its directory. Throws ConfigError. */
export async function parseConfig(text: string, file: string, env: Env = {}): Promise<LoadedConfig> {
  return checked(await assembleText(text, file, env), file, Date.now());
}

function checked(assembled: Assembled, file: string, readAtMs: number): LoadedConfig {
  if (assembled.value === undefined) {
    if (assembled.errors.length > 0) throw new ConfigError('config_invalid', assembled.errors);
    throw unreadable(file, 'the file is empty; a configuration has at least listeners and upstreams');
  }
  return checkConfig({ ...assembled, file, readAtMs });
}

async function readText(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    ({ bytes } = await readBoundedFile(path, CONFIG_BYTES_MAX));
  } catch (error) {
    throw error instanceof TollgateError ? unreadable(path, error.message, error) : error;
  }
  if (isUtf16(bytes)) throw unreadable(path, 'the file is UTF-16; save it as UTF-8');
  const text = decoded(bytes);
  if (text === null) throw unreadable(path, `the file is not UTF-8 text (first bad byte at offset ${firstBadByte(bytes)})`);
  const control = /[^\P{Cc}\t\n\r\u0085]/u.exec(text);
  if (control !== null) {
    const line = text.slice(0, control.index).split('\n').length;
    throw unreadable(
      path,
      `the file holds a control character (U+${control[0].codePointAt(0)!.toString(16).padStart(4, '0').toUpperCase()}) on line ${line}; is it a text file?`,
    );
  }
  return text;
}

/** Null: it is not UTF-8. */
function decoded(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function isUtf16(bytes: Buffer): boolean {
  const mark = bytes.length >= 2 ? bytes.readUInt16BE(0) : 0;
  return mark === 0xfeff || mark === 0xfffe;
}

/** Length of the longest prefix that decodes. */
function firstBadByte(bytes: Buffer): number {
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    try {
      // A sequence cut short by the prefix is no error yet: `stream` keeps it waiting.
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle;
    }
  }
  return good;
}

function unreadable(file: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError('config_unreadable', [{ file, line: 0, column: 0, severity: 'error', setting: '', message }], [], cause);
}

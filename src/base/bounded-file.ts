/**
 * Reads small files of the control plane whole: within a bound, into memory of their own, with one sentence for whatever
 * can go wrong. Does not look at what is in them.
 */
import { closeSync, constants, existsSync, fstatSync, lstatSync, open, read, readlinkSync, readSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { TollgateError } from './tollgate-error.ts';

const STEP_BYTES = 65_536;

/** A step of a read, from where the last one ended. */
type Read = (fd: number, into: Buffer, at: number) => number | Promise<number>;

// Opening is what may wait: for who writes to a pipe, for a file system that is far away. What a regular file holds is then read without
// going to another thread and back for each step, which costs many times what the step does; there may be twenty thousand files.
const openFile = promisify(open);
const readLater = promisify(read);
const readNow: Read = (fd, into, at) => readSync(fd, into, at, into.length - at, null);
const readWhenThere: Read = async (fd, into, at) => (await readLater(fd, into, at, into.length - at, null)).bytesRead;

export interface FileBytes {
  /** Not from Node's shared pool: the owner may zero it. */
  readonly bytes: Buffer;
  /** Permission bits. */
  readonly mode: number;
}

/**
 * The bytes of `path`, at most `bytesMax`. Throws TollgateError `file_unreadable`, whose message is a sentence about `path`.
 * Pipes are read to their end; directories, and what never ends, are refused.
 */
export async function readBoundedFile(path: string, bytesMax: number): Promise<FileBytes> {
  let fd = -1;
  try {
    fd = await openFile(path, constants.O_RDONLY | constants.O_NOCTTY);
    const status = fstatSync(fd);
    if (status.isDirectory()) throw new TollgateError('file_unreadable', `${path} is a directory, not a file`);
    const bytes = status.isFile()
      ? await readAll(fd, path, readNow, status.size, bytesMax)
      : await readAll(fd, path, readWhenThere, 0, bytesMax);
    return { bytes, mode: status.mode & 0o7777 };
  } catch (error) {
    throw error instanceof TollgateError ? error : new TollgateError('file_unreadable', fileProblem(path, error), error);
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/** `expected`: what the system says it holds; 0: it cannot say. */
async function readAll(fd: number, path: string, step: Read, expected: number, bytesMax: number): Promise<Buffer> {
  let buffer = Buffer.alloc(Math.min(expected, bytesMax) + 1);
  let length = 0;
  for (;;) {
    const now = step(fd, buffer, length);
    const bytesRead = typeof now === 'number' ? now : await now;
    if (bytesRead === 0) break;
    length += bytesRead;
    if (length > bytesMax) {
      buffer.fill(0);
      throw new TollgateError('file_unreadable', `${path} is larger than ${bytesMax} bytes`);
    }
    // There was room for more: it is whole, and need not be asked for its end.
    if (length === expected && length < buffer.length) break;
    if (length === buffer.length) {
      const larger = Buffer.alloc(Math.min(buffer.length + STEP_BYTES, bytesMax + 1));
      buffer.copy(larger);
      buffer.fill(0);
      buffer = larger;
    }
  }
  return buffer.subarray(0, length);
}

/** Why `path` could not be read, in a sentence about it: `error` is what the system said. */
export function fileProblem(path: string, error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return `there is no file ${path}${whatIsMissing(path)}`;
    case 'ENOTDIR':
      return `there is no file ${path}: a part of its path is no directory`;
    case 'EACCES':
    case 'EPERM': {
      const closed = closedDirectory(path);
      const why = closed === null ? '' : `: the directory ${closed} is closed to it`;
      return `${path} may not be read by this user (uid ${process.geteuid?.() ?? '?'})${why}`;
    }
    case 'ELOOP':
      return `${path} is a loop of symbolic links`;
    case 'ENAMETOOLONG':
      return 'the path is too long';
    default:
      return `${path} could not be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The first part of `path` that is not there, unless it is the file itself. */
function whatIsMissing(path: string): string {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true) return `: it is a link to ${readlinkSync(path)}`;
  let missing: string | null = null;
  for (let at = dirname(path); !existsSync(at) && at !== dirname(at); at = dirname(at)) missing = at;
  return missing === null ? '' : `: there is no directory ${missing}`;
}

/** The outermost directory around `path` that this process may not enter; null: it may enter all of them. */
export function closedDirectory(path: string): string | null {
  const around: string[] = [];
  for (let at = dirname(path); around.at(-1) !== at; at = dirname(at)) around.push(at);
  for (const directory of around.reverse()) {
    try {
      // What is in a directory is found by who may enter it. access(2) would ask for the real user, not the one that opens files.
      statSync(`${directory}/.`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EACCES') return directory;
    }
  }
  return null;
}

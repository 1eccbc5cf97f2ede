/**
 * The directory of a running instance: its control socket, for this user alone. Finds it, makes it, and tells whether somebody lives there.
 */
import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { TollgateError } from '../base/tollgate-error.ts';

const SOCKET_NAME = 'control.sock';
/** Of the sockets that come and go beside it. */
const LONGEST_NAME = 'handoff.4194304';
/** A living supervisor takes a connection within this time. Milliseconds. */
const ANSWER_MS = 2_000;
/** Longest path of a Unix socket. Bytes. */
const SOCKET_PATH_BYTES_MAX = 107;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Where an instance lives unless told otherwise: /run/tollgate for root, else the user's own runtime directory. */
export function defaultRuntimeDirectory(env: NodeJS.ProcessEnv = process.env, uid: number = process.getuid?.() ?? 0): string {
  if (uid === 0) return '/run/tollgate';
  const { XDG_RUNTIME_DIR: xdg } = env;
  return xdg !== undefined && isAbsolute(xdg) ? join(xdg, 'tollgate') : join(tmpdir(), `tollgate-${uid}`);
}

export function controlSocketPath(directory: string): string {
  return join(directory, SOCKET_NAME);
}

/**
 * Makes `directory` ready for a new supervisor: it exists, belongs to `owner` (default: us), is closed to others, and nobody lives there (a
 * dead one's socket is removed). Throws `runtime_taken` when somebody does, `runtime_unusable` when it cannot be had. Returns the path of
 * its control socket.
 */
export async function prepareRuntimeDirectory(directory: string, owner: Owner | null = null): Promise<string> {
  const path = resolve(directory);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new TollgateError(
      'runtime_unusable',
      `the runtime directory ${path} cannot be made: ${codeOf(cause)}; name another with --runtime`,
      cause,
    );
  }
  const stat = lstatSync(path);
  if (!stat.isDirectory())
    throw new TollgateError('runtime_unusable', `the runtime directory ${path} is not a directory; name another with --runtime`);
  if (owner !== null) chownSync(path, owner.uid, owner.gid);
  else if (stat.uid !== (process.getuid?.() ?? stat.uid)) {
    throw new TollgateError('runtime_unusable', `the runtime directory ${path} belongs to another user; name another with --runtime`);
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(path, 0o700);
  const socket = controlSocketPath(path);
  if (Buffer.byteLength(join(path, LONGEST_NAME)) > SOCKET_PATH_BYTES_MAX) {
    throw new TollgateError(
      'runtime_unusable',
      `the runtime directory ${path} is too long for a Unix socket in it; name another with --runtime`,
    );
  }
  if (await answers(socket)) {
    throw new TollgateError(
      'runtime_taken',
      `another tollgate runs in ${path}; stop it with "tollgate stop --runtime ${path}", or name another directory with --runtime`,
    );
  }
  rmSync(socket, { force: true });
  return socket;
}

/** Whether somebody takes connections on `socket`. */
export async function answers(socket: string): Promise<boolean> {
  return await new Promise((done) => {
    const connection = connect(socket);
    const end = (alive: boolean): void => {
      connection.destroy();
      done(alive);
    };
    connection.setTimeout(ANSWER_MS, () => end(true));
    connection.once('connect', () => end(true));
    connection.once('error', () => end(false));
  });
}

/** Makes `directory`, closed to others; what had to be made for it belongs to `owner`. */
export function makeDirectoryFor(directory: string, owner: Owner): void {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
  chownSync(directory, owner.uid, owner.gid);
  if (first === undefined) return;
  for (let path = directory; path !== first; path = dirname(path)) chownSync(dirname(path), owner.uid, owner.gid);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

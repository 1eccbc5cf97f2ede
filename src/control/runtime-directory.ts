/**
 * The directory of a running instance: its control socket, for this user alone. Finds it, makes it, and tells whether somebody lives there.
 */
import { accessSync, chmodSync, chownSync, constants, lstatSync, mkdirSync, rmSync, type Stats } from 'node:fs';
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
  const problem = runtimeProblem(path, owner === null ? (process.getuid?.() ?? null) : null);
  if (problem !== null) throw new TollgateError('runtime_unusable', problem);
  if (owner !== null) chownSync(path, owner.uid, owner.gid);
  if ((lstatSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700);
  const socket = controlSocketPath(path);
  if (await answers(socket)) {
    throw new TollgateError(
      'runtime_taken',
      `another tollgate runs in ${path}; stop it with "tollgate stop --runtime ${path}", or name another directory with --runtime`,
    );
  }
  rmSync(socket, { force: true });
  return socket;
}

/** Why `directory`, made or still to be made, cannot be that of an instance of the user `uid`; null: it can. `uid` null: it will be given to its user. */
export function runtimeProblem(directory: string, uid: number | null): string | null {
  const path = resolve(directory);
  const problem = (why: string): string => `the runtime directory ${path} ${why}; name another with --runtime`;
  if (Buffer.byteLength(join(path, LONGEST_NAME)) > SOCKET_PATH_BYTES_MAX) return problem('is too long for a Unix socket in it');
  const stat = lookAt(path);
  if (stat === 'denied') return problem('cannot be entered by this user');
  if (stat !== null) {
    if (!stat.isDirectory()) return problem('is not a directory');
    return uid === null || stat.uid === uid ? null : problem('belongs to another user');
  }
  if (uid === null) return null;
  let around = dirname(path);
  while (lookAt(around) === null && around !== dirname(around)) around = dirname(around);
  try {
    accessSync(around, constants.W_OK | constants.X_OK);
    return null;
  } catch {
    return problem(`cannot be made by this user in ${around}`);
  }
}

function lookAt(path: string): Stats | 'denied' | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    return codeOf(error) === 'EACCES' ? 'denied' : null;
  }
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

/**
 * What a user may do with files of this machine, by their owners and modes, and what is wrong with a log's destination. Access lists
 * (setfacl) are not looked at for another user; for ourselves the kernel is asked.
 */
import { accessSync, constants, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { closedDirectory } from '../base/bounded-file.ts';
import type { LogDestinationPlan } from '../plan/log-plan.ts';
import type { User } from './user.ts';

const READ = 4;
const WRITE = 2;
const ENTER = 1;

/**
 * What keeps `user` from `path`: a directory that it may not enter, or the path itself; null: nothing that can be seen from here. To `write`
 * into a directory is to make files there.
 */
export function obstacle(path: string, user: User, wish: 'read' | 'write'): string | null {
  let real = path;
  try {
    real = realpathSync(path);
  } catch {
    // Told of as missing by whoever needs it.
  }
  if (user.uid === process.geteuid!() && user.uid === process.getuid!()) {
    try {
      accessSync(real, wish === 'read' ? constants.R_OK : constants.W_OK);
      return null;
    } catch {
      return closedDirectory(real) ?? path;
    }
  }
  const around: string[] = [];
  for (let at = dirname(real); around.at(-1) !== at; at = dirname(at)) around.push(at);
  for (const directory of around.reverse()) {
    const stats = look(directory) ?? null;
    if (stats !== null && !may(user, stats, ENTER)) return directory;
  }
  const stats = look(real) ?? null;
  const needed = wish === 'read' ? READ : stats?.isDirectory() === true ? WRITE | ENTER : WRITE;
  return stats === null || may(user, stats, needed) ? null : path;
}

function may({ uid, groups }: User, { mode, uid: owner, gid }: Stats, bits: number): boolean {
  if (uid === 0) return true;
  const shift = uid === owner ? 6 : groups.includes(gid) ? 3 : 0;
  return ((mode >> shift) & bits) === bits;
}

/** `the user www-data`, for a sentence. */
export function who({ uid }: User): string {
  try {
    const name = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((line) => line.split(':')[2] === String(uid));
    if (name !== undefined) return `the user ${name.split(':')[0]}`;
  } catch {
    // A number will do.
  }
  return `the user ${uid}`;
}

/** Why a log could not be written to `destination`; null: it could. `user` null: who writes is not known. */
export function logProblem(destination: LogDestinationPlan, user: User | null): string | null {
  if (destination.kind === 'standard') return null;
  if (destination.kind === 'syslog') {
    const { address } = destination;
    if (address.family !== 0) return null;
    const stats = look(address.path);
    if (stats === undefined) return `there is no socket ${address.path} here: lines would be lost until there is one`;
    return stats === null || stats.isSocket() ? null : `${address.path} is no socket`;
  }
  const { path } = destination;
  const stats = look(path);
  if (stats !== undefined && stats !== null) {
    if (stats.isDirectory()) return `${path} is a directory, not a file`;
    if (stats.isSocket()) return `${path} is a socket; write 'syslog' for it`;
    return user === null ? null : refused(path, user, `write to ${path}`);
  }
  const directory = dirname(path);
  const around = look(directory);
  if (around === undefined) return `there is no directory ${directory} for ${path}`;
  if (around?.isDirectory() === false) return `${directory} is no directory`;
  return user === null ? null : refused(directory, user, `make ${path}`);
}

function refused(path: string, user: User, wish: string): string | null {
  const closed = obstacle(path, user, 'write');
  if (closed === null) return null;
  return `${who(user)} may not ${wish}${closed === path ? '' : `: the directory ${closed} is closed to it`}`;
}

/** Undefined: it is not there. Null: we may not see. */
export function look(path: string): Stats | undefined | null {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTDIR' ? undefined : null;
  }
}

/** Processes that are not our children: whether they live, and the list of them that a supervisor leaves to the next one. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LIST_NAME = 'workers.json';

export interface ProcessIdentity {
  readonly pid: number;
  /** In the kernel's ticks since boot: a number that came back to another process is told apart by it. */
  readonly startTime: string;
}

/**
 * When process `pid` was started; null when there is none, or it has ended and only waits to be noticed. proc(5), /proc/pid/stat. Throws when
 * that cannot be found out, as without descriptors: nobody is dead because we cannot look.
 */
export function startTimeOf(pid: number): string | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  const text = statOf(pid);
  if (text === null) return null;
  // The second field is the program's name in brackets, and may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

function statOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    // It ended before, or while, it was read.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

/** Whether it is there. `unknown` is the answer when that cannot be found out: who would act on its death passes true, who would kill it false. */
export function isProcess(pid: number, startTime: string, unknown = true): boolean {
  if (startTime === '') return false;
  try {
    return startTimeOf(pid) === startTime;
  } catch {
    return unknown;
  }
}

/** Leaves a list of workers in a runtime directory. */
export function writeWorkerList(directory: string, workers: readonly ProcessIdentity[]): void {
  const path = join(directory, LIST_NAME);
  const list = workers.map(({ pid, startTime }) => ({ pid, startTime }));
  writeFileSync(`${path}.new`, JSON.stringify(list), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function removeWorkerList(directory: string): void {
  rmSync(join(directory, LIST_NAME), { force: true });
}

/** Workers of an earlier supervisor that live on. What cannot be read is none. */
export function livingWorkers(directory: string): readonly ProcessIdentity[] {
  let list: unknown;
  try {
    list = JSON.parse(readFileSync(join(directory, LIST_NAME), 'utf8'));
  } catch {
    return [];
  }
  if (!Array.isArray(list)) return [];
  return (list as Partial<ProcessIdentity>[]).filter(
    (each): each is ProcessIdentity =>
      typeof each?.pid === 'number' && typeof each.startTime === 'string' && isProcess(each.pid, each.startTime),
  );
}

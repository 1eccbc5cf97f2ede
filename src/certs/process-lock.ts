/**
 * One holder at a time, over all processes that share a directory. The kernel gives the lock back when its holder dies,
 * whatever it dies of, so there is no stale lock to judge. (It is SQLite's lock on an empty file: Node has no flock.)
 *
 * Nobody else may open a lock's file: closing any descriptor of a file drops all locks that the process holds on it (fcntl(2)),
 * and SQLite can see to its own descriptors only.
 */
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { TollgateError } from '../base/tollgate-error.ts';

/** Between two tries. Milliseconds. */
const RETRY_MS = 25;
/** SQLITE_BUSY: somebody else holds the lock. */
const SQLITE_BUSY = 5;

/** Runs `work` while holding the lock at `path`, a file that is made when missing. Waits `waitMs` for it at most; throws TollgateError `locked` then. */
export async function withProcessLock<Result>(path: string, waitMs: number, work: () => Promise<Result>): Promise<Result> {
  const until = performance.now() + waitMs;
  let lock = tryLock(path);
  while (lock === undefined) {
    if (performance.now() > until)
      throw new TollgateError('locked', `another process has been holding ${path} for ${Math.round(waitMs / 1_000)} s`);
    await delay(RETRY_MS);
    lock = tryLock(path);
  }
  try {
    return await work();
  } finally {
    lock.close();
  }
}

function tryLock(path: string): DatabaseSync | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw new TollgateError('lock_failed', `cannot lock ${path}: ${(error as Error).message}`, error);
  }
}

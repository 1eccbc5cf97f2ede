/** The status flags of an open file, which everybody has who shares it (fcntl(2), F_SETFL). */
import * as libc from './libc.ts';

/** Adds `flags`, of those that can be added to an open file: O_APPEND, O_NONBLOCK. */
export function addFileFlags(fd: number, flags: number): void {
  const had = libc.fcntl(fd, libc.F_GETFL, 0) as number;
  if (had >= 0) libc.fcntl(fd, libc.F_SETFL, had | flags);
}

/** Takes O_NONBLOCK from a descriptor, for all who have its file. */
import * as libc from './ffi/libc.ts';

export function makeBlocking(fd: number): void {
  libc.fcntl(fd, libc.F_SETFL, (libc.fcntl(fd, libc.F_GETFL, 0) as number) & ~libc.O_NONBLOCK);
}

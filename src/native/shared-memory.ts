/** Memory that several processes map: an anonymous file (memfd) handed from process to process. */
import { fstatSync } from 'node:fs';
import koffi from 'koffi';
import * as libc from './ffi/libc.ts';

/** New zeroed memory. The descriptor is CLOEXEC; the mapping lives as long as the process. */
export function createSharedMemory(bytes: number): { fd: number; memory: ArrayBuffer } {
  const fd = libc.memfdCreate('tollgate', libc.MFD_CLOEXEC) as number;
  if (fd < 0) throw new Error(`memfd_create failed (errno ${libc.errno()})`);
  if (libc.ftruncate(fd, bytes) !== 0) throw new Error(`no memory for the shared table (errno ${libc.errno()})`);
  return { fd, memory: map(fd, bytes) };
}

/** Maps memory another process made; its whole length unless told otherwise. */
export function openSharedMemory(fd: number, bytes: number = fstatSync(fd).size): ArrayBuffer {
  if (bytes <= 0) throw new Error('the shared memory is empty');
  return map(fd, bytes);
}

function map(fd: number, bytes: number): ArrayBuffer {
  const address = libc.mmap(0, bytes, libc.PROT_READ_WRITE, libc.MAP_SHARED, fd, 0) as number;
  if (address === -1) throw new Error(`mmap failed (errno ${libc.errno()})`);
  return koffi.view(address, bytes);
}

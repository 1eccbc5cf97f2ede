/**
 * Memory that is filled once and then only read, by any number of processes: an anonymous file (memfd) that is sealed against writing and
 * resizing, so that nobody who holds its descriptor can change what others read.
 *
 * A mapping that is given back takes its ArrayBuffer's bytes with it: whoever holds one keeps no view beyond it.
 */
import { fstatSync } from 'node:fs';
import koffi from 'koffi';
import * as libc from './ffi/libc.ts';

const SEALS = libc.F_SEAL_SEAL | libc.F_SEAL_SHRINK | libc.F_SEAL_GROW | libc.F_SEAL_WRITE;

/** Memory in the making. Pages that nobody writes to cost nothing. */
export class UnsealedMemory {
  readonly memory: ArrayBuffer;
  readonly #bytes: number;
  readonly #address: number;
  #fd: number;

  /** Zeroed. Throws when the kernel has none. */
  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#fd = libc.memfdCreate('tollgate-sealed', libc.MFD_CLOEXEC | libc.MFD_ALLOW_SEALING) as number;
    if (this.#fd < 0) throw new Error(`memfd_create failed (errno ${libc.errno()})`);
    const address =
      libc.ftruncate(this.#fd, bytes) === 0 ? (libc.mmap(0, bytes, libc.PROT_READ_WRITE, libc.MAP_SHARED, this.#fd, 0) as number) : -1;
    if (address === -1) {
      const error = libc.errno();
      libc.close(this.#fd);
      throw new Error(`no memory to share (errno ${error})`);
    }
    this.#address = address;
    this.memory = koffi.view(address, bytes);
  }

  /** Cuts it to `bytes` and seals it. `memory` is gone; the descriptor is the caller's. */
  seal(bytes: number): number {
    const fd = this.#unmap();
    if (libc.ftruncate(fd, bytes) === 0 && libc.fcntl(fd, libc.F_ADD_SEALS, SEALS) === 0) return fd;
    const error = libc.errno();
    libc.close(fd);
    throw new Error(`memory that cannot be sealed (errno ${error})`);
  }

  /** It is not wanted after all. Safe to call behind `seal`. */
  discard(): void {
    if (this.#fd >= 0) libc.close(this.#unmap());
  }

  #unmap(): number {
    const fd = this.#fd;
    this.#fd = -1;
    libc.munmap(this.#address, this.#bytes);
    return fd;
  }
}

/** Sealed memory, mapped for reading. */
export class SealedMemory {
  readonly memory: ArrayBuffer;
  readonly bytes: number;
  readonly #address: number;
  #mapped = true;

  /** The descriptor stays the caller's: the mapping does not need it. Throws when it is not sealed, or cannot be mapped. */
  constructor(fd: number) {
    if (((libc.fcntl(fd, libc.F_GET_SEALS, 0) as number) & SEALS) !== SEALS) throw new Error('the memory is not sealed');
    this.bytes = fstatSync(fd).size;
    this.#address = libc.mmap(0, this.bytes, libc.PROT_READ, libc.MAP_SHARED, fd, 0) as number;
    if (this.#address === -1) throw new Error(`mmap failed (errno ${libc.errno()})`);
    this.memory = koffi.view(this.#address, this.bytes);
  }

  /** Gives the mapping back. Nothing may read `memory` behind it, nor any view of it. */
  release(): void {
    if (this.#mapped) libc.munmap(this.#address, this.bytes);
    this.#mapped = false;
  }
}

/** Memory that both JavaScript and the kernel see. Other rooms hold it, fill it through `bytes`, and hand it back: the address stays in here. */
import { mallocTrim, memcpy } from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';

/** A fixed block, zeroed at birth. `bytes` and the kernel see the same bytes. */
export interface Memory {
  readonly bytes: Buffer;
  readonly length: number;
}

export function allocate(length: number): Memory {
  return new NativeMemory(length);
}

/** Copies between two blocks; within one block `Buffer.copyWithin` is cheaper. The ranges lie within their blocks. */
export function copyMemory(target: Memory, targetStart: number, source: Memory, start: number, end: number): void {
  memcpy((target as NativeMemory).address + targetStart, (source as NativeMemory).address + start, end - start);
}

/** Gives free pages of the C heap back to the kernel, in a few milliseconds. Nothing where the C library cannot. */
export function trimHeap(): void {
  mallocTrim?.(0);
}

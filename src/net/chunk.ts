/**
 * Memory that a connection owns while it has bytes it could not hand on: a piece from a pool, given back when they are gone. A quiet
 * connection owns none.
 */
import { assert } from '../base/assert.ts';
import { HEADROOM_BYTES, READ_BYTES, TAILROOM_BYTES } from '../base/limits.ts';
import { allocate, copyMemory, type Memory } from '../native/memory.ts';

const SIZES = [4_096, 16_384, 65_536, HEADROOM_BYTES + READ_BYTES + TAILROOM_BYTES] as const;
/** Pieces of each size kept for reuse. */
const SPARES_MAX = [1_024, 256, 64, 64] as const;

/** Bytes [start, end) of `memory`. */
export class Chunk {
  readonly memory: Memory;
  readonly sizeClass: number;
  start = 0;
  end = 0;

  constructor(sizeClass: number) {
    this.sizeClass = sizeClass;
    this.memory = allocate(SIZES[sizeClass]!);
  }

  get length(): number {
    return this.end - this.start;
  }
}

const spares: Chunk[][] = SIZES.map(() => []);
let inUse = 0;

/** A chunk that holds a copy of source[start, end). */
export function keepBytes(source: Memory, start: number, end: number): Chunk {
  const length = end - start;
  let sizeClass = 0;
  while (SIZES[sizeClass]! < length) sizeClass++;
  assert(sizeClass < SIZES.length, 'no more is kept than was read');
  const chunk = spares[sizeClass]!.pop() ?? new Chunk(sizeClass);
  copyMemory(chunk.memory, 0, source, start, end);
  chunk.start = 0;
  chunk.end = length;
  inUse++;
  return chunk;
}

export function dropChunk(chunk: Chunk): void {
  inUse--;
  chunk.start = 0;
  chunk.end = 0;
  const pool = spares[chunk.sizeClass]!;
  if (pool.length < SPARES_MAX[chunk.sizeClass]!) pool.push(chunk);
}

/** Chunks owned by connections now. */
export function chunksInUse(): number {
  return inUse;
}

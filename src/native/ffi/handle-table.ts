/** Pointers behind numbers that carry a generation: what other rooms hold instead of an address. */
import { assert } from '../../base/assert.ts';

const INDEX_BITS = 20;
const INDEX_MASK = (1 << INDEX_BITS) - 1;
// What a small integer has left: handles stay unboxed.
const GENERATION_MASK = (1 << (30 - INDEX_BITS)) - 1;

export class HandleTable {
  #pointers = new Float64Array(1_024);
  #generations = new Int32Array(1_024).fill(1);
  readonly #free: number[] = [];
  #next = 0;
  #size = 0;

  /** Where the table holds a handle: small, and another's when its life is over. */
  static placeOf(handle: number): number {
    return handle & INDEX_MASK;
  }

  get size(): number {
    return this.#size;
  }

  /** A handle for `pointer`, greater than 0. */
  add(pointer: number): number {
    assert(pointer !== 0, 'a pointer to something');
    let index = this.#free.pop();
    if (index === undefined) {
      index = this.#next++;
      assert(index <= INDEX_MASK, 'handles within bounds');
      if (index >= this.#pointers.length) this.#grow();
    }
    this.#pointers[index] = pointer;
    this.#size++;
    return (this.#generations[index]! << INDEX_BITS) | index;
  }

  /** The pointer of a living handle; a stale or made-up one is a programmer's error. */
  pointer(handle: number): number {
    const index = HandleTable.placeOf(handle);
    assert(this.#generations[index] === handle >>> INDEX_BITS && this.#pointers[index] !== 0, 'the handle is alive');
    return this.#pointers[index]!;
  }

  /** Ends the handle's life and gives its pointer back. */
  remove(handle: number): number {
    const pointer = this.pointer(handle);
    const index = HandleTable.placeOf(handle);
    this.#pointers[index] = 0;
    const generation = (this.#generations[index]! + 1) & GENERATION_MASK;
    this.#generations[index] = generation === 0 ? 1 : generation;
    this.#free.push(index);
    this.#size--;
    return pointer;
  }

  #grow(): void {
    const pointers = new Float64Array(this.#pointers.length * 2);
    pointers.set(this.#pointers);
    const generations = new Int32Array(pointers.length).fill(1);
    generations.set(this.#generations);
    this.#pointers = pointers;
    this.#generations = generations;
  }
}

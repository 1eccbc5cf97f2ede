/**
 * Whether a worker has memory and descriptors for one more client. What is short is kept for those who are in: they are served on, and
 * newcomers are refused at once. Looks at counters alone; the machine is asked by process-gauges.ts.
 */
import { FAULT_DESCRIPTORS, FAULT_MEMORY } from '../base/faults.ts';
import { RESERVED_DESCRIPTORS_MIN, RESERVED_DESCRIPTORS_SHARE } from '../base/limits.ts';
import { C_CONNECTIONS_OPEN, C_DESCRIPTORS_MAX, C_RSS_BYTES } from '../plan/counters.ts';
import type { SharedTable, TableRow } from '../plan/table.ts';

/** Of the memory there is: the rest is for the kernel's socket buffers, the supervisor, and the time between two looks. */
const MEMORY_SHARE = 0.9;

export class Shortage {
  readonly #table: SharedTable;
  readonly #row: TableRow;
  readonly #memoryBytes: number;
  #bytesMax: number;
  #descriptorsMax = Number.POSITIVE_INFINITY;
  /** The workers have more memory than they may. */
  ofMemory = false;

  /** `memoryBytes`: what the machine or container has. */
  constructor(table: SharedTable, row: TableRow, memoryBytes: number) {
    this.#table = table;
    this.#row = row;
    this.#memoryBytes = memoryBytes;
    this.#bytesMax = memoryBytes * MEMORY_SHARE;
  }

  /** `bytesMax`: for all workers; null: a share of what there is. */
  allow(bytesMax: number | null): void {
    this.#bytesMax = bytesMax ?? this.#memoryBytes * MEMORY_SHARE;
  }

  /** Reads the gauges of all workers. */
  look(): void {
    this.ofMemory = this.#table.counter(C_RSS_BYTES) > this.#bytesMax;
    const most = this.#row.counters[C_DESCRIPTORS_MAX]!;
    if (most > 0) this.#descriptorsMax = most - Math.max(RESERVED_DESCRIPTORS_MIN, most * RESERVED_DESCRIPTORS_SHARE);
  }

  /** Why the client on `fd` cannot stay, or 0. The kernel gives the lowest free descriptor: how high it is tells how many are taken. */
  refusal(fd: number): number {
    if (fd >= this.#descriptorsMax) return FAULT_DESCRIPTORS;
    // Memory that no connection holds is not to be had by refusing: who has none goes on.
    return this.ofMemory && this.#row.counters[C_CONNECTIONS_OPEN]! > 0 ? FAULT_MEMORY : 0;
  }
}

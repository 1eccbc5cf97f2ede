/**
 * What a worker tells of itself: memory and garbage collection, written into its row of the shared table. Opens nothing once it is made: it
 * must go on when there are no descriptors left (`process.memoryUsage()` throws then).
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { DESCRIPTORS_MAX } from '../base/limits.ts';
import { descriptorLimit, ResidentMemory } from '../native/limits.ts';
import { C_DESCRIPTORS_MAX, C_GC_COUNT, C_GC_MAX_S, C_GC_S, C_HEAP_BYTES, C_RSS_BYTES } from '../plan/counters.ts';

export class ProcessGauges {
  readonly #counters: Float64Array;
  readonly #resident = new ResidentMemory();

  constructor(counters: Float64Array) {
    this.#counters = counters;
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.#onPause(entry.duration / 1_000);
    });
    observer.observe({ entryTypes: ['gc'] });
  }

  #onPause(seconds: number): void {
    this.#counters[C_GC_COUNT]!++;
    this.#counters[C_GC_S]! += seconds;
    if (seconds > this.#counters[C_GC_MAX_S]!) this.#counters[C_GC_MAX_S] = seconds;
  }

  update(): void {
    this.#counters[C_HEAP_BYTES] = getHeapStatistics().used_heap_size;
    this.#counters[C_DESCRIPTORS_MAX] = Math.min(descriptorLimit(), DESCRIPTORS_MAX);
  }

  /** Two microseconds: memory can run out between two slow looks. */
  updateMemory(): void {
    this.#counters[C_RSS_BYTES] = this.#resident.bytes();
  }
}

/**
 * What a worker tells of itself: memory, processor time and garbage collection, written into its row of the shared table. Opens nothing once it is
 * made: it must go on when there are no descriptors left (`process.memoryUsage()` throws then).
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { DESCRIPTORS_MAX } from '../base/limits.ts';
import { descriptorLimit, ResidentMemory } from '../native/limits.ts';
import { C_CPU_S, C_DESCRIPTORS_MAX, C_HEAP_BYTES, C_RSS_BYTES, H_GC, observe } from '../plan/counters.ts';

export class ProcessGauges {
  readonly #counters: Float64Array;
  readonly #resident = new ResidentMemory();

  constructor(counters: Float64Array) {
    this.#counters = counters;
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) observe(this.#counters, H_GC.at, H_GC.bounds, entry.duration / 1_000);
    });
    observer.observe({ entryTypes: ['gc'] });
  }

  update(): void {
    this.#counters[C_HEAP_BYTES] = getHeapStatistics().used_heap_size;
    this.#counters[C_DESCRIPTORS_MAX] = Math.min(descriptorLimit(), DESCRIPTORS_MAX);
    const { user, system } = process.cpuUsage();
    this.#counters[C_CPU_S] = (user + system) / 1e6;
  }

  /** Two microseconds: memory can run out between two slow looks. */
  updateMemory(): void {
    this.#counters[C_RSS_BYTES] = this.#resident.bytes();
  }
}

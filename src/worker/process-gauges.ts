/** What a worker tells of itself: memory and garbage collection, written into its row of the shared table. */
import { PerformanceObserver } from 'node:perf_hooks';
import { C_GC_COUNT, C_GC_MAX_S, C_GC_S, C_HEAP_BYTES, C_RSS_BYTES } from '../plan/counters.ts';

export class ProcessGauges {
  readonly #counters: Float64Array;

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
    const { rss, heapUsed } = process.memoryUsage();
    this.#counters[C_RSS_BYTES] = rss;
    this.#counters[C_HEAP_BYTES] = heapUsed;
  }
}

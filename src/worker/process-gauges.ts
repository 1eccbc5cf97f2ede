/** What a worker tells of itself: memory, processor time and garbage collection, written into its row of the shared table. */
import { PerformanceObserver } from 'node:perf_hooks';
import { C_CPU_S, C_HEAP_BYTES, C_RSS_BYTES, H_GC, observe } from '../plan/counters.ts';

export class ProcessGauges {
  readonly #counters: Float64Array;

  constructor(counters: Float64Array) {
    this.#counters = counters;
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) observe(this.#counters, H_GC.at, H_GC.bounds, entry.duration / 1_000);
    });
    observer.observe({ entryTypes: ['gc'] });
  }

  update(): void {
    const { rss, heapUsed } = process.memoryUsage();
    this.#counters[C_RSS_BYTES] = rss;
    this.#counters[C_HEAP_BYTES] = heapUsed;
    const { user, system } = process.cpuUsage();
    this.#counters[C_CPU_S] = (user + system) / 1e6;
  }
}

/** What the supervisor's own process takes of the machine, for metrics. Reads /proc; what cannot be read is 0. */
import { readdirSync } from 'node:fs';
import { descriptorLimit } from '../native/limits.ts';
import type { ProcessView } from '../observe/metrics.ts';

export function processView(): ProcessView {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: rss,
    heapBytes: heapUsed,
    cpuS: (user + system) / 1e6,
    descriptors: descriptors(),
    descriptorsMax: descriptorLimit(),
  };
}

function descriptors(): number {
  try {
    // The one that reads the directory is among them.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return 0;
  }
}

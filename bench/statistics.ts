/** Medians, spreads and what the load programs print. Pure. */

/** The middle value; of an even number the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value below which `share` (0 to 1) of the values lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export interface WrkResult {
  readonly requests: number;
  readonly perSecond: number;
}

/** Reads wrk's report. Throws when anything went wrong in the run: such a figure means nothing. */
export function readWrk(text: string): WrkResult {
  const requests = /^\s*(\d+) requests in /m.exec(text);
  const perSecond = /^Requests\/sec:\s+([\d.]+)/m.exec(text);
  if (requests === null || perSecond === null) throw new Error(`not wrk's report: ${text.slice(0, 200)}`);
  const trouble = /^\s*(Non-2xx.*|Socket errors: .*)$/m.exec(text);
  if (trouble !== null) {
    const timeoutsAlone = /Socket errors: connect 0, read 0, write 0, timeout \d+/.test(trouble[1]!);
    if (!timeoutsAlone) throw new Error(`the load met errors: ${trouble[1]}`);
  }
  return { requests: Number(requests[1]), perSecond: Number(perSecond[1]) };
}

/** Durations in microseconds from h2load's --log-file (start, status, duration), one a request. Throws on any status but 200. */
export function readH2loadLog(text: string): number[] {
  const durations: number[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, status, us] = line.split('\t');
    if (status !== '200' || us === undefined) throw new Error(`a request of the load failed: ${line}`);
    durations.push(Number(us));
  }
  return durations;
}

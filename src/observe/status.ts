/** What `tollgate status` and `/status` tell: one object for programs, one text for people, from the shared table. */
import { FAULTS } from '../base/faults.ts';
import { policyOf } from '../hello/policies.ts';
import type { RevocationView } from '../plan/client-certificates.ts';
import {
  C_CONNECTIONS,
  C_CONNECTIONS_OPEN,
  C_FAULTS,
  C_HANDSHAKES_TLS12,
  C_HANDSHAKES_TLS12_RESUMED,
  C_HANDSHAKES_TLS13,
  C_HANDSHAKES_TLS13_RESUMED,
  C_REQUESTS,
  C_REQUESTS_OPEN,
  C_RSS_BYTES,
  C_TLS_FALLBACK,
  T_FAILURES,
  T_HANDSHAKE_FAILURES,
  T_HANDSHAKES,
  T_HANDSHAKES_RESUMED,
  T_IN_FLIGHT,
  T_REQUESTS,
} from '../plan/counters.ts';
import { addressText } from '../plan/plan.ts';
import type { MetricsSource } from './metrics.ts';
import type { Rates } from './rates.ts';
import type { TargetMeter } from './target-meter.ts';

export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly uptimeS: number;
  readonly plan: number;
  /** The configuration that runs was read from it. */
  readonly file: string;
  /** Unix time at which the configuration is taken back unless somebody confirms it, milliseconds; null: it stays. */
  readonly trialUntilMs: number | null;
  readonly draining: boolean;
  readonly connections: { readonly open: number; readonly total: number };
  readonly requests: { readonly open: number; readonly total: number };
  /** `resumedShare`: of all that were finished; null: none was. */
  readonly handshakes: { readonly full: number; readonly resumed: number; readonly resumedShare: number | null };
  /** A second's worth, over the last ten. */
  readonly rates: Rates;
  readonly listeners: readonly {
    readonly name: string;
    readonly address: string;
    readonly protocol: string;
    readonly engine: string | null;
    readonly engineReason: string | null;
    readonly policy: string | null;
  }[];
  readonly upstreams: readonly {
    readonly name: string;
    /** TLS towards its targets: policy, and whether they are verified; null: none. */
    readonly tls: { readonly policy: string; readonly verified: boolean; readonly pinned: boolean } | null;
    readonly targets: readonly {
      readonly address: string;
      readonly open: number;
      readonly requests: number;
      readonly failures: number;
      /** TLS handshakes with it. */
      readonly handshakes: { readonly full: number; readonly resumed: number; readonly failed: number };
      /** From request to response head, over the last minute: the mean, and what 99 of 100 did not exceed; null: there was none. Milliseconds. */
      readonly firstByteMs: number | null;
      readonly firstByteP99Ms: number | null;
      /** Much slower than its neighbours, in the last minute. */
      readonly slow: boolean;
    }[];
  }[];
  readonly workers: readonly {
    readonly slot: number;
    readonly pid: number | null;
    readonly serves: boolean;
    readonly restarts: number;
    readonly connections: number;
    readonly residentBytes: number;
  }[];
  /** Workers of an earlier program or number that finish what they have; their connections, where they have said. */
  readonly finishing: readonly { readonly pid: number; readonly connections: number | null }[];
  readonly certificates: readonly { readonly names: readonly string[]; readonly source: string; readonly daysLeft: number }[];
  /** What went wrong so far, by reason; reasons that never occurred are left out. */
  readonly faults: Readonly<Record<string, number>>;
  /** What is asked for and cannot be had here, and why. */
  readonly inactive: readonly string[];
  /** Lists of revoked client certificates, by where they come from. */
  readonly revocation: readonly RevocationView[];
  /** The secrets of a listener's handshakes are written to a file; null: nobody's are. */
  readonly keyLog: { readonly listener: string; readonly file: string; readonly secondsLeft: number } | null;
}

export interface StatusSource extends Omit<MetricsSource, 'self'> {
  readonly uptimeS: number;
  readonly draining: boolean;
  /** What is configured and not in force, with the reason. */
  readonly inactive: readonly string[];
  readonly rates: Rates;
  readonly meter: TargetMeter;
  readonly trialUntilMs: number | null;
  readonly keyLog: Status['keyLog'];
  readonly revocation: Status['revocation'];
  readonly file: string;
  readonly finishing: Status['finishing'];
}

const DAY_MS = 86_400_000;

export function makeStatus(source: StatusSource): Status {
  const { plan, table, workers, meter } = source;
  const full = table.counter(C_HANDSHAKES_TLS12) + table.counter(C_HANDSHAKES_TLS13);
  const resumed = table.counter(C_HANDSHAKES_TLS12_RESUMED) + table.counter(C_HANDSHAKES_TLS13_RESUMED);
  const fellBack = table.counter(C_TLS_FALLBACK) > 0;
  return {
    version: source.version,
    pid: process.pid,
    uptimeS: source.uptimeS,
    plan: plan.id,
    file: source.file,
    trialUntilMs: source.trialUntilMs,
    keyLog: source.keyLog,
    revocation: source.revocation,
    draining: source.draining,
    connections: { open: table.counter(C_CONNECTIONS_OPEN), total: table.counter(C_CONNECTIONS) },
    requests: { open: table.counter(C_REQUESTS_OPEN), total: table.counter(C_REQUESTS) },
    handshakes: { full, resumed, resumedShare: full + resumed === 0 ? null : resumed / (full + resumed) },
    rates: source.rates,
    listeners: plan.listeners.map(({ name, address, tls }) => ({
      name,
      address: addressText(address),
      protocol: tls === null ? 'http' : 'https',
      engine: tls === null ? null : fellBack ? 'openssl' : tls.engine,
      engineReason: tls === null ? null : fellBack && tls.engine === 's2n' ? 'the fast engine cannot be loaded' : tls.engineReason,
      policy: tls === null ? null : policyOf(tls.rules[0]!.policy).name,
    })),
    upstreams: plan.upstreams.map(({ name, targets, tls }) => ({
      name,
      tls: tls === null ? null : { policy: policyOf(tls.policy).name, verified: tls.verifies, pinned: tls.pins.length > 0 },
      targets: withSlow(
        targets.map(({ label, slot }) => {
          const firstByte = meter.firstByte(table, slot);
          return {
            address: label,
            open: table.target(slot, T_IN_FLIGHT),
            requests: table.target(slot, T_REQUESTS),
            failures: table.target(slot, T_FAILURES),
            handshakes: {
              full: table.target(slot, T_HANDSHAKES),
              resumed: table.target(slot, T_HANDSHAKES_RESUMED),
              failed: table.target(slot, T_HANDSHAKE_FAILURES),
            },
            firstByteMs: firstByte?.meanMs ?? null,
            firstByteP99Ms: firstByte?.p99Ms ?? null,
          };
        }),
      ),
    })),
    workers: workers.map(({ slot, row, pid, ready, restarts }) => ({
      slot,
      pid,
      serves: ready,
      restarts,
      connections: row === null ? 0 : table.worker(row).counters[C_CONNECTIONS_OPEN]!,
      residentBytes: row === null ? 0 : table.worker(row).counters[C_RSS_BYTES]!,
    })),
    finishing: source.finishing,
    certificates: plan.certificates.map(({ names, source: from, notAfterMs }) => ({
      names,
      source: from,
      daysLeft: Math.floor((notAfterMs - Date.now()) / DAY_MS),
    })),
    faults: Object.fromEntries(
      FAULTS.map(({ code, reason }) => [reason, table.counter(C_FAULTS - code)] as const).filter(([, count]) => count > 0),
    ),
    inactive: source.inactive,
  };
}

type TargetView = Status['upstreams'][number]['targets'][number];

/** A target is slow when it takes SLOW_TIMES as long as the median of its upstream, and long enough to matter. */
const SLOW_TIMES = 3;
const SLOW_MS_MIN = 20;

function withSlow(targets: readonly Omit<TargetView, 'slow'>[]): TargetView[] {
  const known = targets.flatMap(({ firstByteMs }) => firstByteMs ?? []).sort((a, b) => a - b);
  const median = known[Math.floor((known.length - 1) / 2)] ?? 0;
  return targets.map((target) => ({
    ...target,
    slow: (target.firstByteMs ?? 0) > Math.max(SLOW_MS_MIN, SLOW_TIMES * median) && known.length > 1,
  }));
}

/** For people. */
export function statusText(status: Status): string {
  const lines = [
    `tollgate ${status.version}, pid ${status.pid}, up ${duration(status.uptimeS)}${status.draining ? ', draining' : ''}`,
    `configuration ${status.plan} of ${status.file}${status.trialUntilMs === null ? '' : `, tried until ${new Date(status.trialUntilMs).toISOString()}: confirm it or it is taken back`}`,
    `connections ${status.connections.open} open, ${status.connections.total} in all; requests ${status.requests.open} open, ${status.requests.total} in all; handshakes ${status.handshakes.full} full, ${status.handshakes.resumed} resumed${share(status.handshakes.resumedShare)}`,
    `a second: ${rate(status.rates.requests)} requests, ${rate(status.rates.handshakes)} handshakes, ${rate(status.rates.handshakeFailures)} failed ones, ${rate(status.rates.answers5xx)} answers 5xx, ${size(status.rates.bytesIn)} in, ${size(status.rates.bytesOut)} out`,
    '',
    'LISTENERS',
    ...columns(
      status.listeners.map((each) => [
        each.name,
        each.address,
        each.protocol,
        each.policy === null ? '' : `${each.policy} (${each.engine}: ${each.engineReason})`,
      ]),
    ),
    '',
    'UPSTREAMS',
    ...columns(
      status.upstreams.flatMap(({ name, targets, tls }) =>
        targets.map((each) => [
          name,
          each.address,
          `${each.requests} requests`,
          `${each.open} open`,
          `${each.failures} failed`,
          tls === null
            ? ''
            : `${tlsText(tls)}: ${each.handshakes.full} full, ${each.handshakes.resumed} resumed, ${each.handshakes.failed} failed`,
          firstByteText(each),
        ]),
      ),
    ),
    '',
    'WORKERS',
    ...columns(
      status.workers.map((each) => [
        String(each.slot),
        each.pid === null ? 'gone' : `pid ${each.pid}`,
        each.serves ? 'serves' : 'does not serve',
        `${each.connections} connections`,
        `${(each.residentBytes / 1_048_576).toFixed(0)} MiB`,
        each.restarts === 0 ? '' : `${each.restarts} restarts`,
      ]),
    ),
    ...columns(status.finishing.map(({ pid, connections }) => ['-', `pid ${pid}`, 'finishes', `${connections ?? '?'} connections`])),
  ];
  if (status.certificates.length > 0) {
    lines.push(
      '',
      'CERTIFICATES',
      ...columns(status.certificates.map((each) => [each.names.join(' '), each.source, `${each.daysLeft} days left`])),
    );
  }
  if (status.revocation.length > 0) lines.push('', 'REVOCATION LISTS', ...columns(status.revocation.map(revocationCells)));
  const faults = Object.entries(status.faults);
  if (faults.length > 0) lines.push('', 'WHAT WENT WRONG', ...columns(faults.map(([reason, count]) => [reason, String(count)])));
  if (status.keyLog !== null) {
    const { listener, file, secondsLeft } = status.keyLog;
    lines.push('', `TLS KEYS ARE LOGGED  ${listener}, to ${file}, for ${secondsLeft} s more`);
  }
  if (status.inactive.length > 0) lines.push('', 'INACTIVE', ...status.inactive.map((each) => `  ${each}`));
  return `${lines.join('\n')}\n`;
}

function tlsText({ policy, verified, pinned }: NonNullable<Status['upstreams'][number]['tls']>): string {
  return `TLS ${policy}, ${verified ? 'verified' : pinned ? 'by key alone' : 'NOT verified'}`;
}

function firstByteText({ firstByteMs, firstByteP99Ms, slow }: TargetView): string {
  if (firstByteMs === null || firstByteP99Ms === null) return '';
  return `first byte ${firstByteMs.toFixed(1)} ms, 99 % within ${firstByteP99Ms.toFixed(1)} ms${slow ? ', slow' : ''}`;
}

function revocationCells({ source, issuer, entries, nextUpdateMs, stale, problem }: RevocationView): string[] {
  if (nextUpdateMs === null) return [source, problem ?? 'not looked at yet'];
  const until = new Date(nextUpdateMs).toISOString().slice(0, 16).replace('T', ' ');
  return [source, issuer ?? '', `${entries} revoked`, stale ? `STALE since ${until}` : `until ${until}`, problem ?? ''];
}

function share(value: number | null): string {
  return value === null ? '' : ` (${(100 * value).toFixed(0)} %)`;
}

function rate(value: number): string {
  return value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1);
}

function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${value >= 10 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

/** Rows as lines, cells below each other. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows.map(
    (row) =>
      `  ${row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd()}`,
  );
}

function duration(seconds: number): string {
  const units = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
    [1, 's'],
  ] as const;
  const parts: string[] = [];
  let rest = seconds;
  for (const [size, unit] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 && parts.length < 2) parts.push(`${count}${unit}`);
  }
  return parts.length === 0 ? '0s' : parts.join(' ');
}

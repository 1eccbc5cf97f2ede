/** Looks up the address of a target's host name through the system (hosts file first, then DNS), within a time. */
import { lookup } from 'node:dns/promises';
import { TollgateError } from '../base/tollgate-error.ts';

/** Finds the address of a host name. Rejects when there is none. */
export type Resolve = (host: string) => Promise<{ readonly address: string; readonly family: 4 | 6 }>;

/** The system's resolver may ask several servers several times; nobody waits longer for it than this. Milliseconds. */
const RESOLVE_MS_MAX = 10_000;

/** The first address of `host`, IPv4 before IPv6. Rejects when there is none, or none in time. */
export async function resolveHost(host: string): Promise<{ address: string; family: 4 | 6 }> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new TollgateError('resolve_timeout', `no answer within ${RESOLVE_MS_MAX / 1_000} s`)),
    RESOLVE_MS_MAX,
  );
  try {
    const { address, family } = await Promise.race([lookup(host, { order: 'ipv4first' }), late]);
    return { address, family: family === 6 ? 6 : 4 };
  } finally {
    clearTimeout(timer);
  }
}

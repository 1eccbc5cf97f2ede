/** Looks up the addresses of a target's host name through the system (hosts file first, then DNS), within a time. */
import { lookup } from 'node:dns/promises';
import { ADDRESSES_MAX } from '../base/limits.ts';
import { TollgateError } from '../base/tollgate-error.ts';

/** Finds the addresses of a host name, one at least. Rejects when there is none. */
export type Resolve = (host: string) => Promise<readonly HostAddress[]>;

export interface HostAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** The system's resolver may ask several servers several times; nobody waits longer for it than this. Milliseconds. */
const RESOLVE_MS_MAX = 10_000;

/** The addresses of `host`, families in turn, IPv6 first (RFC 8305, section 4). Rejects when there are none, or none in time. */
export async function resolveHost(host: string): Promise<readonly HostAddress[]> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new TollgateError('resolve_timeout', `no answer within ${RESOLVE_MS_MAX / 1_000} s`)),
    RESOLVE_MS_MAX,
  );
  try {
    const found = await Promise.race([lookup(host, { all: true }), late]);
    return inTurn(found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 })));
  } finally {
    clearTimeout(timer);
  }
}

/** Families in turn, IPv6 first, in their own order; ADDRESSES_MAX at most. RFC 8305, section 4. */
export function inTurn(addresses: readonly HostAddress[]): HostAddress[] {
  const six = addresses.filter(({ family }) => family === 6);
  const four = addresses.filter(({ family }) => family === 4);
  const mixed: HostAddress[] = [];
  for (let i = 0; i < Math.max(six.length, four.length); i++) mixed.push(...six.slice(i, i + 1), ...four.slice(i, i + 1));
  return mixed.slice(0, ADDRESSES_MAX);
}

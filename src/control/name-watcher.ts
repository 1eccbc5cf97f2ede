/**
 * Keeps the addresses of targets that were written with a name: looked up again when the time is over that DNS gave them, and told when they
 * have changed. Owns the timers and the questions; who is told, and that an old address is better than none, is decided here; what a
 * connection does about it, in the workers.
 */
import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { type HostAddress, inTurn, resolveHost } from '../config/resolve-host.ts';
import type { Log } from '../observe/log.ts';
import type { Plan, TargetAddress, TargetPlan } from '../plan/plan.ts';

const SECOND_MS = 1_000;
/** A time to live below this, or above, is taken as this. Seconds. */
const TTL_MIN_S = 1;
const TTL_MAX_S = 3_600;
/** The hosts file, and what only the system's own resolver knows, have no time to live. Seconds. */
const HOSTS_S = 60;
const SYSTEM_S = 30;
/** After a failure: doubled each time. Seconds. */
const RETRY_MIN_S = 1;
const RETRY_MAX_S = 60;
/** Largest hosts file that is read. Bytes. */
const HOSTS_BYTES_MAX = 4 * 1_048_576;

export interface NameWatcherOptions {
  readonly log: Log;
  /** Called when a name has other addresses than before; never with none. */
  readonly onChange: (name: string, addresses: readonly HostAddress[]) => void;
  /** DNS servers as `127.0.0.1:53`; default: the system's. */
  readonly servers?: readonly string[];
  /** Default: /etc/hosts. */
  readonly hostsFile?: string;
}

interface Watched {
  addresses: readonly HostAddress[];
  failures: number;
  timer: NodeJS.Timeout | null;
}

interface Answer {
  readonly addresses: readonly HostAddress[];
  readonly ttlS: number;
}

export class NameWatcher {
  readonly #options: NameWatcherOptions;
  readonly #resolver = new Resolver({ timeout: 3_000, tries: 2 });
  readonly #names = new Map<string, Watched>();
  #closed = false;

  constructor(options: NameWatcherOptions) {
    this.#options = options;
    if (options.servers !== undefined) this.#resolver.setServers([...options.servers]);
  }

  /** Watches `name`, whose addresses are known to be these. The first question is asked at once: nobody said how long they hold. */
  watch(name: string, addresses: readonly HostAddress[]): void {
    if (this.#names.has(name) || this.#closed) return;
    this.#names.set(name, { addresses, failures: 0, timer: null });
    void this.#look(name);
  }

  /** Forgets all but these. */
  keep(names: ReadonlySet<string>): void {
    for (const [name, { timer }] of this.#names) {
      if (names.has(name)) continue;
      if (timer !== null) clearTimeout(timer);
      this.#names.delete(name);
    }
  }

  addresses(name: string): readonly HostAddress[] {
    return this.#names.get(name)?.addresses ?? [];
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#names.values()) if (timer !== null) clearTimeout(timer);
    this.#names.clear();
    this.#resolver.cancel();
  }

  async #look(name: string): Promise<void> {
    const watched = this.#names.get(name);
    if (watched === undefined) return;
    let waitS: number;
    try {
      const { addresses, ttlS } = await this.#ask(name);
      if (this.#names.get(name) !== watched) return;
      if (watched.failures > 0) this.#options.log.info({ name }, 'the name is found again');
      watched.failures = 0;
      if (!isSame(watched.addresses, addresses)) {
        watched.addresses = addresses;
        this.#options.log.info({ name, addresses: addresses.map(({ address }) => address) }, 'the name has other addresses');
        this.#options.onChange(name, addresses);
      }
      waitS = Math.min(TTL_MAX_S, Math.max(TTL_MIN_S, ttlS));
    } catch (error) {
      if (this.#names.get(name) !== watched) return;
      // Once for each time it is lost: what is known of it goes on serving.
      if (watched.failures === 0)
        this.#options.log.warn({ name, reason: reasonOf(error) }, 'the name is not found; its last addresses stay');
      waitS = Math.min(RETRY_MAX_S, RETRY_MIN_S * 2 ** Math.min(watched.failures, 10));
      watched.failures++;
    }
    // Up to a tenth later: many names that were given the same time do not ask together for ever.
    const waitMs = waitS * SECOND_MS * (1 + Math.random() / 10);
    watched.timer = setTimeout(() => void this.#look(name), waitMs);
    watched.timer.unref();
  }

  /** The hosts file, then DNS, then whatever else the system knows (mDNS, search domains, NIS). Rejects when nobody knows. */
  async #ask(name: string): Promise<Answer> {
    const listed = await readHosts(this.#options.hostsFile ?? '/etc/hosts', name);
    if (listed.length > 0) return { addresses: inTurn(listed), ttlS: HOSTS_S };
    const [six, four] = await Promise.allSettled([
      this.#resolver.resolve6(name, { ttl: true }),
      this.#resolver.resolve4(name, { ttl: true }),
    ]);
    const found = [
      ...(six.status === 'fulfilled' ? six.value.map(({ address, ttl }) => ({ address, ttl, family: 6 as const })) : []),
      ...(four.status === 'fulfilled' ? four.value.map(({ address, ttl }) => ({ address, ttl, family: 4 as const })) : []),
    ];
    if (found.length > 0) {
      const ttlS = Math.min(...found.map(({ ttl }) => ttl));
      // Servers turn the order of their answers: what is the same in another order is the same.
      const addresses = found
        .map(({ address, family }) => ({ address, family }))
        .sort((one, other) => (one.address < other.address ? -1 : 1));
      return { addresses: inTurn(addresses), ttlS };
    }
    return { addresses: await resolveHost(name), ttlS: SYSTEM_S };
  }
}

function isSame(one: readonly HostAddress[], other: readonly HostAddress[]): boolean {
  const text = (addresses: readonly HostAddress[]): string =>
    addresses
      .map(({ address }) => address)
      .sort()
      .join(' ');
  return text(one) === text(other);
}

/** Addresses of `name` in a hosts file; none when there is no such file. hosts(5). */
async function readHosts(path: string, name: string): Promise<HostAddress[]> {
  let text: string;
  try {
    text = await readFile(path, 'latin1');
  } catch {
    return [];
  }
  const found: HostAddress[] = [];
  if (text.length > HOSTS_BYTES_MAX) return found;
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    if (family === 0 || address.includes('%') || !names.some((each) => each.toLowerCase() === name)) continue;
    if (!found.some((each) => each.address === address)) found.push({ address, family: family === 6 ? 6 : 4 });
  }
  return found;
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message ?? String(error);
}

export type TargetHost = NonNullable<TargetPlan['host']>;

/** Targets that were written with a name. */
export function namedTargets(plan: Plan): (TargetPlan & { readonly host: TargetHost })[] {
  return plan.upstreams.flatMap(({ targets }) => targets.filter((target) => target.host !== null) as (TargetPlan & { host: TargetHost })[]);
}

/** Those of a target's addresses that its name led to. */
export function hostAddresses(addresses: readonly TargetAddress[]): HostAddress[] {
  return addresses.flatMap((address) => (address.family === 0 ? [] : [{ address: address.ip, family: address.family }]));
}

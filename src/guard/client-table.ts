/**
 * What each client costs, over all workers: open connections, handshakes and requests a second. Numbers in, a yes or no out; memory is fixed.
 *
 * A client is an address, or the network it can choose addresses from (IPv6: its /64). Its place is found by a keyed hash: who does not know
 * the key cannot choose addresses that meet. A place whose client has no connection and no debt is free for another; when a set has none,
 * clients share a place of the overflow, with the same limits for all of them: many addresses do not switch the limits off.
 *
 * Rates are kept as GCRA does (the ATM Forum's generic cell rate algorithm): one number, the time at which the client's debt is paid.
 */
import { assert } from '../base/assert.ts';
import { readAddress } from '../base/ip-address.ts';
import { C_LIMIT_CLIENTS } from '../plan/counters.ts';
import { NetworkList } from '../plan/network-list.ts';
import type { ClientsPlan, RatePlan } from '../plan/plan.ts';
import { CLIENT_ALL, CLIENT_OVERFLOW, CLIENT_SLOTS, CLIENT_WAYS, type ClientMemory } from '../plan/table.ts';
import { halfSipHash } from './half-siphash.ts';

/** Finest count of time: units a millisecond. Slow rates are counted in coarser ones, so that a debt fits into 32 bits that wrap. */
const UNITS_MS = 256;
const DEBT_UNITS_MAX = 2 ** 29;
const SETS = CLIENT_SLOTS / CLIENT_WAYS;

/** No client: whoever is not counted. */
export const NOBODY = -1;

export class ClientTable {
  readonly #memory: ClientMemory;
  readonly #share: Int32Array;
  readonly #words = new Uint32Array(4);
  readonly #hash = new Int32Array(2);
  readonly #mask4: number;
  readonly #mask6 = new Uint32Array(4);
  readonly #connections: number;
  readonly #handshakes: Bucket | null;
  readonly #requests: Bucket | null;
  /** Whether there is any limit at all. */
  readonly isLimited: boolean;
  readonly #exempt: NetworkList | null;
  /** The worker's counters: a look-up that found no place of its own moves one. */
  readonly #counters: Float64Array;

  constructor(memory: ClientMemory, worker: number, counters: Float64Array, limits: ClientsPlan) {
    this.#counters = counters;
    this.#memory = memory;
    this.#share = memory.shares[worker]!;
    this.isLimited = limits.connections !== null || limits.handshakes !== null || limits.requests !== null;
    this.#exempt = limits.exempt.length === 0 ? null : NetworkList.of(limits.exempt.map((network) => ({ network, verdict: 1 })));
    this.#connections = limits.connections ?? Number.POSITIVE_INFINITY;
    this.#handshakes = limits.handshakes === null ? null : new Bucket(memory.handshakes, limits.handshakes);
    this.#requests = limits.requests === null ? null : new Bucket(memory.requests, limits.requests);
    this.#mask4 = maskWord(limits.ipv4Prefix);
    for (let word = 0; word < 4; word++) this.#mask6[word] = maskWord(Math.max(0, Math.min(32, limits.ipv6Prefix - 32 * word)));
  }

  /** The place of the client at `address`; NOBODY for who is exempt, and for what is no IP address. `nowMs` is on the monotonic clock that all workers share. */
  find(address: string, nowMs: number): number {
    const words = this.#words;
    const family = readAddress(address, words);
    if (family === 0 || (this.#exempt !== null && this.#exempt.lookUp(address) !== 0)) return NOBODY;
    const { key, tags } = this.#memory;
    if (family === 4) words[3] = words[3]! & this.#mask4;
    else for (let i = 0; i < 4; i++) words[i] = words[i]! & this.#mask6[i]!;
    if (family === 4) words[0] = words[3]!;
    const hash = this.#hash;
    halfSipHash(key[0]!, key[1]!, words, family === 4 ? 1 : 4, hash);
    const one = hash[0]! >>> 0;
    // 0 is nobody's.
    const tag = hash[1] === 0 ? 1 : hash[1]!;
    const first = (one % SETS) * CLIENT_WAYS;
    for (let place = first; place < first + CLIENT_WAYS; place++) if (Atomics.load(tags, place) === tag) return place;
    for (let place = first; place < first + CLIENT_WAYS; place++) {
      const before = Atomics.load(tags, place);
      if (before !== 0 && !this.#isFree(place, nowMs)) continue;
      if (Atomics.compareExchange(tags, place, before, tag) !== before) continue;
      this.#handshakes?.clear(place, nowMs);
      this.#requests?.clear(place, nowMs);
      return place;
    }
    this.#counters[C_LIMIT_CLIENTS]!++;
    return CLIENT_SLOTS + (one % CLIENT_OVERFLOW);
  }

  #isFree(place: number, nowMs: number): boolean {
    if (this.connections(place) !== 0) return false;
    return (this.#handshakes?.isPaid(place, nowMs) ?? true) && (this.#requests?.isPaid(place, nowMs) ?? true);
  }

  /** Open connections of the client, over all workers. */
  connections(place: number): number {
    return Atomics.load(this.#memory.open, place);
  }

  /** Counts one more connection of anybody. False: there are `most` already, and it was not counted. */
  enter(most: number): boolean {
    return this.#count(CLIENT_ALL, most);
  }

  /** A connection that `enter` counted has ended. */
  leave(): void {
    this.#uncount(CLIENT_ALL);
  }

  /** Counts one more connection of the client. False: it would be one too many, and was not counted. */
  open(place: number): boolean {
    return place === NOBODY || this.#count(place, this.#connections);
  }

  /** A connection that `open` counted has ended. */
  close(place: number): void {
    if (place !== NOBODY) this.#uncount(place);
  }

  /** The share moves before the sum goes up and after it went down: a worker killed between the two leaves a count too low, which locks nobody out. */
  #count(place: number, most: number): boolean {
    const { open } = this.#memory;
    this.#share[place]!++;
    for (let before = Atomics.load(open, place); before < most; ) {
      const found = Atomics.compareExchange(open, place, before, before + 1);
      if (found === before) return true;
      before = found;
    }
    this.#share[place]!--;
    return false;
  }

  #uncount(place: number): void {
    assert(this.#share[place]! > 0, 'what is closed was open');
    Atomics.sub(this.#memory.open, place, 1);
    this.#share[place]!--;
  }

  takeHandshake(place: number, nowMs: number): boolean {
    return place === NOBODY || this.#handshakes === null || this.#handshakes.take(place, nowMs);
  }

  takeRequest(place: number, nowMs: number): boolean {
    return place === NOBODY || this.#requests === null || this.#requests.take(place, nowMs);
  }
}

/** Debts of one kind. */
class Bucket {
  readonly #paidAt: Int32Array;
  readonly #unitsMs: number;
  /** What one event adds to the debt, and how much debt is borne before one more event. Units. */
  readonly #cost: number;
  readonly #most: number;

  constructor(paidAt: Int32Array, { perSecond, burst }: RatePlan) {
    const costMs = 1_000 / perSecond;
    this.#paidAt = paidAt;
    this.#unitsMs = Math.min(UNITS_MS, DEBT_UNITS_MAX / (costMs * burst));
    this.#cost = Math.max(1, Math.round(costMs * this.#unitsMs));
    this.#most = this.#cost * (burst - 1);
  }

  take(place: number, nowMs: number): boolean {
    const now = this.#units(nowMs);
    for (;;) {
      const before = Atomics.load(this.#paidAt, place);
      const debt = this.#debt(before, now);
      if (debt > this.#most) return false;
      if (Atomics.compareExchange(this.#paidAt, place, before, (now + debt + this.#cost) | 0) === before) return true;
    }
  }

  clear(place: number, nowMs: number): void {
    Atomics.store(this.#paidAt, place, this.#units(nowMs));
  }

  isPaid(place: number, nowMs: number): boolean {
    return this.#debt(Atomics.load(this.#paidAt, place), this.#units(nowMs)) === 0;
  }

  /** Further ahead than any debt can be is none: the clock has wrapped since, or the limits have changed. */
  #debt(paidAt: number, now: number): number {
    const debt = (paidAt - now) | 0;
    return debt < 0 || debt > this.#most + this.#cost ? 0 : debt;
  }

  #units(ms: number): number {
    return Math.floor(ms * this.#unitsMs) | 0;
  }
}

function maskWord(bits: number): number {
  return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
}

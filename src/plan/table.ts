/**
 * Layout of the memory that the supervisor and its workers share. Pure arithmetic over an ArrayBuffer: who maps it is `native`'s affair.
 *
 *   header            16 x int32
 *   row per process   state: 16 x int32, then counters, targets, routes and the targets' histograms: float64, padded to whole cache lines
 *   clients           what all workers know of each client: see ClientMemory
 *
 * Row 0 is the supervisor's, and keeps the counts of workers that are gone (so that a counter never falls); row n is worker slot n - 1.
 * One process writes a row's counters; the supervisor folds and clears the row of a dead worker before it is given to the next.
 */
import { assert } from '../base/assert.ts';
import { ROUTES_COUNTED_MAX, TARGETS_MAX, WORKERS_MAX } from '../base/limits.ts';
import {
  COUNTER_PLACES,
  COUNTERS,
  R_1XX,
  ROUTE_PLACES,
  T_BYTES_OUT,
  T_CONNECTS,
  T_REQUESTS,
  TARGET_GAUGES,
  TARGET_HISTOGRAMS_PLACES,
  TARGET_PLACES,
} from './counters.ts';

export const TABLE_MAGIC = 0x746f6c6c;
export const TABLE_VERSION = 9;

const LINE = 64;
const HEADER_BYTES = 64;
const STATE_BYTES = 64;
/** Behind the places of routes: that of the routes beyond ROUTES_COUNTED_MAX, and that of requests that met no route. */
export const ROUTE_OTHER = ROUTES_COUNTED_MAX;
export const ROUTE_NONE = ROUTES_COUNTED_MAX + 1;
const TARGETS_AT = COUNTER_PLACES;
const ROUTES_AT = TARGETS_AT + TARGETS_MAX * TARGET_PLACES;
const HISTOGRAMS_AT = ROUTES_AT + (ROUTE_NONE + 1) * ROUTE_PLACES;
const FLOATS = HISTOGRAMS_AT + TARGETS_MAX * TARGET_HISTOGRAMS_PLACES;
const ROW_BYTES = STATE_BYTES + Math.ceil((FLOATS * 8) / LINE) * LINE;

// Header places (int32).
const H_MAGIC = 0;
const H_VERSION = 1;
const H_ROWS = 2;
const H_PLACES = 3;

// State places (int32), written by the row's process unless said otherwise.
export const S_STATE = 0;
export const S_PID = 1;
/** Rises each time the slot gets a new process. Written by the supervisor. */
export const S_GENERATION = 2;
export const S_PLAN = 3;
/** Seconds of the monotonic clock at the last turn of the process's loop. */
export const S_HEARTBEAT_S = 4;

// Values of S_STATE.
export const STATE_EMPTY = 0;
export const STATE_STARTING = 1;
export const STATE_SERVING = 2;
export const STATE_DRAINING = 3;

/** Clients known at once, in sets of CLIENT_WAYS; behind them places that clients share who find no room. */
export const CLIENT_SLOTS = 65_536;
export const CLIENT_WAYS = 8;
export const CLIENT_OVERFLOW = 256;
/** The place behind them, where the connections of all clients together are counted. */
export const CLIENT_ALL = CLIENT_SLOTS + CLIENT_OVERFLOW;
const CLIENT_PLACES = CLIENT_ALL + 1;
const KEY_WORDS = 16;

function clientBytes(workers: number): number {
  return 4 * (KEY_WORDS + CLIENT_PLACES * (4 + workers));
}

/**
 * What is known of clients, by places that guard/client-table.ts gives out. All workers write it: with Atomics, but for `shares`, of which
 * each worker has its own. Memory nobody has touched costs nothing.
 */
export class ClientMemory {
  /** 2 words of a secret that no client knows, set before any worker runs. */
  readonly key: Int32Array;
  /** Whose place it is; 0: nobody's. */
  readonly tags: Int32Array;
  readonly handshakes: Int32Array;
  readonly requests: Int32Array;
  /** Open connections, over all workers. */
  readonly open: Int32Array;
  /** Each worker slot's share of them: what the supervisor takes back when it dies. */
  readonly shares: readonly Int32Array[];

  constructor(memory: ArrayBufferLike, at: number, workers: number) {
    const places = (index: number): Int32Array => new Int32Array(memory, at + 4 * (KEY_WORDS + CLIENT_PLACES * index), CLIENT_PLACES);
    this.key = new Int32Array(memory, at, 2);
    this.tags = places(0);
    this.handshakes = places(1);
    this.requests = places(2);
    this.open = places(3);
    this.shares = Object.freeze(Array.from({ length: workers }, (_, worker) => places(4 + worker)));
  }
}

/** Bytes a table for `workers` takes. */
export function tableBytes(workers: number): number {
  assert(Number.isInteger(workers) && workers >= 1 && workers <= WORKERS_MAX, 'workers within bounds');
  return HEADER_BYTES + ROW_BYTES * (workers + 1) + clientBytes(workers);
}

/** A process's view of one row. */
export class TableRow {
  readonly state: Int32Array;
  readonly counters: Float64Array;
  readonly targets: Float64Array;
  readonly routes: Float64Array;
  /** Of targets. Memory nobody has touched costs nothing, and reading touches it: only where `targets` says that there is something. */
  readonly histograms: Float64Array;

  constructor(memory: ArrayBufferLike, row: number) {
    const at = HEADER_BYTES + ROW_BYTES * row;
    const floats = (from: number, to: number): Float64Array => new Float64Array(memory, at + STATE_BYTES + from * 8, to - from);
    this.state = new Int32Array(memory, at, STATE_BYTES / 4);
    this.counters = floats(0, TARGETS_AT);
    this.targets = floats(TARGETS_AT, ROUTES_AT);
    this.routes = floats(ROUTES_AT, HISTOGRAMS_AT);
    this.histograms = floats(HISTOGRAMS_AT, FLOATS);
  }

  /** Whether there is anything in the histograms of `target`. */
  hasHistograms(target: number): boolean {
    const { targets } = this;
    const at = target * TARGET_PLACES;
    return targets[at + T_REQUESTS] !== 0 || targets[at + T_CONNECTS] !== 0 || targets[at + T_BYTES_OUT] !== 0;
  }
}

export class SharedTable {
  readonly workers: number;
  /** Row 0 is the supervisor's, row n worker slot n - 1. */
  readonly rows: readonly TableRow[];
  readonly clients: ClientMemory;

  private constructor(memory: ArrayBufferLike, workers: number) {
    this.workers = workers;
    this.rows = Object.freeze(Array.from({ length: workers + 1 }, (_, row) => new TableRow(memory, row)));
    this.clients = new ClientMemory(memory, HEADER_BYTES + ROW_BYTES * (workers + 1), workers);
  }

  /** Lays a table out in zeroed memory of `tableBytes(workers)`. */
  static create(memory: ArrayBufferLike, workers: number): SharedTable {
    assert(memory.byteLength >= tableBytes(workers), 'memory holds the table');
    const header = new Int32Array(memory, 0, HEADER_BYTES / 4);
    header[H_VERSION] = TABLE_VERSION;
    header[H_ROWS] = workers + 1;
    header[H_PLACES] = FLOATS;
    Atomics.store(header, H_MAGIC, TABLE_MAGIC);
    return new SharedTable(memory, workers);
  }

  /** Opens a table another process made. Throws when it is not one, or is laid out by another version. */
  static open(memory: ArrayBufferLike): SharedTable {
    const header = new Int32Array(memory, 0, HEADER_BYTES / 4);
    if (Atomics.load(header, H_MAGIC) !== TABLE_MAGIC) throw new Error('the shared memory holds no table');
    if (header[H_VERSION] !== TABLE_VERSION || header[H_PLACES] !== FLOATS) throw new Error('the shared table has another layout');
    return new SharedTable(memory, header[H_ROWS]! - 1);
  }

  worker(slot: number): TableRow {
    const row = this.rows[slot + 1];
    assert(row !== undefined && slot >= 0, 'slot within the table');
    return row;
  }

  /** Sum of one counter over all rows. */
  counter(place: number): number {
    let sum = 0;
    for (const row of this.rows) sum += row.counters[place]!;
    return sum;
  }

  /** Sum of one place of target `target` over all rows. What `restartTarget` took off may leave a crumb below 0. */
  target(target: number, place: number): number {
    let sum = 0;
    for (const row of this.rows) sum += row.targets[target * TARGET_PLACES + place]!;
    return Math.max(0, sum);
  }

  /** Sums of `count` places, from `place` on, of the histograms of target `target` over all rows. */
  targetHistogram(target: number, place: number, count: number): number[] {
    const sums = new Array<number>(count).fill(0);
    const at = target * TARGET_HISTOGRAMS_PLACES + place;
    for (const row of this.rows) {
      if (!row.hasHistograms(target)) continue;
      for (let i = 0; i < count; i++) sums[i]! += row.histograms[at + i]!;
    }
    return sums.map((sum) => Math.max(0, sum));
  }

  /** Sum of one place of route `route` over all rows. */
  route(route: number, place: number): number {
    let sum = 0;
    for (const row of this.rows) sum += row.routes[route * ROUTE_PLACES + place]!;
    return Math.max(0, sum);
  }

  /**
   * Somebody new sits in a target's place: what was counted there so far is not told any more. The supervisor takes it off in its own row, so
   * that workers may go on counting.
   */
  restartTarget(target: number): void {
    const own = this.rows[0]!;
    // Before the places below: they say whether there is something to be read.
    if (this.rows.some((row) => row.hasHistograms(target))) {
      const counted = this.targetHistogram(target, 0, TARGET_HISTOGRAMS_PLACES);
      for (let i = 0; i < counted.length; i++) own.histograms[target * TARGET_HISTOGRAMS_PLACES + i]! -= counted[i]!;
    }
    for (let place = 0; place < TARGET_PLACES; place++) {
      if (!TARGET_GAUGES.has(place)) own.targets[target * TARGET_PLACES + place]! -= this.target(target, place);
    }
  }

  /** As `restartTarget`, for a route. */
  restartRoute(route: number): void {
    for (let place = R_1XX; place < ROUTE_PLACES; place++) this.rows[0]!.routes[route * ROUTE_PLACES + place]! -= this.route(route, place);
  }

  /** Moves the counts of a dead worker to row 0 and clears its row. Gauges, in-flight numbers too, end with the process they described. */
  fold(slot: number): void {
    const from = this.worker(slot);
    const into = this.rows[0]!;
    // Behind a target that a row knows nothing of, its histograms are not looked at.
    for (let target = 0; target < TARGETS_MAX; target++) {
      if (!from.hasHistograms(target)) continue;
      for (let i = 0, at = target * TARGET_HISTOGRAMS_PLACES; i < TARGET_HISTOGRAMS_PLACES; i++, at++)
        move(from.histograms, into.histograms, at, true);
    }
    for (let place = 0; place < COUNTER_PLACES; place++) {
      const row = COUNTERS[place];
      move(from.counters, into.counters, place, row === undefined || (row.kind !== 'gauge' && row.perProcess !== true));
    }
    for (let place = 0; place < from.targets.length; place++)
      move(from.targets, into.targets, place, !TARGET_GAUGES.has(place % TARGET_PLACES));
    for (let place = 0; place < from.routes.length; place++) move(from.routes, into.routes, place, true);
    from.state.fill(0, S_PLAN);
    from.state[S_STATE] = STATE_EMPTY;
    from.state[S_PID] = 0;
    const share = this.clients.shares[slot]!;
    for (let place = 0; place < CLIENT_PLACES; place++) {
      if (share[place] !== 0) Atomics.sub(this.clients.open, place, share[place]!);
    }
    share.fill(0);
  }
}

/** Clears a place, and adds what was in it to another row's, where it is `kept`. What is 0 stays untouched on both sides. */
function move(from: Float64Array, into: Float64Array, place: number, kept: boolean): void {
  const value = from[place]!;
  if (value === 0) return;
  if (kept) into[place]! += value;
  from[place] = 0;
}

/** Milliseconds of the monotonic clock, the same for every process of this machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** Seconds of the monotonic clock, the same for every process of this machine, in 31 bits. */
export function monotonicS(): number {
  return Number(process.hrtime.bigint() / 1_000_000_000n) & 0x7fffffff;
}

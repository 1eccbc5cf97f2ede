/**
 * Layout of the memory that the supervisor and its workers share. Pure arithmetic over an ArrayBuffer: who maps it is `native`'s affair.
 *
 *   header            16 x int32
 *   row per process   state: 16 x int32, then counters and targets: float64, padded to whole cache lines
 *   clients           what all workers know of each client: see ClientMemory
 *
 * Row 0 is the supervisor's, and keeps the counts of workers that are gone (so that a counter never falls); row n is worker slot n - 1.
 * One process writes a row's counters; the supervisor folds and clears the row of a dead worker before it is given to the next.
 */
import { assert } from '../base/assert.ts';
import { TARGETS_MAX, WORKERS_MAX } from '../base/limits.ts';
import { COUNTER_PLACES, COUNTERS, T_IN_FLIGHT, TARGET_PLACES } from './counters.ts';

export const TABLE_MAGIC = 0x746f6c6c;
export const TABLE_VERSION = 5;

const LINE = 64;
const HEADER_BYTES = 64;
const STATE_BYTES = 64;
const FLOATS = COUNTER_PLACES + TARGETS_MAX * TARGET_PLACES;
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

  constructor(memory: ArrayBufferLike, row: number) {
    const at = HEADER_BYTES + ROW_BYTES * row;
    this.state = new Int32Array(memory, at, STATE_BYTES / 4);
    this.counters = new Float64Array(memory, at + STATE_BYTES, COUNTER_PLACES);
    this.targets = new Float64Array(memory, at + STATE_BYTES + COUNTER_PLACES * 8, TARGETS_MAX * TARGET_PLACES);
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

  /** Sum of one place of target `target` over all rows. */
  target(target: number, place: number): number {
    let sum = 0;
    for (const row of this.rows) sum += row.targets[target * TARGET_PLACES + place]!;
    return sum;
  }

  /** Moves the counts of a dead worker to row 0 and clears its row. Gauges, in-flight numbers too, end with the process they described. */
  fold(slot: number): void {
    const from = this.worker(slot);
    const into = this.rows[0]!;
    for (let place = 0; place < COUNTER_PLACES; place++) {
      if (COUNTERS[place]?.kind !== 'gauge') into.counters[place]! += from.counters[place]!;
    }
    for (let place = 0; place < from.targets.length; place++) {
      if (place % TARGET_PLACES !== T_IN_FLIGHT) into.targets[place]! += from.targets[place]!;
    }
    from.counters.fill(0);
    from.targets.fill(0);
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

/** Milliseconds of the monotonic clock, the same for every process of this machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** Seconds of the monotonic clock, the same for every process of this machine, in 31 bits. */
export function monotonicS(): number {
  return Number(process.hrtime.bigint() / 1_000_000_000n) & 0x7fffffff;
}

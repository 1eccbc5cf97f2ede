import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { brotliDecompressSync, constants, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { READ_BYTES } from '../base/limits.ts';
import { CODING_BROTLI, CODING_GZIP, CODING_NAMES, CODING_ZSTD } from '../http/compression-rules.ts';
import { openListenSocket } from '../native/listen-sockets.ts';
import { closeDescriptor } from '../native/sockets.ts';
import { testReactor } from '../net/test-reactor.ts';
import { Watched } from '../net/watched.ts';
import { COMPRESSED_BYTES_MAX, Compressor, type CompressorOwner, CompressorSlots } from './compressor.ts';

const CODINGS = [CODING_GZIP, CODING_BROTLI, CODING_ZSTD];

/** Decodes what there is of a stream; with `partly`, the end may be missing. */
function decoded(coding: number, bytes: Buffer, partly = false): Buffer {
  if (coding === CODING_GZIP) return gunzipSync(bytes, partly ? { finishFlush: constants.Z_SYNC_FLUSH } : {});
  if (coding === CODING_BROTLI) return brotliDecompressSync(bytes, partly ? { finishFlush: constants.BROTLI_OPERATION_FLUSH } : {});
  return zstdDecompressSync(bytes, partly ? { finishFlush: constants.ZSTD_e_flush } : {});
}

/** Half of it compressible: output that is neither tiny nor the input. */
function bodyOf(length: number): Buffer {
  const body = Buffer.alloc(length, 'The quick brown fox jumps over the lazy dog. ');
  for (let at = 0; at < length; at += 200) randomBytes(100).copy(body, at);
  return body;
}

// The compressor is driven as the proxy drives it: from the reactor, outside Node's callback scope. One reactor per process.
const reactor = testReactor();

/** Runs functions in the reactor's turns. Its descriptor is a listening socket that nobody connects to. */
class Turn extends Watched {
  readonly #work: (() => void)[] = [];
  constructor() {
    super();
    const opened = openListenSocket(
      { family: 4, ip: '127.0.0.1', port: 0 },
      { backlog: 1, fastOpen: false, deferAccept: false, userTimeoutMs: 0, keepAliveS: 0 },
    );
    assert.ok('fd' in opened);
    assert.ok(reactor.watch(this, opened.fd));
    after(() => {
      const { fd } = this;
      reactor.forget(this);
      closeDescriptor(fd);
    });
  }
  run(work: () => void): void {
    this.#work.push(work);
    reactor.later(this);
  }
  override onEvents(): void {}
  override onReady(): void {
    for (const work of this.#work.splice(0)) work();
  }
  override onDeadline(): void {}
}
const turn = new Turn();

/** A source that gives `pieces` one after another whenever the compressor has room, and a sink that keeps all. */
class Exchange implements CompressorOwner {
  readonly output: Buffer[] = [];
  readonly compressor: Compressor;
  readonly done: Promise<void>;
  readonly #pieces: Buffer[];
  #resolve: () => void = () => {};
  /** After this many pieces of output the sink takes no more until it is told to. */
  pauseEvery = Number.POSITIVE_INFINITY;
  lastCalls = 0;
  faults = 0;

  constructor(coding: number, pieces: readonly Buffer[], slots = new CompressorSlots()) {
    this.#pieces = [...pieces];
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    const compressor = Compressor.open(coding, false, slots, this);
    assert.ok(compressor !== null);
    this.compressor = compressor;
  }
  next(): void {
    const piece = this.#pieces.shift();
    if (piece !== undefined) this.compressor.write(piece, this.#pieces.length === 0);
    // The compressor has a copy: its owner's scratch memory is used again at once.
    piece?.fill(0);
  }
  onCompressed(bytes: Uint8Array, last: boolean): void {
    assert.ok(bytes.length <= COMPRESSED_BYTES_MAX);
    this.output.push(Buffer.from(bytes));
    if (last) {
      this.lastCalls++;
      this.#resolve();
    } else if (this.output.length % this.pauseEvery === 0) {
      this.compressor.pause();
      turn.run(() => this.compressor.resume());
    }
  }
  onCompressorDrained(): void {
    assert.equal(this.compressor.pendingBytes, 0);
    turn.run(() => this.next());
  }
  onCompressorFault(): void {
    this.faults++;
  }
}

function cut(body: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) pieces.push(Buffer.from(body.subarray(at, at + size)));
  return pieces;
}

for (const coding of CODINGS) {
  const name = CODING_NAMES[coding]!;

  test(`Compressor (${name}) gives back every body whole, driven from the reactor`, async () => {
    for (const [length, size] of [
      [0, 1],
      [1, 1],
      [10_000, 1_000],
      [1_000_000, READ_BYTES],
    ] as const) {
      const body = bodyOf(length);
      const slots = new CompressorSlots();
      const exchange = new Exchange(coding, length === 0 ? [Buffer.alloc(0)] : cut(body, size), slots);
      turn.run(() => exchange.next());
      await exchange.done;
      assert.deepEqual(decoded(coding, Buffer.concat(exchange.output)), body);
      assert.deepEqual([exchange.lastCalls, exchange.faults, slots.open], [1, 0, 0]);
    }
  });

  test(`Compressor (${name}) ends a body whose end is told behind its last bytes`, async () => {
    const body = bodyOf(5_000);
    const exchange = new Exchange(coding, [...cut(body, 2_500), Buffer.alloc(0)]);
    turn.run(() => exchange.next());
    await exchange.done;
    assert.deepEqual(decoded(coding, Buffer.concat(exchange.output)), body);
  });

  test(`Compressor (${name}) goes on after each pause of its sink, and loses nothing`, async () => {
    const body = randomBytes(3_000_000);
    const exchange = new Exchange(coding, cut(body, READ_BYTES));
    exchange.pauseEvery = 1;
    turn.run(() => exchange.next());
    await exchange.done;
    const pauses = exchange.output.length;
    assert.deepEqual(decoded(coding, Buffer.concat(exchange.output)), body);
    assert.ok(pauses >= 90, `${pauses} pauses`);
  });

  test(`Compressor (${name}) stops taking input while its sink takes nothing`, async () => {
    const body = randomBytes(4_000_000);
    let given = 0;
    let taken = 0;
    const got: Buffer[] = [];
    let ended: () => void = () => {};
    const whole = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const give = (): void => {
      const piece = body.subarray(given, given + READ_BYTES);
      given += piece.length;
      compressor.write(piece, given === body.length);
    };
    const compressor = Compressor.open(coding, false, new CompressorSlots(), {
      onCompressed: (bytes, last) => {
        got.push(Buffer.from(bytes));
        if (last) ended();
      },
      onCompressorDrained: () => {
        taken++;
        turn.run(give);
      },
      onCompressorFault: () => assert.fail('it failed'),
    })!;
    turn.run(() => {
      compressor.pause();
      give();
    });
    // It is stuck when the pool has been idle for a while: then another job of the same pool comes and goes without any progress.
    for (let quiet = 0, before = -1; quiet < 20; quiet = taken === before ? quiet + 1 : 0) {
      before = taken;
      const other = new Exchange(CODING_GZIP, cut(bodyOf(100_000), READ_BYTES));
      turn.run(() => other.next());
      await other.done;
    }
    assert.equal(got.length, 0);
    assert.ok(given <= 4 * READ_BYTES, `${given} bytes were taken in`);
    let within = 0;
    turn.run(() => {
      compressor.resume();
      within = got.length;
    });
    await whole;
    // The encoder was at rest: nothing but resume() itself could have handed out what waited.
    assert.ok(within > 0);
    assert.deepEqual(decoded(coding, Buffer.concat(got)), body);
  });

  test(`Compressor (${name}) flushes when its source pauses, at once`, async () => {
    const rounds = 30;
    const got: Buffer[] = [];
    let sent = '';
    const start = performance.now();
    await new Promise<void>((resolve) => {
      let round = 0;
      const send = (): void => {
        const text = `event ${round}: ${'x'.repeat(round)}\n`;
        sent += text;
        compressor.write(Buffer.from(text), false);
      };
      const compressor = Compressor.open(coding, true, new CompressorSlots(), {
        onCompressed: (bytes) => {
          got.push(Buffer.from(bytes));
          if (decoded(coding, Buffer.concat(got), true).toString() !== sent) return;
          if (++round < rounds) turn.run(send);
          else {
            compressor.destroy();
            resolve();
          }
        },
        onCompressorDrained: () => {},
        onCompressorFault: () => assert.fail('it failed'),
      })!;
      turn.run(send);
    });
    // One tick of the reactor for each would make 3 s.
    assert.ok(performance.now() - start < 1_500);
  });
}

test('Compressor.destroy() ends it in the middle: nothing is told any more, and the slot is free', async () => {
  const slots = new CompressorSlots();
  const exchange = new Exchange(CODING_GZIP, cut(bodyOf(1_000_000), READ_BYTES), slots);
  await new Promise<void>((resolve) => {
    turn.run(() => {
      exchange.next();
      exchange.compressor.destroy();
      exchange.compressor.destroy();
      exchange.compressor.resume();
      resolve();
    });
  });
  const other = new Exchange(CODING_GZIP, cut(bodyOf(1_000_000), READ_BYTES), slots);
  turn.run(() => other.next());
  await other.done;
  assert.deepEqual([exchange.output.length, exchange.faults, exchange.lastCalls, slots.open], [0, 0, 0, 0]);
});

test('Compressor.open() keeps to its slots, and counts whom it refuses', () => {
  const slots = new CompressorSlots(2);
  const first = new Exchange(CODING_GZIP, [], slots);
  const second = new Exchange(CODING_ZSTD, [], slots);
  assert.equal(Compressor.open(CODING_GZIP, false, slots, first), null);
  assert.deepEqual([slots.open, slots.refused], [2, 1]);
  first.compressor.destroy();
  const third = new Exchange(CODING_BROTLI, [], slots);
  assert.deepEqual([slots.open, slots.refused], [2, 1]);
  second.compressor.destroy();
  third.compressor.destroy();
  assert.equal(slots.open, 0);
});

test('Compressor.write() wants what was written before to be taken first', () => {
  const exchange = new Exchange(CODING_GZIP, []);
  exchange.compressor.write(Buffer.from('a'), false);
  assert.equal(exchange.compressor.pendingBytes, 1);
  assert.throws(() => exchange.compressor.write(Buffer.from('b'), false));
  exchange.compressor.destroy();
});

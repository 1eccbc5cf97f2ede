/**
 * The response on its way to the client: heads, then the body as far as the target gives and the client takes, compressed on the way where that
 * is wanted. Owns its framing, as it comes and as it goes. Nothing is read from the target while the client, or the compressor, has bytes
 * pending. One per exchange.
 *
 *   AWAIT_HEAD -> (1xx ...) -> BODY -> DONE, or -> tunnel
 */
import {
  FAULT_EOF,
  FAULT_RESPONSE_SWITCH,
  FAULT_RESPONSE_TOO_LARGE,
  FAULT_RESPONSE_TRUNCATED,
  isServerTlsFault,
  NEED_MORE,
} from '../base/faults.ts';
import { HEAD_BYTES_MAX, READ_BYTES, TURN_BYTES_MAX } from '../base/limits.ts';
import { CR } from '../http/characters.ts';
import {
  CODING_NAMES,
  COMPRESS,
  COMPRESS_NOT_ASKED,
  COMPRESS_SECRET,
  type CompressionPolicy,
  compressionVerdict,
  strongEtag,
  variesByEncoding,
} from '../http/compression-rules.ts';
import { FieldEdits } from '../http/field-edits.ts';
import { chunkHead, chunkTail, decodedHead, decodedTail, lastChunk } from '../http/h1/chunk-writer.ts';
import { ChunkedDecoder } from '../http/h1/chunked-decoder.ts';
import { readResponseHead } from '../http/h1/head-reader.ts';
import { FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, FRAMING_TUNNEL, type MessageHead } from '../http/message-head.ts';
import { copyMemory } from '../native/memory.ts';
import { dropChunk, keepBytes } from '../net/chunk.ts';
import { C_LIMIT_TURN_BYTES, C_RESPONSES_1XX, C_TUNNELS, R_1XX, T_BYTES_IN } from '../plan/counters.ts';
import { Compressor, type CompressorOwner } from './compressor.ts';
import { COMPOSE_AT, READ_AT } from './context.ts';
import type { ExchangeDeadlines } from './exchange-deadlines.ts';
import type { ExchangeHeads } from './exchange-heads.ts';
import { AWAIT_HEAD, BODY, DONE, type ExchangeState } from './exchange-state.ts';
import type { UpstreamLeg } from './upstream-leg.ts';

/** Whose response it is. Each call may end the exchange. */
export interface ResponseFlowOwner {
  /** All is said, and taken. */
  onResponseTaken(): void;
  /** It cannot be read any further; or the connection ended before a head had come. */
  onResponseFault(fault: number): void;
  onTargetEnded(fault: number): void;
  /** A head that changes the protocol is with the client. */
  onSwitched(): void;
  /** The client does not take it any more; or what was begun cannot be made whole. */
  onClientGone(): void;
  onResponseBroken(): void;
}

export class ResponseFlow implements CompressorOwner {
  readonly #state: ExchangeState;
  readonly #leg: UpstreamLeg;
  readonly #deadlines: ExchangeDeadlines;
  readonly #heads: ExchangeHeads;
  readonly #owner: ResponseFlowOwner;

  /** As it comes: FRAMING_NONE once it is whole. And as the client gets it. */
  #framing = FRAMING_NONE;
  #clientFraming = FRAMING_NONE;
  /** Bytes still to come, of FRAMING_LENGTH. */
  #left = 0;
  /** Bytes a body may still have whose length was not told. */
  #room = Number.POSITIVE_INFINITY;
  readonly #decoder = new ChunkedDecoder(false);
  /** The target's connection may carry another request. */
  #upstreamKeepAlive = false;
  /** An interim response filled the client's socket: what the target sent behind it waits in its stash. */
  #resumeHead = false;
  #compressor: Compressor | null = null;
  /** Lines that an authorisation server gives to the response. */
  #extra = '';

  constructor(state: ExchangeState, leg: UpstreamLeg, deadlines: ExchangeDeadlines, heads: ExchangeHeads, owner: ResponseFlowOwner) {
    this.#state = state;
    this.#leg = leg;
    this.#deadlines = deadlines;
    this.#heads = heads;
    this.#owner = owner;
  }

  reset(): void {
    this.#framing = FRAMING_NONE;
    this.#resumeHead = false;
    this.#extra = '';
  }

  /** Lines that the response's head is to have besides its own. */
  addToHead(lines: string): void {
    this.#extra = lines;
  }

  /** Nothing of the target's comes any more. */
  stopCompressing(): void {
    this.#compressor?.destroy();
    this.#compressor = null;
  }

  /** Reads the response and hands it on, as far as the target gives and the client takes. */
  pump(): void {
    const state = this.#state;
    const leg = this.#leg;
    const client = state.client!;
    const connection = leg.connection!;
    const { context } = client;
    let moved = 0;
    while ((connection.readable || this.#resumeHead) && client.hasRoom && (this.#compressor?.pendingBytes ?? 0) === 0) {
      if (moved >= TURN_BYTES_MAX) {
        context.counters[C_LIMIT_TURN_BYTES]!++;
        context.reactor.later(connection);
        return;
      }
      let have = 0;
      if (connection.stash !== null) {
        have = connection.stash.length;
        copyMemory(context.scratch, READ_AT, connection.stash.memory, connection.stash.start, connection.stash.end);
        dropChunk(connection.stash);
        connection.stash = null;
      }
      let n = 0;
      if (this.#resumeHead) this.#resumeHead = false;
      else {
        n = connection.stream.read(context.scratch, READ_AT + have, READ_BYTES - have);
        connection.readable = n > 0 && (connection.hungUp || connection.stream.mayHaveMore());
        if (n <= 0) {
          if (have > 0) connection.stash = keepBytes(context.scratch, READ_AT, READ_AT + have);
          if (n < 0) this.#ended(n);
          return;
        }
      }
      moved += n;
      leg.target!.add(T_BYTES_IN, n);
      const end = READ_AT + have + n;
      if (state.stage === AWAIT_HEAD) this.#takeHeads(READ_AT, end);
      else this.#takeBody(READ_AT, end, READ_AT);
      // Ended, given to a tunnel, or failed.
      if (state.client !== client || state.stage === DONE || leg.connection !== connection) return;
    }
    if (client.pending !== null) this.#deadlines.awaitTaking();
    if (client.hasRoom) this.#deadlines.set();
    else context.reactor.noDeadline(connection);
  }

  /** Of what is pending the client has taken `bytes`. */
  onClientTook(bytes: number): void {
    this.#deadlines.took(bytes);
    const { connection } = this.#leg;
    if (connection !== null && this.#compressor === null && this.#state.client!.hasRoom && connection.readable) this.pump();
  }

  /** What was pending for the client is with the kernel. */
  onClientDrained(): void {
    const state = this.#state;
    const leg = this.#leg;
    const client = state.client!;
    this.#deadlines.tookAll();
    if (state.stage === DONE) {
      this.#owner.onResponseTaken();
      return;
    }
    if (leg.connection === null) {
      // The last of the body is with the compressor.
      this.#compressor?.resume();
      return;
    }
    if (state.requestDone) client.context.reactor.noDeadline(client);
    this.#deadlines.set();
    if (this.#compressor !== null) {
      this.#compressor.resume();
      if (state.client !== client || client.pending !== null || leg.connection === null) return;
    }
    if (leg.connection.readable || this.#resumeHead) this.pump();
  }

  /** Sends an answer that ends the exchange, whoever made it: scratch [start, end). */
  sendWhole(start: number, end: number): void {
    const client = this.#state.client!;
    this.#state.stage = DONE;
    this.#toClient(start, end);
    if (this.#state.client === client) this.#awaitTaken();
  }

  // --- heads ----------------------------------------------------------------------------------------------------------

  /** Response heads at scratch [at, end): informational ones go through, the final one begins the body. */
  #takeHeads(at: number, end: number): void {
    const { client, clientMinor, method } = this.#state;
    const connection = this.#leg.connection!;
    const { context } = client!;
    const head = context.responseHead;
    let from = at;
    while (from < end) {
      const used = readResponseHead(context.bytes, from, end, RESPONSE_LIMITS, method, head);
      if (used === NEED_MORE) break;
      if (used < 0) {
        this.#owner.onResponseFault(used);
        return;
      }
      this.#leg.dropReplay();
      if (head.framing === FRAMING_TUNNEL) {
        this.#switchProtocols(head, from + used, end);
        return;
      }
      if (head.status >= 200) {
        this.#takeFinalHead(head, from + used, end);
        return;
      }
      from += used;
      // RFC 9110, section 15.2: never to a client of HTTP/1.0.
      if (clientMinor > 0 && !this.#sendInterim(head)) return;
      if (this.#resumeHead) break;
    }
    if (from < end) connection.stash = keepBytes(context.scratch, from, end);
  }

  #sendInterim(head: MessageHead): boolean {
    const { client, route } = this.#state;
    const { counters, routeCounters } = client!.context;
    const composed = this.#compose(head, FRAMING_NONE, false, '');
    if (composed < 0) return false;
    counters[C_RESPONSES_1XX]!++;
    routeCounters[route!.countersAt + R_1XX]!++;
    const n = client!.send(COMPOSE_AT, composed);
    if (n < 0) {
      this.#owner.onClientGone();
      return false;
    }
    // What follows waits until the client has taken this.
    this.#resumeHead = client!.pending !== null;
    return true;
  }

  /** Writes the response head for the client at COMPOSE_AT; returns its end. Below 0 when it cannot be: the exchange has been failed then. */
  #compose(head: MessageHead, framing: number, close: boolean, extra: string): number {
    const composed = this.#heads.writeResponse(head, this.#leg.target!, framing, close, extra);
    if (composed < 0) this.#owner.onResponseFault(composed);
    else this.#state.record.headBytes += composed - COMPOSE_AT;
    return composed;
  }

  #takeFinalHead(head: MessageHead, at: number, end: number): void {
    const state = this.#state;
    const client = state.client!;
    const { context } = client;
    const { bytes } = context;
    const forward = state.route!.forward!;
    state.span?.answered(head.status, context.reactor.nowMs);
    this.#framing = head.framing;
    this.#left = head.framing === FRAMING_LENGTH ? head.contentLength : 0;
    this.#upstreamKeepAlive = head.keepAlive && head.framing !== FRAMING_CLOSE;
    if (head.framing === FRAMING_CHUNKED) this.#decoder.reset();
    this.#room = forward.responseBodyMax;
    client.queueMax = forward.responseBuffer;
    if (head.framing === FRAMING_LENGTH && head.contentLength > this.#room) {
      this.#owner.onResponseFault(FAULT_RESPONSE_TOO_LARGE);
      return;
    }
    // A body whose end only a close would tell is chunked for those who know chunks (RFC 9112, section 6.3).
    let framing = head.framing;
    if (framing === FRAMING_CHUNKED || framing === FRAMING_CLOSE) framing = state.clientMinor > 0 ? FRAMING_CHUNKED : FRAMING_CLOSE;
    // An answer before the request was whole: what is still to come of it cannot be told from the next request any more.
    if (framing === FRAMING_CLOSE || !state.requestDone || context.draining || client.site.retired || client.retired)
      state.keepAlive = false;
    let extra = this.#extra;
    if (forward.compress !== null) extra += this.#tryToCompress(head, forward.compress);
    if (this.#compressor !== null) framing = FRAMING_CHUNKED;
    this.#clientFraming = framing;
    const composed = this.#compose(head, framing, !state.keepAlive, extra);
    if (composed < 0) return;
    this.#leg.answered();
    state.record.status = head.status;
    state.stage = BODY;
    if (this.#compressor !== null) {
      // The head goes out by itself: what it is about comes later.
      this.#toClient(COMPOSE_AT, composed);
      if (state.client !== client) return;
      if (client.pending !== null) this.#compressor.pause();
      this.#takeBody(at, end, at);
      return;
    }
    if (this.#isWhole()) {
      if (at < end) this.#upstreamKeepAlive = false;
      this.#toClient(COMPOSE_AT, composed);
      return;
    }
    // Right in front of the body: one write, and one record, for both.
    const headBytes = composed - COMPOSE_AT;
    const start = at - headBytes - CHUNK_LINE_ROOM;
    bytes.copyWithin(start, COMPOSE_AT, composed);
    this.#takeBody(at, end, start, start + headBytes);
  }

  /** Sends the head of a 101 with what came behind it; what follows is no HTTP. */
  #switchProtocols(head: MessageHead, at: number, end: number): void {
    const { client, record, requestDone, span, wantsUpgrade } = this.#state;
    const { context } = client!;
    if (!wantsUpgrade || !requestDone || client!.pending !== null) {
      this.#owner.onResponseFault(FAULT_RESPONSE_SWITCH);
      return;
    }
    const composed = this.#compose(head, FRAMING_TUNNEL, false, '');
    if (composed < 0) return;
    const start = at - (composed - COMPOSE_AT);
    context.bytes.copyWithin(start, COMPOSE_AT, composed);
    record.status = 101;
    context.counters[C_TUNNELS]!++;
    span?.answered(101, context.reactor.nowMs);
    span?.letGo(context.reactor.nowMs);
    const n = client!.send(start, end);
    if (n < 0) {
      this.#owner.onClientGone();
      return;
    }
    this.#state.headSent = true;
    record.bytesSent += end - start;
    this.#leg.answered();
    this.#owner.onSwitched();
  }

  // --- compression ----------------------------------------------------------------------------------------------------

  /** Opens a compressor where the response may be compressed. Field lines for its head; those they replace are dropped. */
  #tryToCompress(head: MessageHead, policy: CompressionPolicy): string {
    const { client, coding, method, secret } = this.#state;
    const { bytes, compressors } = client!.context;
    const verdict = compressionVerdict(bytes, head, method, coding, secret, policy);
    let lines = '';
    if (verdict === COMPRESS || verdict === COMPRESS_NOT_ASKED || verdict === COMPRESS_SECRET) {
      if (!variesByEncoding(bytes, head)) lines = 'Vary: Accept-Encoding\r\n';
    }
    if (verdict !== COMPRESS) return lines;
    this.#compressor = Compressor.open(coding, head.framing !== FRAMING_LENGTH, compressors, this);
    if (this.#compressor === null) return lines;
    const etag = strongEtag(bytes, head);
    if (etag >= 0) lines += `ETag: W/${bytes.latin1Slice(etag, bytes.indexOf(CR, etag)).trimEnd()}\r\n`;
    (etag >= 0 ? REPLACED_WITH_ETAG : REPLACED).mark(bytes, head);
    return `${lines}Content-Encoding: ${CODING_NAMES[coding]}\r\n`;
  }

  /** Body bytes, without chunk lines, for the compressor. The target is done with once it has the last of them. */
  #compress(start: number, stop: number): void {
    const state = this.#state;
    const whole = this.#isWhole();
    this.#compressor!.write(state.client!.context.bytes.subarray(start, stop), whole);
    if (!whole) return;
    this.#leg.letGo(this.#upstreamKeepAlive && state.requestDone);
    // Whoever asks for the rest of the request's body now has nobody to give it to.
    if (!state.requestDone) state.keepAlive = false;
  }

  /** Compressed bytes for the client, as one chunk. */
  onCompressed(bytes: Uint8Array, last: boolean): void {
    const client = this.#state.client!;
    const { context } = client;
    const at = COMPOSE_AT + CHUNK_LINE_ROOM;
    let start = at;
    let stop = at;
    if (bytes.length > 0) {
      context.bytes.set(bytes, at);
      start = chunkHead(context.bytes, at, bytes.length);
      stop = chunkTail(context.bytes, at + bytes.length);
    }
    if (last) {
      this.#compressor = null;
      stop = lastChunk(context.bytes, stop, EMPTY, 0);
    }
    const n = client.send(start, stop);
    if (n < 0) {
      this.#owner.onClientGone();
      return;
    }
    this.#state.record.bytesSent += stop - start;
    if (last) {
      this.#state.stage = DONE;
      this.#awaitTaken();
    } else if (client.pending !== null) {
      this.#compressor?.pause();
      this.#deadlines.awaitTaking();
    }
  }

  onCompressorDrained(): void {
    const { connection } = this.#leg;
    if (connection !== null && this.#state.client!.pending === null && connection.readable) this.pump();
  }

  onCompressorFault(): void {
    this.#compressor = null;
    this.#owner.onResponseBroken();
  }

  // --- the body -------------------------------------------------------------------------------------------------------

  #isWhole(): boolean {
    return this.#framing === FRAMING_NONE || (this.#framing === FRAMING_LENGTH && this.#left === 0);
  }

  /**
   * Body bytes at scratch [at, end) for the client, behind a head at [headStart, headEnd) when one is given. The head is moved up to the
   * body's first byte, wherever its chunk line puts that.
   */
  #takeBody(at: number, end: number, headStart: number, headEnd = headStart): void {
    const { bytes } = this.#state.client!.context;
    const headBytes = headEnd - headStart;
    const chunked = this.#clientFraming === FRAMING_CHUNKED && this.#compressor === null;
    let start = at;
    let stop = end;
    if (this.#framing === FRAMING_LENGTH) {
      const taken = Math.min(this.#left, end - at);
      this.#left -= taken;
      stop = at + taken;
      // More than was announced: nobody asked for it, and nobody can tell what it is.
      if (stop < end) this.#upstreamKeepAlive = false;
    } else if (this.#framing === FRAMING_CHUNKED) {
      const decoder = this.#decoder;
      const used = decoder.decode(bytes, at, end);
      if (used < 0) {
        this.#owner.onResponseFault(used);
        return;
      }
      if (at + used < end) this.#upstreamKeepAlive = false;
      if (!this.#hasRoom(decoder.dataBytes)) return;
      if (chunked) {
        stop = decodedTail(bytes, at, decoder);
        start = decodedHead(bytes, at, decoder);
      } else stop = at + decoder.dataBytes;
      if (decoder.done) this.#framing = FRAMING_NONE;
    } else if (!this.#hasRoom(end - at)) {
      return;
    } else if (chunked && at < end) {
      start = chunkHead(bytes, at, end - at);
      stop = chunkTail(bytes, end);
    }
    if (this.#compressor !== null) {
      this.#compress(start, stop);
      return;
    }
    if (headBytes > 0) {
      if (start - headBytes !== headStart) bytes.copyWithin(start - headBytes, headStart, headEnd);
      start -= headBytes;
    }
    if (stop > start) this.#toClient(start, stop);
    else this.#advance();
  }

  /** Counts bytes of a body whose length nobody told. False when there are too many: the exchange has been failed then. */
  #hasRoom(bytes: number): boolean {
    this.#room -= bytes;
    if (this.#room >= 0) return true;
    this.#owner.onResponseFault(FAULT_RESPONSE_TOO_LARGE);
    return false;
  }

  /** Scratch [start, end) for the client. */
  #toClient(start: number, end: number): void {
    const state = this.#state;
    const client = state.client!;
    if (!state.keepAlive && this.#isWhole()) client.stream.holdForEnd();
    const n = client.send(start, end);
    if (n < 0) {
      this.#owner.onClientGone();
      return;
    }
    state.headSent = true;
    state.record.bytesSent += end - start;
    this.#advance();
  }

  /** Whether that was all. Then the target's part is over. */
  #advance(): void {
    const state = this.#state;
    if (this.#compressor !== null || state.stage !== BODY || !this.#isWhole()) return;
    state.stage = DONE;
    this.#leg.letGo(this.#upstreamKeepAlive && state.requestDone);
    this.#awaitTaken();
  }

  /** All is said. */
  #awaitTaken(): void {
    if (this.#state.client!.pending === null) this.#owner.onResponseTaken();
    else this.#deadlines.awaitTaking();
  }

  /** The target's connection has ended. */
  #ended(fault: number): void {
    if (this.#state.stage === AWAIT_HEAD) {
      this.#owner.onTargetEnded(fault);
      return;
    }
    if (this.#framing !== FRAMING_CLOSE || fault !== FAULT_EOF) {
      this.#owner.onResponseFault(isServerTlsFault(fault) ? fault : FAULT_RESPONSE_TRUNCATED);
      return;
    }
    this.#framing = FRAMING_NONE;
    if (this.#compressor !== null) this.#compress(READ_AT, READ_AT);
    else if (this.#clientFraming === FRAMING_CHUNKED) {
      const { bytes } = this.#state.client!.context;
      this.#toClient(READ_AT, lastChunk(bytes, READ_AT, EMPTY, 0));
    } else this.#advance();
  }
}

/** What a compressed body makes untrue. */
const REPLACED = new FieldEdits({ remove: ['accept-ranges'], set: [], add: [] });
const REPLACED_WITH_ETAG = new FieldEdits({ remove: ['accept-ranges', 'etag'], set: [], add: [] });

/** Room for a chunk line between a head and its body: 16 digits and CRLF. */
const CHUNK_LINE_ROOM = 18;
const EMPTY = new Uint8Array(0);
const RESPONSE_LIMITS = Object.freeze({ headBytesMax: HEAD_BYTES_MAX, fieldsMax: 128, targetBytesMax: HEAD_BYTES_MAX });

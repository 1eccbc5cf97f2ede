/**
 * What an access line is made of. An exchange owns one; pooled with it. What the request said is copied as it came when it is read,
 * because its bytes are gone when the response ends; the line is made then, in the format that is in force then.
 */

// Bytes of a value that are kept, and that it may take in a line, escapes included: the sum stays under a line's bound.
export const METHOD_ROOM = 32;
export const HOST_ROOM = 256;
export const TARGET_ROOM = 1_280;
export const AGENT_ROOM = 384;
export const REFERER_ROOM = 512;
export const USER_ROOM = 64;
const HOST_AT = METHOD_ROOM;
const TARGET_AT = HOST_AT + HOST_ROOM;
const AGENT_AT = TARGET_AT + TARGET_ROOM;
const REFERER_AT = AGENT_AT + AGENT_ROOM;
const USER_AT = REFERER_AT + REFERER_ROOM;
const BYTES = USER_AT + USER_ROOM;
/** A copy longer than this is worth a call into C++. Bytes. */
const CALL_BYTES = 32;

export class AccessRecord {
  /** The values, each at its place. */
  readonly bytes = Buffer.from(new ArrayBuffer(BYTES));
  /** 32 hexadecimal digits. */
  readonly requestId = new Uint8Array(32);
  /** The log was on when the request came. */
  isWanted = false;
  /** A request line was read: the next five mean something. */
  hasRequest = false;
  methodEnd = 0;
  hostEnd = HOST_AT;
  targetEnd = TARGET_AT;
  /** Path and query within the target: the whole of it, unless it is of the absolute form. */
  pathStart = TARGET_AT;
  pathEnd = TARGET_AT;
  versionMinor = 1;
  /** Ends; -1 where the request had no such field. */
  agentEnd = -1;
  refererEnd = -1;
  /** Name of a user whose password was right; -1: nobody. */
  userEnd = -1;
  startMs = 0;
  status = 0;
  /** Body and head bytes sent to the client, and the heads' part of them. */
  bytesSent = 0;
  headBytes = 0;
  /** Label of the target; empty: none. */
  upstream = '';
  /** Why Tollgate refused or failed; empty: it did not. */
  reason = '';
  /** It is of a connection that is carried as it is: no request, no status. What the client sent, and the protocol agreed by ALPN. */
  isConnection = false;
  bytesReceived = 0;
  alpn = '';

  reset(startMs: number, wanted: boolean): void {
    this.isWanted = wanted;
    this.hasRequest = false;
    this.agentEnd = -1;
    this.refererEnd = -1;
    this.userEnd = -1;
    this.startMs = startMs;
    this.status = 0;
    this.bytesSent = 0;
    this.headBytes = 0;
    this.upstream = '';
    this.reason = '';
    this.isConnection = false;
  }

  get hostStart(): number {
    return HOST_AT;
  }

  get targetStart(): number {
    return TARGET_AT;
  }

  get agentStart(): number {
    return AGENT_AT;
  }

  get refererStart(): number {
    return REFERER_AT;
  }

  get userStart(): number {
    return USER_AT;
  }

  /** Ranges are [start, end) of `source`. */
  keepRequestLine(
    source: Buffer,
    methodStart: number,
    methodEnd: number,
    targetStart: number,
    targetEnd: number,
    pathStart: number,
    pathEnd: number,
    versionMinor: number,
  ): void {
    this.hasRequest = true;
    this.versionMinor = versionMinor;
    this.methodEnd = keep(this.bytes, 0, METHOD_ROOM, source, methodStart, methodEnd);
    this.targetEnd = keep(this.bytes, TARGET_AT, TARGET_ROOM, source, targetStart, targetEnd);
    // A "*" and an authority are no part of a path range that lies elsewhere.
    this.pathStart = Math.min(this.targetEnd, TARGET_AT + Math.max(0, pathStart - targetStart));
    this.pathEnd = Math.min(this.targetEnd, this.pathStart + pathEnd - pathStart);
  }

  keepHost(source: Buffer, start: number, end: number): void {
    this.hostEnd = keep(this.bytes, HOST_AT, HOST_ROOM, source, start, end);
  }

  /** Of a field sent twice, the last counts. */
  keepUserAgent(source: Buffer, start: number, end: number): void {
    this.agentEnd = keep(this.bytes, AGENT_AT, AGENT_ROOM, source, start, end);
  }

  keepReferer(source: Buffer, start: number, end: number): void {
    this.refererEnd = keep(this.bytes, REFERER_AT, REFERER_ROOM, source, start, end);
  }

  keepUser(source: Buffer, start: number, end: number): void {
    this.userEnd = keep(this.bytes, USER_AT, USER_ROOM, source, start, end);
  }
}

function keep(to: Buffer, at: number, room: number, source: Buffer, start: number, end: number): number {
  const stop = Math.min(end, start + room);
  if (stop - start > CALL_BYTES) return at + source.copy(to, at, start, stop);
  let next = at;
  for (let i = start; i < stop; i++) to[next++] = source[i]!;
  return next;
}

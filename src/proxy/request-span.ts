/**
 * What is noted of a sampled request while it is served, and the record made of it. Made for sampled requests alone: it may allocate. Times
 * are the reactor's until the record is made.
 */

import type { MessageHead } from '../http/message-head.ts';
import { CLIENT_SPAN, parentIdText, SERVER_SPAN, spanIdText, traceIdText } from '../http/trace-context.ts';
import { SPAN_AUTHORITY_MAX, SPAN_NAME_MAX, SPAN_PATH_MAX, SPAN_TARGET_MAX } from '../plan/span-record.ts';
import type { SpanBuffer } from '../record/span-buffer.ts';
import type { ClientConnection } from './client-connection.ts';

/** What stands before the number in the names of TLS versions. */
const TLS_PREFIX = 'TLSv';

export class RequestSpan {
  /** A code of base/faults.ts, or 0. */
  fault = 0;

  readonly #spans: SpanBuffer;
  readonly #trace: string;
  readonly #parent: string;
  readonly #span: string;
  readonly #upstreamSpan: string;
  readonly #startMs: number;
  readonly #listener: string;
  readonly #method: string;
  readonly #scheme: string;
  readonly #authority: string;
  readonly #path: string;
  readonly #minor: number;
  readonly #client: string;
  readonly #peer: string;
  readonly #tls: string;

  #target: string | null = null;
  #reused = false;
  #resends = 0;
  #sentMs = 0;
  #connectedMs = 0;
  #firstByteMs = 0;
  #answeredMs = 0;
  #upstreamStatus = 0;

  /** `from`: where the traceparent that is continued begins in the context's bytes, or -1. `whose`: who the client is. */
  constructor(
    spans: SpanBuffer,
    client: ClientConnection,
    whose: { readonly address: string; readonly scheme: string },
    head: MessageHead,
    from: number,
    requestId: Uint8Array,
    startMs: number,
  ) {
    const { bytes } = client.context;
    this.#spans = spans;
    this.#trace = traceIdText(bytes, from, requestId);
    this.#parent = parentIdText(bytes, from);
    this.#span = spanIdText(requestId, SERVER_SPAN);
    this.#upstreamSpan = spanIdText(requestId, CLIENT_SPAN);
    this.#startMs = startMs;
    this.#listener = client.site.name.slice(0, SPAN_NAME_MAX);
    this.#method = bytes.latin1Slice(head.methodStart, head.methodEnd);
    this.#scheme = whose.scheme;
    const authority = bytes.latin1Slice(head.authorityStart, head.authorityEnd) || client.site.fallbackHost;
    this.#authority = authority.slice(0, SPAN_AUTHORITY_MAX);
    const path = bytes.latin1Slice(head.pathStart, Math.min(head.queryStart, head.pathStart + SPAN_PATH_MAX - 1));
    this.#path = head.pathNeedsSlash ? `/${path}` : path;
    this.#minor = head.versionMinor;
    this.#client = whose.address;
    this.#peer = client.address;
    const version = client.tlsVersion;
    this.#tls = version.startsWith(TLS_PREFIX) ? version.slice(TLS_PREFIX.length) : version;
  }

  /** The request goes to `target` (its label). */
  sent(target: string, nowMs: number): void {
    this.#target = target.slice(0, SPAN_TARGET_MAX);
    this.#sentMs = nowMs;
  }

  /** It goes out again: the connection had died. */
  sentAgain(): void {
    this.#resends++;
  }

  /** Whether the connection it goes out on was kept from an earlier request. */
  on(reused: boolean): void {
    this.#reused = reused;
  }

  connected(nowMs: number): void {
    this.#connectedMs = nowMs;
  }

  answered(status: number, nowMs: number): void {
    this.#upstreamStatus = status;
    this.#firstByteMs = nowMs;
  }

  /** The target's part is over. */
  letGo(nowMs: number): void {
    this.#answeredMs = nowMs;
  }

  /** Hands the record on. `status`: what the client got, or 0. `unixOffsetMs`: what the reactor's clock lacks to the wall clock. */
  end(route: string, status: number, bytes: number, nowMs: number, unixOffsetMs: number): void {
    const at = (ms: number): number => (ms === 0 ? 0 : ms + unixOffsetMs);
    this.#spans.add({
      trace: this.#trace,
      span: this.#span,
      parent: this.#parent,
      startMs: at(this.#startMs),
      endMs: at(nowMs),
      listener: this.#listener,
      route: route.slice(0, SPAN_NAME_MAX),
      method: this.#method,
      scheme: this.#scheme,
      authority: this.#authority,
      path: this.#path,
      minor: this.#minor,
      status,
      client: this.#client,
      peer: this.#peer,
      tls: this.#tls,
      bytes,
      fault: this.fault,
      upstream:
        this.#target === null
          ? null
          : {
              span: this.#upstreamSpan,
              target: this.#target,
              reused: this.#reused,
              resends: this.#resends,
              startMs: at(this.#sentMs),
              connectedMs: at(this.#connectedMs),
              firstByteMs: at(this.#firstByteMs),
              endMs: at(this.#answeredMs),
              status: this.#upstreamStatus,
            },
    });
  }
}

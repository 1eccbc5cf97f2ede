/** Tollgate's codec: what it makes of the same bytes. */
import { faultOf, NEED_MORE } from '../../src/base/faults.ts';
import { ChunkedDecoder } from '../../src/http/h1/chunked-decoder.ts';
import { readRequestHead, readResponseHead } from '../../src/http/h1/head-reader.ts';
import {
  FIELD_NAME_END,
  FIELD_NAME_START,
  FIELD_STRIDE,
  FIELD_VALUE_END,
  FIELD_VALUE_START,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_TUNNEL,
  METHOD_GET,
  MessageHead,
} from '../../src/http/message-head.ts';

export interface Message {
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly minor: number;
  /** Names and values, in turn. */
  readonly fields: readonly string[];
  /** Latin-1. */
  readonly body: string;
}

export interface Heard {
  readonly messages: readonly Message[];
  /** `whole`, `more` (is needed), `close` or `upgrade` (what follows is no message), or the reason of an error. */
  readonly end: string;
  /** The error is only that something follows a message that said it was the last. */
  readonly closed: boolean;
}

const LIMITS = { headBytesMax: 32_768, fieldsMax: 128, targetBytesMax: 16_384 };

/** What our codec makes of `bytes`. */
export function ours(bytes: Buffer, isRequest: boolean): Heard {
  const buf = Buffer.from(bytes);
  const messages: Message[] = [];
  const head = new MessageHead();
  let at = 0;
  const ended = (end: string): Heard => ({ messages, end, closed: false });
  while (at < buf.length) {
    const used = isRequest
      ? readRequestHead(buf, at, buf.length, LIMITS, head)
      : readResponseHead(buf, at, buf.length, LIMITS, METHOD_GET, head);
    if (used === NEED_MORE) return ended('more');
    if (used < 0) return ended(faultOf(used).reason);
    at += used;
    const fields: string[] = [];
    for (let i = 0, field = 0; i < head.fieldCount; i++, field += FIELD_STRIDE) {
      fields.push(
        buf.latin1Slice(head.fields[field + FIELD_NAME_START]!, head.fields[field + FIELD_NAME_END]!),
        buf.latin1Slice(head.fields[field + FIELD_VALUE_START]!, head.fields[field + FIELD_VALUE_END]!),
      );
    }
    const started = {
      method: isRequest ? buf.latin1Slice(head.methodStart, head.methodEnd) : '',
      target: isRequest ? buf.latin1Slice(head.targetStart, head.targetEnd) : '',
      status: isRequest ? 0 : head.status,
      minor: head.versionMinor,
      fields,
    };
    const { keepAlive, framing } = head;
    if (framing === FRAMING_TUNNEL) {
      messages.push({ ...started, body: '' });
      return ended('upgrade');
    }
    if (framing === FRAMING_CLOSE) return ended('close');
    let body = '';
    if (framing === FRAMING_LENGTH) {
      if (buf.length - at < head.contentLength) return ended('more');
      body = buf.latin1Slice(at, at + head.contentLength);
      at += head.contentLength;
    } else if (framing === FRAMING_CHUNKED) {
      const decoder = new ChunkedDecoder(isRequest);
      const rest = Buffer.from(buf.subarray(at));
      const consumed = decoder.decode(rest, 0, rest.length);
      if (consumed < 0) return ended(faultOf(consumed).reason);
      if (!decoder.done) return ended('more');
      body = rest.latin1Slice(0, decoder.dataBytes);
      at += consumed;
    }
    messages.push({ ...started, body });
    if (head.upgradeEnd > head.upgradeStart) return ended('upgrade');
    if (!keepAlive) return ended('close');
  }
  return ended('whole');
}

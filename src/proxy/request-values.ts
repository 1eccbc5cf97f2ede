/** The values of a template's variables for the request at work. One per worker, filled where a template is to be written. */
import type { MessageHead } from '../http/message-head.ts';
import {
  type TemplateValues,
  V_CLIENT_ADDRESS,
  V_LISTENER,
  V_REQUEST_HOST,
  V_REQUEST_ID,
  V_REQUEST_METHOD,
  V_REQUEST_PATH,
  V_REQUEST_SCHEME,
  V_REQUEST_TARGET,
  V_ROUTE,
  V_TARGET,
  V_TLS_CIPHER,
  V_TLS_SNI,
  V_TLS_VERSION,
} from '../http/template.ts';
import { copyBytes, writeBytes, writeText } from '../http/write-bytes.ts';
import type { ClientConnection } from './client-connection.ts';

export class RequestValues implements TemplateValues {
  client: ClientConnection | null = null;
  /** The client's address, as far as trust reaches. */
  address = '';
  scheme = '';
  requestId: Uint8Array = new Uint8Array(0);
  route = '';
  /** Label of the target; '' before one is chosen. */
  target = '';
  /** The request's head, its bytes in the buffer that is written to; null when they are gone. */
  head: MessageHead | null = null;
  /** Host when the request names none. */
  fallbackHost = '';

  writeVariable(variable: number, buf: Uint8Array, at: number, end: number): number {
    const { client, head } = this;
    switch (variable) {
      case V_CLIENT_ADDRESS:
        return text(buf, at, end, this.address);
      case V_TLS_VERSION:
        return text(buf, at, end, client?.tlsVersion ?? '');
      case V_TLS_CIPHER:
        return text(buf, at, end, client?.cipher ?? '');
      case V_TLS_SNI:
        return text(buf, at, end, client?.sni ?? '');
      case V_REQUEST_ID:
        return at + this.requestId.length > end ? -1 : writeBytes(buf, at, this.requestId);
      case V_LISTENER:
        return text(buf, at, end, client?.site.name ?? '');
      case V_ROUTE:
        return text(buf, at, end, this.route);
      case V_TARGET:
        return text(buf, at, end, this.target);
      case V_REQUEST_SCHEME:
        return text(buf, at, end, this.scheme);
      case V_REQUEST_METHOD:
        return head === null ? at : bytes(buf, at, end, head.methodStart, head.methodEnd);
      case V_REQUEST_HOST:
        if (head === null || head.hostEnd === head.hostStart) return text(buf, at, end, this.fallbackHost);
        return bytes(buf, at, end, head.hostStart, head.hostEnd);
      case V_REQUEST_PATH:
        return head === null ? at : path(buf, at, end, head, head.queryStart);
      case V_REQUEST_TARGET:
        return head === null ? at : path(buf, at, end, head, head.pathEnd);
      default:
        return at;
    }
  }
}

function text(buf: Uint8Array, at: number, end: number, value: string): number {
  return at + value.length > end ? -1 : writeText(buf, at, value);
}

function bytes(buf: Uint8Array, at: number, end: number, from: number, to: number): number {
  return at + to - from > end ? -1 : copyBytes(buf, at, from, to);
}

/** "*" of an OPTIONS for the whole server is no path to go to; neither is an absolute form's missing one. */
function path(buf: Uint8Array, at: number, end: number, head: MessageHead, to: number): number {
  if (at + 1 > end) return -1;
  const isAsterisk = to - head.pathStart === 1 && buf[head.pathStart] === 0x2a;
  if (!head.pathNeedsSlash && !isAsterisk) return bytes(buf, at, end, head.pathStart, to);
  buf[at] = 0x2f;
  return isAsterisk ? at + 1 : bytes(buf, at + 1, end, head.pathStart, to);
}

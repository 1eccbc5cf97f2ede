/**
 * The head of one HTTP message as offsets into the buffer it was read from. Owns numbers only: the bytes stay with their owner, and an
 * offset means nothing once they have moved. One head is filled again and again; nothing here allocates after construction.
 *
 * A reader (h1/head-reader.ts) fills what the bytes say, the judge (framing.ts) what they mean. Must not know where the bytes came from.
 */
import { FIELDS_MAX } from '../base/limits.ts';
import { FIELD_UNKNOWN } from './field-names.ts';

// Values of `method`.
/** A well-formed method without a number of its own (PROPFIND, ...); its bytes are at methodStart. */
export const METHOD_OTHER = 0;
export const METHOD_GET = 1;
export const METHOD_HEAD = 2;
export const METHOD_POST = 3;
export const METHOD_PUT = 4;
export const METHOD_DELETE = 5;
export const METHOD_OPTIONS = 6;
export const METHOD_PATCH = 7;
export const METHOD_TRACE = 8;
export const METHOD_CONNECT = 9;

// Values of `targetForm`, RFC 9112, section 3.2.
export const TARGET_ORIGIN = 0;
export const TARGET_ABSOLUTE = 1;
export const TARGET_ASTERISK = 2;

// Values of `framing`: what follows the head.
/** No body. */
export const FRAMING_NONE = 0;
/** Exactly `contentLength` bytes; 0 is possible, and says that the message names its length. */
export const FRAMING_LENGTH = 1;
export const FRAMING_CHUNKED = 2;
/** Everything until the connection ends. Responses only. */
export const FRAMING_CLOSE = 3;
/** The connection stops being HTTP behind this head. Responses (101) only. */
export const FRAMING_TUNNEL = 4;

/** Places in `fields` that one field line takes. */
export const FIELD_STRIDE = 5;
// Within those places.
export const FIELD_NAME_ID = 0;
export const FIELD_NAME_START = 1;
export const FIELD_NAME_END = 2;
/** The value without the whitespace around it. */
export const FIELD_VALUE_START = 3;
export const FIELD_VALUE_END = 4;

/** Bounds of a head, RFC 9110, section 2.3 leaves them to us. All at least 1. */
export interface HeadLimits {
  /** Start line, fields and the empty line. Bytes. */
  readonly headBytesMax: number;
  readonly fieldsMax: number;
  /** The request target. Bytes. */
  readonly targetBytesMax: number;
}

/**
 * All offsets are absolute, in the buffer given to the reader; each `xEnd` lies behind the last byte of x, and a pair 0, 0 means "absent".
 * Everything is written by every successful read, so nothing of the previous message shows through.
 */
export class MessageHead {
  /** First byte of the start line. */
  lineStart = 0;

  // Requests.
  method = METHOD_OTHER;
  methodStart = 0;
  methodEnd = 0;
  /** The request target as received. */
  targetStart = 0;
  targetEnd = 0;
  targetForm = TARGET_ORIGIN;
  /** Path and query, to be routed on and forwarded; "*" in asterisk form. May be empty, or begin with "?": see `pathNeedsSlash`. */
  pathStart = 0;
  pathEnd = 0;
  /** Where the query begins (its "?"), or `pathEnd`. */
  queryStart = 0;
  /** The absolute form left its path out: a "/" belongs in front of [pathStart, pathEnd). */
  pathNeedsSlash = false;
  /** An absolute form named https. */
  targetIsHttps = false;
  /** The absolute form's authority (host, and port if any); 0, 0 in other forms. */
  targetAuthorityStart = 0;
  targetAuthorityEnd = 0;

  // Responses.
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;

  // Both.
  /** 0 for HTTP/1.0, 1 for HTTP/1.1 and what is newer, which is to be read as the newest we know. RFC 9110, section 2.5. */
  versionMinor: 0 | 1 = 1;
  /** The start line says HTTP/1.2 or above. It goes on with the version that we speak, RFC 9112, section 2.3. */
  versionIsNewer = false;
  fieldCount = 0;
  /** FIELD_STRIDE places a field line, in the order received. */
  readonly fields: Int32Array;
  /** Behind the empty line that ends the head. After NEED_MORE: where the unfinished line begins, if the reader came as far as the fields. */
  headEnd = 0;

  // Set by the judge.
  framing = FRAMING_NONE;
  /** Bytes of the body when `framing` is FRAMING_LENGTH, else 0. */
  contentLength = 0;
  /** The sender lets the connection live after this message. */
  keepAlive = true;
  /** Host without port; an IPv6 literal keeps its brackets. 0, 0 when an HTTP/1.0 request names none. */
  hostStart = 0;
  hostEnd = 0;
  /** The whole Host value, or the authority of an absolute-form target in HTTP/1.0 without Host. */
  authorityStart = 0;
  authorityEnd = 0;
  /** The value of Upgrade, when Connection lists it and the message may switch protocols; else 0, 0. */
  upgradeStart = 0;
  upgradeEnd = 0;
  expectContinue = false;
  /** 1 for each field that is not to be forwarded as it stands: hop by hop, named by Connection, about framing, or set by us. */
  readonly dropped: Uint8Array;

  /** Holds up to `fieldsMax` fields. A reader given a larger limit is held to this one. */
  constructor(fieldsMax = FIELDS_MAX) {
    this.fields = new Int32Array(fieldsMax * FIELD_STRIDE);
    this.dropped = new Uint8Array(fieldsMax);
  }
}

/** Index of the first field whose name is `nameId` (not FIELD_UNKNOWN), or -1. */
export function findField(head: MessageHead, nameId: number): number {
  const { fields, fieldCount } = head;
  if (nameId === FIELD_UNKNOWN) return -1;
  for (let i = 0; i < fieldCount; i++) {
    if (fields[i * FIELD_STRIDE] === nameId) return i;
  }
  return -1;
}

/**
 * The field names that Tollgate does something about, as numbers, and what is to be done. Owns the list and the look-up by bytes;
 * knows nothing of values or messages.
 */
import { assert } from '../base/assert.ts';
import { TOKEN } from './characters.ts';

/** A name without a number: forwarded as it is. */
export const FIELD_UNKNOWN = 0;
export const FIELD_HOST = 1;
export const FIELD_CONTENT_LENGTH = 2;
export const FIELD_TRANSFER_ENCODING = 3;
export const FIELD_CONNECTION = 4;
export const FIELD_KEEP_ALIVE = 5;
export const FIELD_PROXY_CONNECTION = 6;
export const FIELD_TE = 7;
export const FIELD_TRAILER = 8;
export const FIELD_UPGRADE = 9;
export const FIELD_HTTP2_SETTINGS = 10;
export const FIELD_EXPECT = 11;
export const FIELD_X_FORWARDED_FOR = 12;
export const FIELD_X_FORWARDED_PROTO = 13;
export const FIELD_X_FORWARDED_HOST = 14;
export const FIELD_X_FORWARDED_PORT = 15;
export const FIELD_X_REAL_IP = 16;
export const FIELD_X_REQUEST_ID = 17;
export const FIELD_FORWARDED = 18;
export const FIELD_USER_AGENT = 19;
export const FIELD_REFERER = 20;
export const FIELD_COOKIE = 21;
export const FIELD_SET_COOKIE = 22;
export const FIELD_LOCATION = 23;
export const FIELD_DATE = 24;
export const FIELD_SERVER = 25;
export const FIELD_CONTENT_TYPE = 26;
export const FIELD_CONTENT_ENCODING = 27;
export const FIELD_CONTENT_RANGE = 28;
export const FIELD_AUTHORIZATION = 29;
export const FIELD_WWW_AUTHENTICATE = 30;
export const FIELD_PROXY_AUTHENTICATE = 31;
export const FIELD_PROXY_AUTHORIZATION = 32;
export const FIELD_CACHE_CONTROL = 33;
export const FIELD_VARY = 34;
export const FIELD_AGE = 35;
export const FIELD_EXPIRES = 36;
export const FIELD_PRAGMA = 37;
export const FIELD_RANGE = 38;
export const FIELD_MAX_FORWARDS = 39;
export const FIELD_RETRY_AFTER = 40;
export const FIELD_WARNING = 41;
export const FIELD_IF_MATCH = 42;
export const FIELD_IF_NONE_MATCH = 43;
export const FIELD_IF_MODIFIED_SINCE = 44;
export const FIELD_IF_UNMODIFIED_SINCE = 45;
export const FIELD_IF_RANGE = 46;
/** Any other name that begins with "x-forwarded-": never written by us, but believed by applications that stand behind a proxy. */
export const FIELD_X_FORWARDED_OTHER = 47;
export const FIELD_PROXY = 48;
// What a client's certificate says (client-certificate.ts): whoever is told so by a header believes it.
export const FIELD_CLIENT_CERT = 49;
export const FIELD_CLIENT_CERT_CHAIN = 50;
export const FIELD_X_CLIENT_CERT = 51;
/** Any name that begins with "x-client-cert-". */
export const FIELD_X_CLIENT_CERT_DETAIL = 52;

// What is to be done about a name: bits of `nameRules()`.
/** Ends at this hop, RFC 9110, section 7.6.1. */
export const RULE_HOP = 1;
/** Written by us in every forwarded request: what the client sent under this name goes no further. */
export const RULE_OURS = 2;
/** Says where a message ends or where it goes. A spelling of it with "_" for "-" is refused, for many applications read both alike. */
export const RULE_FRAMING = 4;
/** May not be named by Connection: the receiver needs it, or someone before us may have set it, RFC 9110, section 7.6.1. */
export const RULE_END_TO_END = 8;
/** May not come in a trailer section, RFC 9110, section 6.5.1: framing, routing, modifiers, authentication, control data, content format. */
export const RULE_NO_TRAILER = 16;
/** The judge looks at its value. */
export const RULE_JUDGED = 32;

/** Returned by `nameIdAt()` for a name with RULE_FRAMING or RULE_OURS that is spelt with "_" for "-". */
export const FIELD_DISGUISED = -1;

interface Row {
  readonly id: number;
  readonly name: string;
  readonly rules: number;
}

const HOP = RULE_HOP | RULE_NO_TRAILER;
const OURS = RULE_OURS | RULE_END_TO_END | RULE_NO_TRAILER;
const FRAMING = RULE_FRAMING | RULE_END_TO_END | RULE_NO_TRAILER | RULE_JUDGED;
const FIXED = RULE_END_TO_END | RULE_NO_TRAILER;

const ROWS: readonly Row[] = [
  { id: FIELD_HOST, name: 'host', rules: FRAMING },
  { id: FIELD_CONTENT_LENGTH, name: 'content-length', rules: FRAMING },
  { id: FIELD_TRANSFER_ENCODING, name: 'transfer-encoding', rules: FRAMING },
  { id: FIELD_CONNECTION, name: 'connection', rules: HOP | RULE_FRAMING | RULE_JUDGED },
  { id: FIELD_KEEP_ALIVE, name: 'keep-alive', rules: HOP },
  { id: FIELD_PROXY_CONNECTION, name: 'proxy-connection', rules: HOP },
  { id: FIELD_TE, name: 'te', rules: HOP },
  { id: FIELD_TRAILER, name: 'trailer', rules: RULE_NO_TRAILER | RULE_JUDGED },
  { id: FIELD_UPGRADE, name: 'upgrade', rules: HOP | RULE_FRAMING | RULE_JUDGED },
  { id: FIELD_HTTP2_SETTINGS, name: 'http2-settings', rules: HOP },
  { id: FIELD_EXPECT, name: 'expect', rules: FRAMING },
  { id: FIELD_X_FORWARDED_FOR, name: 'x-forwarded-for', rules: OURS },
  { id: FIELD_X_FORWARDED_PROTO, name: 'x-forwarded-proto', rules: OURS },
  { id: FIELD_X_FORWARDED_HOST, name: 'x-forwarded-host', rules: OURS },
  { id: FIELD_X_FORWARDED_PORT, name: 'x-forwarded-port', rules: OURS },
  { id: FIELD_X_REAL_IP, name: 'x-real-ip', rules: OURS },
  { id: FIELD_X_REQUEST_ID, name: 'x-request-id', rules: OURS },
  { id: FIELD_FORWARDED, name: 'forwarded', rules: OURS },
  { id: FIELD_X_FORWARDED_OTHER, name: 'x-forwarded-', rules: OURS },
  // "Proxy: x" becomes HTTP_PROXY in a CGI program's environment.
  { id: FIELD_PROXY, name: 'proxy', rules: OURS },
  { id: FIELD_CLIENT_CERT, name: 'client-cert', rules: OURS },
  { id: FIELD_CLIENT_CERT_CHAIN, name: 'client-cert-chain', rules: OURS },
  { id: FIELD_X_CLIENT_CERT, name: 'x-client-cert', rules: OURS },
  { id: FIELD_X_CLIENT_CERT_DETAIL, name: 'x-client-cert-', rules: OURS },
  { id: FIELD_USER_AGENT, name: 'user-agent', rules: 0 },
  { id: FIELD_REFERER, name: 'referer', rules: 0 },
  { id: FIELD_COOKIE, name: 'cookie', rules: FIXED },
  { id: FIELD_SET_COOKIE, name: 'set-cookie', rules: FIXED },
  { id: FIELD_LOCATION, name: 'location', rules: FIXED },
  { id: FIELD_DATE, name: 'date', rules: FIXED },
  { id: FIELD_SERVER, name: 'server', rules: RULE_END_TO_END },
  { id: FIELD_CONTENT_TYPE, name: 'content-type', rules: FIXED },
  { id: FIELD_CONTENT_ENCODING, name: 'content-encoding', rules: FIXED },
  { id: FIELD_CONTENT_RANGE, name: 'content-range', rules: FIXED },
  { id: FIELD_AUTHORIZATION, name: 'authorization', rules: FIXED },
  { id: FIELD_WWW_AUTHENTICATE, name: 'www-authenticate', rules: FIXED },
  { id: FIELD_PROXY_AUTHENTICATE, name: 'proxy-authenticate', rules: RULE_NO_TRAILER },
  { id: FIELD_PROXY_AUTHORIZATION, name: 'proxy-authorization', rules: RULE_NO_TRAILER },
  { id: FIELD_CACHE_CONTROL, name: 'cache-control', rules: FIXED },
  { id: FIELD_VARY, name: 'vary', rules: FIXED },
  { id: FIELD_AGE, name: 'age', rules: FIXED },
  { id: FIELD_EXPIRES, name: 'expires', rules: FIXED },
  { id: FIELD_PRAGMA, name: 'pragma', rules: FIXED },
  { id: FIELD_RANGE, name: 'range', rules: FIXED },
  { id: FIELD_MAX_FORWARDS, name: 'max-forwards', rules: FIXED },
  { id: FIELD_RETRY_AFTER, name: 'retry-after', rules: FIXED },
  { id: FIELD_WARNING, name: 'warning', rules: FIXED },
  { id: FIELD_IF_MATCH, name: 'if-match', rules: FIXED },
  { id: FIELD_IF_NONE_MATCH, name: 'if-none-match', rules: FIXED },
  { id: FIELD_IF_MODIFIED_SINCE, name: 'if-modified-since', rules: FIXED },
  { id: FIELD_IF_UNMODIFIED_SINCE, name: 'if-unmodified-since', rules: FIXED },
  { id: FIELD_IF_RANGE, name: 'if-range', rules: FIXED },
];

/** Numbers of names are below this. */
export const NAME_IDS = 53;
const NAME_BYTES_MAX = 32;
const NAME_BYTES_MIN = 2;
/** Numbers that stand for every name that begins with theirs. */
const FAMILIES = [FIELD_X_FORWARDED_OTHER, FIELD_X_CLIENT_CERT_DETAIL];
/** Length of "x-forwarded-", the shortest. */
const FAMILY_BYTES_MIN = 12;
const SLOTS = 256;
const DASH = 0x2d;
const UNDERSCORE = 0x5f;

const names: string[] = new Array<string>(NAME_IDS).fill('');
const rulesOf = new Uint8Array(NAME_IDS);
/** Names in lower case, NAME_BYTES_MAX places each. */
const nameBytes = new Uint8Array(NAME_IDS * NAME_BYTES_MAX);
const nameLengths = new Uint8Array(NAME_IDS);
/** First number in a slot, and the next one in the same slot; 0 ends. */
const slotFirst = new Uint8Array(SLOTS);
const slotNext = new Uint8Array(NAME_IDS);

/** TOKEN, but "_" folds into "-": a disguised name falls into the slot of the real one. */
const folded = TOKEN.slice();
folded[UNDERSCORE] = DASH;

function slotOf(length: number, first: number, middle: number, last: number): number {
  return (length * 7 + first * 3 + middle * 29 + last * 5) & (SLOTS - 1);
}

for (const { id, name, rules } of ROWS) {
  assert(names[id] === '' && id > 0 && id < NAME_IDS, 'field name numbers are used once');
  assert(name.length >= NAME_BYTES_MIN && name.length <= NAME_BYTES_MAX, 'field name within bounds');
  names[id] = name;
  rulesOf[id] = rules;
  nameLengths[id] = name.length;
  for (let i = 0; i < name.length; i++) nameBytes[id * NAME_BYTES_MAX + i] = name.charCodeAt(i);
  const slot = slotOf(name.length, name.charCodeAt(0), name.charCodeAt(name.length >> 1), name.charCodeAt(name.length - 1));
  slotNext[id] = slotFirst[slot]!;
  slotFirst[slot] = id;
}

/**
 * The number of the name in `buf[start, end)`, in any case; FIELD_UNKNOWN, or FIELD_DISGUISED.
 * Four bytes and the length choose a slot; most unknown names end there, the others at the first byte that differs.
 */
export function nameIdAt(buf: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < NAME_BYTES_MIN) return FIELD_UNKNOWN;
  const slot = slotOf(length, folded[buf[start]!]!, folded[buf[start + (length >> 1)]!]!, folded[buf[end - 1]!]!);
  for (let id = slotFirst[slot]!; id !== 0; id = slotNext[id]!) {
    if (nameLengths[id] === length && isName(buf, start, end, id * NAME_BYTES_MAX)) return disguise(buf, start, end, id);
  }
  if (length <= FAMILY_BYTES_MIN || folded[buf[start + 1]!] !== DASH) return FIELD_UNKNOWN;
  for (let i = 0; i < FAMILIES.length; i++) {
    const id = FAMILIES[i]!;
    const familyEnd = start + nameLengths[id]!;
    if (familyEnd < end && isName(buf, start, familyEnd, id * NAME_BYTES_MAX)) return disguise(buf, start, familyEnd, id);
  }
  return FIELD_UNKNOWN;
}

function isName(buf: Uint8Array, start: number, end: number, at: number): boolean {
  for (let i = start, j = at; i < end; i++, j++) {
    if (folded[buf[i]!] !== nameBytes[j]) return false;
  }
  return true;
}

function disguise(buf: Uint8Array, start: number, end: number, id: number): number {
  for (let i = start; i < end; i++) {
    if (buf[i] === UNDERSCORE) return (rulesOf[id]! & (RULE_FRAMING | RULE_OURS)) !== 0 ? FIELD_DISGUISED : FIELD_UNKNOWN;
  }
  return id;
}

/** The rules of a name by its number; 0 for FIELD_UNKNOWN. */
export function nameRules(id: number): number {
  return rulesOf[id]!;
}

/** The name in lower case, '' for FIELD_UNKNOWN. For logs and tests. */
export function nameText(id: number): string {
  return names[id] ?? '';
}

/**
 * Tollgate's codec beside llhttp, Node's parser, in strict mode. What Tollgate accepts llhttp accepts with the same meaning, or the
 * difference is one of `EXPLAINED`; what llhttp accepts and Tollgate refuses is stricter, and counted by Tollgate's reason.
 */
import type { Heard, Message } from './ours.ts';

export interface Explained {
  readonly name: string;
  /** Who refuses more here. */
  readonly stricter: 'llhttp' | 'Tollgate';
  readonly rfc: string;
  readonly why: string;
}

interface Rule extends Explained {
  applies(ours: Message | undefined, theirs: Heard, bytes: string): boolean;
}

/** Where Tollgate accepts what llhttp does not, and why that is right. */
const LENIENT: readonly Rule[] = [
  {
    name: 'methods that are not in a list',
    stricter: 'llhttp',
    rfc: 'RFC 9110, 9.1 and 16.1.1',
    why: 'Methods are extensible: any token is forwarded, and the server answers 501 for what it does not know. llhttp has a fixed list.',
    applies: (ours, theirs) => theirs.end === 'HPE_INVALID_METHOD' && ours !== undefined && ours.method !== '',
  },
  {
    name: 'PRI on a version that is not 2.0',
    stricter: 'llhttp',
    rfc: 'RFC 9110, 9.1; RFC 9113, 3.4',
    why: 'Only `PRI * HTTP/2.0` is the preface of HTTP/2, and is refused as that. Elsewhere PRI is a token like any other.',
    applies: (ours, theirs) => (theirs.end === 'HPE_INVALID_VERSION' || theirs.end === 'HPE_PAUSED_H2_UPGRADE') && ours?.method === 'PRI',
  },
  {
    name: 'minor versions above 1.1',
    stricter: 'llhttp',
    rfc: 'RFC 9110, 2.5; RFC 9112, 2.3',
    why: 'A higher minor version is processed as the highest one known, and forwarded as HTTP/1.1.',
    applies: (_ours, theirs, bytes) => theirs.end === 'HPE_INVALID_VERSION' && /HTTP\/1\.[2-9]/.test(bytes),
  },
  {
    name: 'a length or coding in a trailer section',
    stricter: 'llhttp',
    rfc: 'RFC 9110, 6.5.1',
    why: 'Fields about framing mean nothing in a trailer section. They are dropped there, and never forwarded.',
    applies: (_ours, theirs) =>
      theirs.end === 'HPE_INVALID_CONTENT_LENGTH' ||
      theirs.end === 'HPE_INVALID_TRANSFER_ENCODING' ||
      theirs.end === 'HPE_UNEXPECTED_CONTENT_LENGTH',
  },
  {
    name: 'requests behind an upgrade that is not passed on',
    stricter: 'llhttp',
    rfc: 'RFC 9113, 3.1; RFC 9110, 7.8',
    why: 'An upgrade to h2c, or one asked for by a request with a body, is not passed on: the connection goes on with HTTP/1.1. llhttp stops.',
    applies: (_ours, theirs) => theirs.end === 'upgrade',
  },
];

/** Why Tollgate refuses what llhttp accepts: by the reason in its logs. */
const STRICT: Readonly<Record<string, Omit<Explained, 'name' | 'stricter'>>> = {
  bare_lf: { rfc: 'RFC 9112, 2.2', why: 'A line ends with CRLF. llhttp skips line ends of any kind in front of a message.' },
  bare_cr: { rfc: 'RFC 9112, 2.2', why: 'A CR that no LF follows is no line end to one parser and is one to another.' },
  chunk_extension: { rfc: 'RFC 9112, 7.1.1', why: 'Extensions have a syntax and a bound.' },
  chunk_size: { rfc: 'RFC 9112, 7.1', why: 'Sizes are bounded in digits.' },
  coding_unknown: { rfc: 'RFC 9112, 6.1', why: 'Only a single `chunked` is decoded; other codings are 501.' },
  connect_method: { rfc: 'RFC 9110, 9.3.6', why: 'A server that is no proxy for everybody does not tunnel.' },
  content_length: { rfc: 'RFC 9110, 8.6', why: 'Exactly one length of digits alone, even where several are equal.' },
  expect: { rfc: 'RFC 9110, 10.1.1', why: 'Only one `100-continue` is understood; anything else is 417.' },
  field_line: { rfc: 'RFC 9112, 5', why: 'Every line of a head has a name and a colon.' },
  field_name: { rfc: 'RFC 9110, 5.1', why: 'Names are tokens, and none reads like a framing or forwarding field with "_" for "-".' },
  field_value: { rfc: 'RFC 9110, 5.5 and 7.6.1', why: 'Connection lists tokens; controls are in no value.' },
  h2_preface: { rfc: 'RFC 9113, 3.4', why: 'HTTP/2 is not spoken on this connection.' },
  host: { rfc: 'RFC 9112, 3.2', why: 'Exactly one Host that is a host and perhaps a port; llhttp leaves Host to its user.' },
  host_disagrees: { rfc: 'RFC 9112, 3.2.2', why: 'Two opinions on whom a request is for are one too many.' },
  length_required: { rfc: 'RFC 9110, 15.5.12', why: 'A POST, PUT or PATCH of HTTP/1.0 says how long its body is: it has no other way to.' },
  length_and_coding: { rfc: 'RFC 9112, 6.3', why: 'A length beside a coding is how requests are smuggled.' },
  method: { rfc: 'RFC 9110, 9.1', why: 'A method in lower case is a typing error, or an attempt on a filter.' },
  request_line: { rfc: 'RFC 9112, 3', why: 'One space, no more, between the parts.' },
  request_target: {
    rfc: 'RFC 9112, 3.2',
    why: 'A path, an absolute form, or `*` for OPTIONS; no fragments, spaces, or bytes above ASCII.',
  },
  request_version: { rfc: 'RFC 9112, 2.3', why: 'HTTP/1 is what this codec speaks.' },
  target_too_long: { rfc: 'RFC 9112, 3', why: 'Targets have a bound.' },
  trailer: { rfc: 'RFC 9112, 7.1.2', why: 'Trailer sections have the syntax of fields, and a bound.' },
  transfer_encoding: { rfc: 'RFC 9112, 6.1', why: 'HTTP/1.0 has no codings, and nobody repeats one.' },
  upgrade: { rfc: 'RFC 9110, 7.8', why: 'An Upgrade is named once, and only with what can be switched to.' },
  response_framing: {
    rfc: 'RFC 9112, 6.3',
    why: 'A body where none can be, or two opinions on its length: what follows may be read as the next answer.',
  },
  response_head: {
    rfc: 'RFC 9112, 4 and 5; RFC 9110, 15.2.2',
    why: 'Heads of servers are judged as those of clients are; a 101 names what it switches to.',
  },
  response_chunk: { rfc: 'RFC 9112, 7.1', why: 'Chunks of servers are judged as those of clients are.' },
  status_line: { rfc: 'RFC 9112, 4', why: 'HTTP/1, a space, and three digits from 100 to 599.' },
};

/** All differences that are explained, for the page in docs/. */
export const EXPLAINED: readonly Explained[] = [
  ...LENIENT.map(({ name, stricter, rfc, why }) => ({ name, stricter, rfc, why })),
  ...Object.entries(STRICT).map(([reason, { rfc, why }]) => ({ name: reason, stricter: 'Tollgate' as const, rfc, why })),
];

/** The page of differences, as text. */
export function page(): string {
  const row = ({ name, stricter, rfc, why }: Explained): string => `| ${name.replaceAll('_', '\\_')} | ${stricter} | ${rfc} | ${why} |`;
  return `# Tollgate's HTTP/1.1 beside llhttp

Made from \`test/differential/compare.ts\`; a test holds them equal. The same bytes, by the tens of thousands, go to Tollgate's codec and to
llhttp, Node's parser, in strict mode. What both accept has the same meaning to both: method, target, fields, body, and where it ends.
Where only one accepts, the difference is one of these. Names with underscores are the \`reason\` in logs and metrics.

| difference | stricter | section | why |
|---|---|---|---|
${EXPLAINED.map(row).join('\n')}
`;
}

/** Null: no difference. Else the name of the one that explains it, or `unexplained: ...`. */
export function difference(ours: Heard, theirs: Heard, bytes: string): string | null {
  for (const [i, mine] of ours.messages.entries()) {
    const other = theirs.messages[i];
    if (other !== undefined && JSON.stringify(mine) === JSON.stringify(other)) continue;
    if (other === undefined) {
      const rule = LENIENT.find((each) => each.applies(mine, theirs, bytes));
      if (rule !== undefined) return rule.name;
    }
    return `unexplained: Tollgate has ${JSON.stringify(mine)}, llhttp ${JSON.stringify(other ?? theirs.end)}`;
  }
  if (theirs.messages.length <= ours.messages.length) return null;
  // Behind a close or a switch Tollgate reads no messages; whatever came there reaches nobody.
  if (ours.end === 'close' || ours.end === 'upgrade') return null;
  if (ours.end in STRICT) return ours.end;
  return `unexplained: llhttp has ${JSON.stringify(theirs.messages[ours.messages.length])}, Tollgate ${ours.end}`;
}

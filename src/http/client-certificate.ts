/**
 * What a server is told of a client's certificate: Client-Cert and Client-Cert-Chain (RFC 9440), and the X-Client-Cert-* that applications
 * know. Text for the head, made once for a certificate. Every value is plain ASCII whatever the certificate says; one that is longer than its
 * bound is left out, never cut: half a name is another name. Pure.
 */
import { assert } from '../base/assert.ts';
import { CLIENT_FIELDS_BYTES_MAX } from '../base/limits.ts';

/** Longest value of an X-Client-Cert-* field. Bytes. */
const DETAIL_BYTES_MAX = 2_048;

export interface ClientCertificateFacts {
  readonly der: Uint8Array;
  /** RFC 4514, ASCII. */
  readonly subject: string;
  readonly issuer: string;
  /** Hex. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly dnsNames: readonly string[];
  readonly emails: readonly string[];
  readonly uris: readonly string[];
  readonly ips: readonly string[];
}

export interface ClientFieldsWishes {
  readonly certificate: boolean;
  readonly chain: boolean;
  readonly details: boolean;
}

/** Nobody showed a certificate; one was verified; it was, but whether it is revoked is not known. */
export type ClientVerdict = 'NONE' | 'SUCCESS' | 'SUCCESS:revocation_unknown';

/** Field lines, each with its line end. `fingerprint`: hex; `chain`: DER of the certificates between the client's and the authority. */
export function clientFields(
  facts: ClientCertificateFacts,
  fingerprint: string,
  chain: readonly Uint8Array[],
  verdict: ClientVerdict,
  wishes: ClientFieldsWishes,
): string {
  let text = '';
  const add = (name: string, value: string, bytesMax: number): void => {
    if (value === '' || value.length > bytesMax) return;
    assert(/^[\x20-\x7e]*$/.test(value), 'a value that may stand in a head');
    const line = `${name}: ${value}\r\n`;
    if (text.length + line.length <= CLIENT_FIELDS_BYTES_MAX) text += line;
  };
  if (wishes.details) {
    add('X-Client-Cert-Verify', verdict, DETAIL_BYTES_MAX);
    add('X-Client-Cert-Fingerprint', fingerprint, DETAIL_BYTES_MAX);
    add('X-Client-Cert-Serial', facts.serial.toUpperCase(), DETAIL_BYTES_MAX);
    add('X-Client-Cert-Not-Before', dateText(facts.notBeforeMs), DETAIL_BYTES_MAX);
    add('X-Client-Cert-Not-After', dateText(facts.notAfterMs), DETAIL_BYTES_MAX);
    add('X-Client-Cert-Subject', facts.subject, DETAIL_BYTES_MAX);
    add('X-Client-Cert-Issuer', facts.issuer, DETAIL_BYTES_MAX);
    add('X-Client-Cert-SAN', alternativeNames(facts), DETAIL_BYTES_MAX);
  }
  if (wishes.certificate) add('Client-Cert', byteSequence(facts.der), CLIENT_FIELDS_BYTES_MAX);
  if (wishes.chain) add('Client-Cert-Chain', chain.map(byteSequence).join(', '), CLIENT_FIELDS_BYTES_MAX);
  return text;
}

/** The field line for a client that showed no certificate where one may be shown. */
export function noClientFields(wishes: ClientFieldsWishes): string {
  return wishes.details ? 'X-Client-Cert-Verify: NONE\r\n' : '';
}

/** `DNS:a.example, URI:spiffe://b/c`. A comma within a value is `%2C`, so that one outside ends it. */
function alternativeNames({ dnsNames, emails, uris, ips }: ClientCertificateFacts): string {
  const named = (kind: string, values: readonly string[]): string[] => values.map((value) => `${kind}:${value.replaceAll(',', '%2C')}`);
  return [...named('URI', uris), ...named('DNS', dnsNames), ...named('email', emails), ...named('IP', ips)].join(', ');
}

/** RFC 3339, in seconds. */
function dateText(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** RFC 8941, section 3.3.5. */
function byteSequence(bytes: Uint8Array): string {
  return `:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')}:`;
}

/**
 * Questions about one certificate to its issuer's responder, and what the answers are worth (RFC 6960, RFC 5019). Bytes in and out: who
 * carries them is somebody else's affair. The answer's signature, and whether its signer may speak for the issuer, PKI.js judges; what is
 * judged here is whether it is about this certificate, and now.
 *
 * The library takes 0.2 s to load, so it is loaded when the first answer comes and not before.
 */
import { hash, randomBytes } from 'node:crypto';
import { TollgateError } from '../base/tollgate-error.ts';
import type { RevocationVerdict } from '../plan/client-certificates.ts';
import type { Certificate } from '../x509/certificate.ts';
import { DER_BIT_STRING, DER_SEQUENCE, DerReader } from '../x509/der.ts';

/** Largest answer that is read. Bytes. */
export const OCSP_BYTES_MAX = 65_536;
/** How far the responder's clock may be ahead of ours. Milliseconds. */
const CLOCK_MS = 300_000;
const NONCE_BYTES = 16;
const NONCE_ID = '1.3.6.1.5.5.7.48.1.2';
const STATUS_NAMES = ['successful', 'malformed request', 'internal error', 'try later', '', 'signature required', 'unauthorized'];

export interface OcspQuestion {
  /** DER, to be sent. */
  readonly bytes: Buffer;
  /** Null: without, so that the answer may come out of a cache. */
  readonly nonce: Buffer | null;
}

export interface OcspAnswer {
  readonly verdict: RevocationVerdict;
  /** Unix time, milliseconds. */
  readonly thisUpdateMs: number;
  /** Null: the responder has news at any time. */
  readonly nextUpdateMs: number | null;
}

/** Makes the question about `certificate`, which `issuer` signed. By SHA-1, which every responder knows: it identifies, it proves nothing. */
export function makeOcspQuestion(certificate: Certificate, issuer: Certificate, withNonce: boolean): OcspQuestion {
  const nonce = withNonce ? randomBytes(NONCE_BYTES) : null;
  const serial = (certificate.serialBytes[0]! & 0x80) === 0 ? certificate.serialBytes : Buffer.concat([ZERO, certificate.serialBytes]);
  const certificateId = wrap(
    0x30,
    SHA1_ALGORITHM,
    wrap(0x04, hash('sha1', issuer.subjectDer, 'buffer')),
    wrap(0x04, hash('sha1', keyBits(issuer), 'buffer')),
    wrap(0x02, serial),
  );
  const list = wrap(0x30, wrap(0x30, certificateId));
  const extensions = nonce === null ? [] : [wrap(0xa2, wrap(0x30, wrap(0x30, NONCE_OID, wrap(0x04, wrap(0x04, nonce)))))];
  return { bytes: wrap(0x30, wrap(0x30, list, ...extensions)), nonce };
}

/** Checks an answer. Throws TollgateError `ocsp_invalid` with what is wrong with it. */
export async function checkOcspAnswer(
  bytes: Uint8Array,
  certificate: Certificate,
  issuer: Certificate,
  nonce: Buffer | null,
  nowMs: number,
): Promise<OcspAnswer> {
  if (bytes.length > OCSP_BYTES_MAX) throw invalid(`it has more than ${OCSP_BYTES_MAX} bytes`);
  const pkijs = await import('pkijs');
  const basic = await parse(bytes);
  const issuerCertificate = pkijs.Certificate.fromBER(exact(issuer.der));
  // An issuer that signs its answers itself need not send its certificate along.
  basic.certs = [...(basic.certs ?? []), issuerCertificate];
  const authentic = await basic
    .verify({ trustedCerts: [issuerCertificate], issuerCerts: [issuerCertificate] })
    .catch((error: unknown) => reject(error));
  if (!authentic) throw invalid('its signature is not right');
  const said = basic.tbsResponseData.responseExtensions?.find(({ extnID }) => extnID === NONCE_ID);
  if (nonce !== null && said !== undefined && !Buffer.from(said.extnValue.valueBlock.valueHexView).equals(wrap(0x04, nonce))) {
    throw invalid('it answers another question (nonce)');
  }
  const single = await findSingle(basic, certificate, issuerCertificate);
  const thisUpdateMs = single.thisUpdate.getTime();
  const nextUpdateMs = single.nextUpdate?.getTime() ?? null;
  if (thisUpdateMs > nowMs + CLOCK_MS) throw invalid('it is of the future (thisUpdate)');
  if (nextUpdateMs !== null && nextUpdateMs < nowMs) throw invalid('it is out of date (nextUpdate)');
  const { tagNumber } = single.certStatus.idBlock;
  return { verdict: tagNumber === 0 ? 'good' : tagNumber === 1 ? 'revoked' : 'unknown', thisUpdateMs, nextUpdateMs };
}

type Basic = InstanceType<typeof import('pkijs').BasicOCSPResponse>;
type PkiCertificate = InstanceType<typeof import('pkijs').Certificate>;

async function parse(bytes: Uint8Array): Promise<Basic> {
  const { BasicOCSPResponse, OCSPResponse } = await import('pkijs');
  let basic: Basic | null = null;
  let status = 0;
  try {
    const response = OCSPResponse.fromBER(exact(bytes));
    status = response.responseStatus.valueBlock.valueDec;
    if (status === 0 && response.responseBytes?.responseType === '1.3.6.1.5.5.7.48.1.1') {
      basic = BasicOCSPResponse.fromBER(response.responseBytes.response.valueBlock.valueHexView);
    }
  } catch (error) {
    reject(error);
  }
  if (status !== 0) throw invalid(`the responder says: ${STATUS_NAMES[status] || `status ${status}`}`);
  if (basic === null) throw invalid('it is of another kind than anybody knows');
  return basic;
}

/** The part of the answer that is about this certificate. */
async function findSingle(
  basic: Basic,
  certificate: Certificate,
  issuer: PkiCertificate,
): Promise<Basic['tbsResponseData']['responses'][number]> {
  const { Certificate: PkiCertificateClass, CertID } = await import('pkijs');
  const subject = PkiCertificateClass.fromBER(exact(certificate.der));
  for (const single of basic.tbsResponseData.responses) {
    const hashAlgorithm = HASH_NAMES[single.certID.hashAlgorithm.algorithmId];
    if (hashAlgorithm === undefined) continue;
    const id = new CertID();
    await id.createForCertificate(subject, { hashAlgorithm, issuerCertificate: issuer });
    if (single.certID.isEqual(id)) return single;
  }
  throw invalid('it is about another certificate');
}

const HASH_NAMES: Readonly<Record<string, string>> = Object.freeze({ '1.3.14.3.2.26': 'SHA-1', '2.16.840.1.101.3.4.2.1': 'SHA-256' });
const ZERO = Buffer.from([0]);
const SHA1_ALGORITHM = Buffer.from('300906052b0e03021a0500', 'hex');
const NONCE_OID = Buffer.from('06092b0601050507300102', 'hex');

/** What RFC 6960, section 4.1.1 hashes of a key: the BIT STRING's contents, without the count of unused bits. */
function keyBits(certificate: Certificate): Uint8Array {
  const outer = new DerReader(certificate.publicKeyDer);
  outer.take(DER_SEQUENCE);
  const parts = outer.inside();
  parts.take(DER_SEQUENCE);
  if (!parts.take(DER_BIT_STRING)) throw invalid("the issuer's key is malformed");
  return parts.contents().subarray(1);
}

/** One element of a question; none of them comes near 64 KiB. */
function wrap(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const head =
    body.length < 0x80
      ? [tag, body.length]
      : body.length < 0x100
        ? [tag, 0x81, body.length]
        : [tag, 0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from(head), body]);
}

/** In memory of its own: the library looks at the ArrayBuffer behind a view. */
function exact(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

function reject(error: unknown): never {
  throw invalid(error instanceof Error ? error.message.slice(0, 200) : 'it cannot be read', error);
}

function invalid(message: string, cause?: unknown): TollgateError {
  return new TollgateError('ocsp_invalid', `the answer about revocation is of no use: ${message}`, cause);
}

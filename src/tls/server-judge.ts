/** Whether a server is who it should be, beyond what the TLS library says of its chain and name: keys that are known beforehand. */
import { createHash } from 'node:crypto';
import { FAULT_SERVER_CERTIFICATE_PIN } from '../base/faults.ts';
import { readCertificate } from '../x509/certificate.ts';
import type { PeerJudge } from './engine.ts';

/**
 * `pins`: SHA-256 of SubjectPublicKeyInfo, base64; empty: any key will do. Of a chain that was verified one certificate must have such a key
 * (RFC 7469, section 2.6); where `verifies` is false nothing says that the rest of a chain belongs to its leaf, and the leaf must.
 */
export function serverJudge(verifies: boolean, pins: readonly string[]): PeerJudge {
  const wanted = new Set(pins);
  return (chain, fault) => {
    if (verifies && fault !== 0) return fault;
    if (wanted.size === 0) return 0;
    const which = verifies ? chain : chain.slice(0, 1);
    return which.some((der) => wanted.has(keyPin(der))) ? 0 : FAULT_SERVER_CERTIFICATE_PIN;
  };
}

/** Of a certificate's key; '' when the certificate cannot be read. */
export function keyPin(der: Uint8Array): string {
  const certificate = readCertificate(der);
  return certificate === null ? '' : createHash('sha256').update(certificate.publicKeyDer).digest('base64');
}

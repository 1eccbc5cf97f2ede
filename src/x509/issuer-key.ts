/** What names an issuer everywhere: a hash of its name and its key, so that certificates of one authority that were signed by several are one. */
import { hash } from 'node:crypto';
import type { Certificate } from './certificate.ts';

/** Lower-case hex of SHA-256. */
export function issuerKeyOf({ subjectDer, publicKeyDer }: Certificate): string {
  return hash('sha256', Buffer.concat([subjectDer, publicKeyDer]), 'hex');
}

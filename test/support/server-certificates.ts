/** Certificates of servers, and of ours towards them, as files: right ones and wrong ones. Once per test process. */
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certify, type Pair, type Wishes } from '../../src/tls/test-authority.ts';

const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-servers-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));

export interface Files extends Pair {
  readonly certificate: string;
  readonly key: string;
}

function files(name: string, wishes: Wishes): Files {
  const pair = certify(name, wishes);
  const made = { ...pair, certificate: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) };
  writeFileSync(made.certificate, pair.pem);
  writeFileSync(made.key, pair.keyPem, { mode: 0o600 });
  return made;
}

export const authority: Files = files('authority', { issuer: null, authority: true });
export const otherAuthority: Files = files('other-authority', { issuer: null, authority: true });
const usage = 'serverAuth';
/** For api.test and 127.0.0.1. */
export const server: Files = files('server', { issuer: authority, usage, names: ['api.test', '127.0.0.1'] });
export const expired: Files = files('expired', { issuer: authority, usage, names: ['api.test'], days: -1 });
/** By the other authority. */
export const stranger: Files = files('stranger', { issuer: otherAuthority, usage, names: ['api.test', '127.0.0.1'] });
export const client: Files = files('client', { issuer: authority, usage: 'clientAuth' });

/** Of a certificate's key. */
export function pinOf({ pem }: Pair): string {
  return createHash('sha256')
    .update(new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
}

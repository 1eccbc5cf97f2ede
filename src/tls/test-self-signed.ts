/** Certificates for tests of this room: self-signed for `localhost`, made by the openssl command. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContractCertificate } from './test-engine-contract.ts';

export function selfSigned(...key: readonly string[]): ContractCertificate {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-tls-'));
  const [chain, keyPath] = [join(directory, 'chain.pem'), join(directory, 'key.pem')];
  try {
    const request = ['-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    execFileSync('openssl', ['req', ...request, '-newkey', ...key, '-keyout', keyPath, '-out', chain], { stdio: 'pipe' });
    return { chainPem: readFileSync(chain), keyPem: readFileSync(keyPath) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

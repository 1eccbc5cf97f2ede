/** Authorities and what they sign, for tests of this room. */
import { certified } from '../x509/test-authority.ts';

export interface Pair {
  readonly pem: Buffer;
  readonly keyPem: Buffer;
}

export interface Wishes {
  /** Null: it signs itself. */
  readonly issuer: Pair | null;
  readonly authority?: boolean;
  /** From now; below 0: it is over. */
  readonly days?: number;
  readonly usage?: 'clientAuth' | 'serverAuth';
  readonly names?: readonly string[];
}

let serial = 1_000;

export function certify(name: string, { issuer, authority = false, days = 2, usage, names = [] }: Wishes): Pair {
  const extensions = [
    `basicConstraints=critical,CA:${authority ? 'TRUE' : 'FALSE'}`,
    ...(usage === undefined ? [] : [`extendedKeyUsage=${usage}`]),
    ...(names.length === 0
      ? []
      : [`subjectAltName=${names.map((each) => (/^[\d.]+$/.test(each) ? `IP:${each}` : `DNS:${each}`)).join(',')}`]),
  ];
  const { pem, keyPem } = certified(`/CN=${name}`, 'ec', extensions, { issuer: issuer ?? undefined, serial: ++serial, days });
  return { pem: Buffer.from(pem), keyPem: Buffer.from(keyPem) };
}

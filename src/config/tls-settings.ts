/** Settings of TLS that both sides have: towards clients and towards servers. */
import { z } from 'zod';
import { about, filePath, list } from './settings.ts';
import { wrong } from './wording.ts';

/** Protocols of ALPN, RFC 7301; one may stand alone. */
export function protocolNames() {
  const expected = "a protocol of ALPN as 'imap', or a list of them";
  const error = (issue: { input?: unknown }) => wrong(issue.input, expected);
  const name = z.string({ error }).regex(/^[!-~]{1,255}$/, { error });
  return z.preprocess((value) => (typeof value === 'string' ? [value] : value), list(name, expected, 1, 32));
}

/** Files of authorities; one may stand alone. */
export function authorityFiles() {
  const expected = 'a PEM file with the certificates of authorities, or a list of them';
  return z.preprocess(
    (value) => (typeof value === 'string' ? [value] : value),
    list(filePath('a PEM file with certificates of authorities'), expected, 1, 64).optional(),
  );
}

/** A certificate of ours; `about` says what it is for. */
export function chainFile() {
  return filePath('a PEM file with the certificate and its chain, leaf first').optional();
}

/** Its key. */
export function keyFile() {
  return about(
    'Its private key; readable by nobody else. Default: it stands in the same file.',
    filePath('a PEM file with the private key').optional(),
  );
}

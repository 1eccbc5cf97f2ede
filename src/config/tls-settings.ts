/** Settings of TLS that both sides have: towards clients and towards servers. */
import { z } from 'zod';
import { list } from './settings.ts';
import { wrong } from './wording.ts';

/** Protocols of ALPN, RFC 7301; one may stand alone. */
export function protocolNames() {
  const expected = "a protocol of ALPN as 'imap', or a list of them";
  const error = (issue: { input?: unknown }) => wrong(issue.input, expected);
  const name = z.string({ error }).regex(/^[!-~]{1,255}$/, { error });
  return z.preprocess((value) => (typeof value === 'string' ? [value] : value), list(name, expected, 1, 32));
}

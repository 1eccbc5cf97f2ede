/** The settings of TLS towards the targets of an upstream: their shapes alone. What the files hold, compile-server-tls.ts finds out. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { hostName } from './addresses.ts';
import { policy } from './policy-setting.ts';
import { about, count, flag, list, parsed, section } from './settings.ts';
import { authorityFiles, chainFile, keyFile, protocolNames } from './tls-settings.ts';
import { shown, wrong } from './wording.ts';

const NAME_FORMS = "a name as 'api.internal', or an IP address";
const PIN_FORMS = 'the SHA-256 of a public key in base64, 44 characters, as docs/tls-to-servers.md has it made';
const TLS_EXPECTED = 'true, false, or a mapping of serverName, authorities, certificate, key, pins and more';

const name = parsed(NAME_FORMS, (text) => {
  const found = isIP(text) === 0 ? hostName(text) : text;
  return found === undefined ? wrong(text, NAME_FORMS) : { name: found };
}).transform(({ name: found }) => found);

const pin = z.string({ error: (issue) => wrong(issue.input, PIN_FORMS) }).check((context) => {
  if (/^[A-Za-z0-9+/]{43}=$/.test(context.value)) return;
  context.issues.push({ code: 'custom', message: wrong(context.value, PIN_FORMS), input: context.value });
});

/** `true` is the defaults. */
export const serverTls = z.preprocess(
  (value) => (value === true ? {} : value === false ? null : value),
  section(
    {
      serverName: about(
        "The name that is asked for (SNI), and that the server's certificate must be for. Default: the target's own, a name or an IP address.",
        name.optional(),
      ),
      authorities: about(
        "Authorities that a server's certificate may come from, roots or not. Default: those of this machine.",
        authorityFiles(),
      ),
      depth: about("Certificates between a server's and an authority, at most.", count(0, 15).prefault(3)),
      pins: about(
        'Keys of which one must be in the chain, by their SHA-256 in base64; beside all else that is asked of a certificate.',
        z
          .preprocess((value) => (typeof value === 'string' ? [value] : value), list(pin, `${PIN_FORMS}, or a list of them`, 0, 64))
          .prefault([]),
      ),
      certificate: about('Shown to servers that ask for one: our certificate and its chain, leaf first.', chainFile()),
      key: keyFile(),
      policy: about(
        'What is offered: versions, cipher suites, groups, signature schemes (docs/policies.md).',
        policy().prefault('intermediate'),
      ),
      alpn: about('Protocols offered by ALPN, best first. Default: none is.', protocolNames().optional()),
      insecureSkipVerification: about(
        'Whoever answers is believed, whatever certificate it shows; with `pins`, whoever has such a key in a certificate of its own.',
        flag().prefault(false),
      ),
    },
    ['crl', 'ocsp', 'ciphers', 'versions', 'earlyData'],
    TLS_EXPECTED,
  )
    .check((context) => {
      const { certificate, key, authorities, insecureSkipVerification } = context.value;
      const problem = (setting: string, message: string): void => {
        context.issues.push({ code: 'custom', message, path: [setting], input: context.value });
      };
      if (key !== undefined && certificate === undefined) problem('certificate', `missing; the key ${shown(key)} is of some certificate`);
      if (insecureSkipVerification && authorities !== undefined)
        problem('insecureSkipVerification', "nobody is verified with it: 'authorities' would do nothing");
    })
    .nullable(),
);

export type ServerTlsSettings = NonNullable<z.output<typeof serverTls>>;

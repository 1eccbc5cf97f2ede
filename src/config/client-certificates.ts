/** The settings of a listener's client certificates: their shapes alone. What the files hold, compile-clients.ts finds out. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { about, choice, count, duration, filePath, flag, list, parsed, section } from './settings.ts';
import { authorityFiles } from './tls-settings.ts';
import { shown, wrong } from './wording.ts';

const SUBJECT_FORMS = "a subject as 'CN=*,O=Example' (RFC 4514, as openssl x509 -nameopt RFC2253 prints it)";
const NAME_FORMS = "a name as 'client.example.com', '*.example.com', 'who@example.com', '*@example.com' or an IP address";
const SPIFFE_FORMS = "a SPIFFE ID as 'spiffe://domain/path', with '*' for a segment or, as the last one, for all that follow";
const LIST_FORMS = "the path of a revocation list, or an address as 'http://crl.example.com/ca.crl'";
const TEXT_MAX = 4_096;
const ENTRIES_MAX = 10_000;

function text(expected: string, problem: (value: string) => string | undefined) {
  return z.string({ error: (issue) => wrong(issue.input, expected) }).check((context) => {
    const { length } = context.value;
    const long = length > TEXT_MAX ? `found text of more than ${TEXT_MAX} characters, expected ${expected}` : undefined;
    const found = length === 0 ? wrong(null, expected) : (long ?? problem(context.value));
    if (found !== undefined) context.issues.push({ code: 'custom', message: found, input: context.value });
  });
}

const subject = parsed(SUBJECT_FORMS, (value) => {
  // A comma that is not escaped ends a value; blanks behind it are for people.
  const canonical = (value.trim().match(/\\.| *[,+] *|[^\\]/g) ?? [])
    .map((part) => (/^ *[,+] *$/.test(part) ? part.trim() : part))
    .join('');
  return /^[A-Za-z][\w.-]*=/.test(canonical) && /^[\x20-\x7e]+$/.test(canonical) ? { canonical } : wrong(value, SUBJECT_FORMS);
}).transform(({ canonical }) => canonical);

const name = text(NAME_FORMS, (value) => {
  if (isIP(value) !== 0) return undefined;
  const rest = value.replace(/^\*[.@]/, '');
  return /^[\x21-\x7e]+$/.test(rest) && !/[*,:/]/.test(rest) && (rest.includes('.') || value.includes('@'))
    ? undefined
    : wrong(value, NAME_FORMS);
});

const spiffe = text(SPIFFE_FORMS, (value) =>
  /^spiffe:\/\/[A-Za-z0-9._-]+(?:\/(?:[A-Za-z0-9._-]+|\*))+$/.test(value) ? undefined : wrong(value, SPIFFE_FORMS),
);

const listPlace = text(LIST_FORMS, (value) => {
  if (/^https:/i.test(value)) return `found ${shown(value)}: lists are signed, and fetched by plain http`;
  if (/^http:/i.test(value))
    return value.startsWith('http:') && URL.canParse(value) && new URL(value).username === '' ? undefined : wrong(value, LIST_FORMS);
  return filePath('a revocation list').safeParse(value).error?.issues[0]?.message;
});

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

export const clientCertificates = section(
  {
    mode: about(
      '`required`: who shows none is refused. `optional`: who shows none comes in without. `off`: nobody is asked.',
      choice(['required', 'optional', 'off']).prefault('required'),
    ),
    authorities: about('Authorities whose clients come in, roots or not; they are named to clients that ask.', authorityFiles()),
    depth: about("Certificates between a client's and an authority, at most.", count(0, 15).prefault(3)),
    allow: about(
      'Which of their clients: one match is enough. Without it, all.',
      section({
        subjects: about(
          "Subjects; '*' stands for any characters within a value.",
          list(subject, 'a list of subjects', 0, ENTRIES_MAX).prefault([]),
        ),
        names: about(
          'Subject alternative names: DNS names, e-mail addresses, IP addresses.',
          list(name, 'a list of names', 0, ENTRIES_MAX).prefault([]),
        ),
        spiffe: about('SPIFFE IDs.', list(spiffe, 'a list of SPIFFE IDs', 0, ENTRIES_MAX).prefault([])),
      }).optional(),
    ),
    revocation: about(
      'Whether certificates have been revoked. Without it, nobody asks.',
      section(
        {
          crl: about(
            'Lists of revoked certificates, files or http:// addresses, each signed by one of the authorities; read again when they change.',
            list(listPlace, 'a list of files and addresses', 0, 256).prefault([]),
          ),
          fetch: about('Fetches the lists that certificates name (distribution points).', flag().prefault(false)),
          ocsp: about('Asks the responders that certificates name, where no list tells.', flag().prefault(false)),
          whenUnknown: about(
            'What becomes of clients whose certificate nothing is known of.',
            choice(['refuse', 'allow']).prefault('refuse'),
          ),
          refresh: about(
            'How long a fetched list or an answer is believed before a newer one is asked for, sooner where it ends sooner.',
            duration(SECOND_MS, 7 * DAY_MS).prefault('10m'),
          ),
        },
        [],
        undefined,
        { crls: 'crl' },
      ).optional(),
    ),
    forward: about(
      'What servers are told of the certificate. What clients send under these names never reaches them.',
      section({
        certificate: about('Client-Cert: the certificate (RFC 9440).', flag().prefault(true)),
        chain: about('Client-Cert-Chain: what stands between it and the authority.', flag().prefault(true)),
        details: about(
          'X-Client-Cert-Subject, -Issuer, -Serial, -SAN, -Fingerprint, -Not-Before, -Not-After and -Verify.',
          flag().prefault(true),
        ),
      }).prefault({}),
    ),
  },
  [],
  undefined,
  { ca: 'authorities', crl: 'revocation.crl', names: 'allow.names', verify: 'mode' },
);

export type ClientCertificateSettings = z.output<typeof clientCertificates>;

/**
 * Which of the clients that an authority vouches for may come in: by subject, by alternative name, by SPIFFE ID. One match is enough.
 * Patterns are taken apart once; a look-up takes time in proportion to names and patterns.
 */
import type { ClientAllowPlan } from '../plan/client-certificates.ts';
import type { Certificate } from '../x509/certificate.ts';

const SPIFFE = 'spiffe://';

export class ClientAllow {
  readonly #subjects: readonly (readonly string[])[];
  readonly #names: ReadonlySet<string>;
  /** What stands behind `*.` and `*@`. */
  readonly #parents: ReadonlySet<string>;
  readonly #domains: ReadonlySet<string>;
  readonly #spiffe: readonly (readonly string[])[];

  constructor({ subjects, names, spiffe }: ClientAllowPlan) {
    const lower = names.map((name) => name.toLowerCase());
    const behind = (start: string): Set<string> =>
      new Set(lower.filter((name) => name.startsWith(start)).map((name) => name.slice(start.length)));
    this.#subjects = subjects.map(subjectTokens);
    this.#names = new Set(lower);
    this.#parents = behind('*.');
    this.#domains = behind('*@');
    this.#spiffe = spiffe.map(spiffeSegments);
  }

  allows(certificate: Certificate): boolean {
    return this.#bySubject(certificate.subject) || this.#byName(certificate) || this.#bySpiffe(certificate.uris);
  }

  #bySubject(subject: string): boolean {
    if (this.#subjects.length === 0) return false;
    const tokens = subjectTokens(subject);
    return this.#subjects.some((pattern) => matchesSubject(pattern, tokens));
  }

  #byName({ dnsNames, emails, ips }: Certificate): boolean {
    if (this.#names.size === 0) return false;
    for (const name of dnsNames) {
      if (this.#names.has(name) || this.#parents.has(name.slice(name.indexOf('.') + 1))) return true;
    }
    for (const email of emails) {
      if (!email.includes('@')) continue;
      const lower = email.toLowerCase();
      if (this.#names.has(lower) || this.#domains.has(lower.slice(lower.lastIndexOf('@') + 1))) return true;
    }
    return ips.some((ip) => this.#names.has(ip));
  }

  /** The SPIFFE standard (X.509-SVID, section 2): a certificate has one address, or no SPIFFE ID. */
  #bySpiffe(uris: readonly string[]): boolean {
    if (this.#spiffe.length === 0 || uris.length !== 1 || !uris[0]!.startsWith(SPIFFE)) return false;
    const segments = spiffeSegments(uris[0]!);
    return this.#spiffe.some((pattern) => matchesSpiffe(pattern, segments));
  }
}

/** Characters of an RFC 4514 name, an escaped one as one: `a\,b` is `a`, `\,`, `b`. */
function subjectTokens(text: string): string[] {
  return text.match(/\\[0-9A-Fa-f]{2}|\\.|[^\\]/g) ?? [];
}

/** `*` stands for any number of characters, but for the commas and plus signs that end a value. */
function matchesSubject(pattern: readonly string[], tokens: readonly string[]): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let mark = 0;
  while (t < tokens.length) {
    const token = tokens[t]!;
    if (pattern[p] === '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.length && pattern[p] === token) {
      p++;
      t++;
    } else {
      // The star takes one more; an end of a value it never takes.
      if (star < 0 || tokens[mark] === ',' || tokens[mark] === '+') return false;
      p = star + 1;
      t = ++mark;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** The trust domain, which knows no case, and the segments of the path. */
function spiffeSegments(uri: string): string[] {
  const [domain = '', ...path] = uri.slice(SPIFFE.length).split('/');
  return [domain.toLowerCase(), ...path];
}

function matchesSpiffe(pattern: readonly string[], segments: readonly string[]): boolean {
  const endsOpen = pattern.length > 1 && pattern.at(-1) === '*';
  if (endsOpen ? segments.length < pattern.length : segments.length !== pattern.length) return false;
  return pattern.every((part, i) => (part === '*' && i > 0 ? segments[i] !== '' : part === segments[i]));
}

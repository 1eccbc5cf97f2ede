/** Writes docs/handshake-failures.md: why a handshake fails, and what the client is told, made from the table that the tests hold the engines against. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { faultOf } from '../src/base/faults.ts';
import { BLINDED_MAX } from '../src/base/limits.ts';
import { alertName } from '../src/hello/names.ts';
import { HANDSHAKE_FAILURES, type HandshakeFailure } from '../src/tls/handshake-failures.ts';

function cell(alerts: readonly number[] | null): string {
  if (alerts === null) return 'does not happen';
  return alerts.length === 0 ? '-' : alerts.map((alert) => `${alertName(alert)} (${alert})`).join(', ');
}

function line({ fault, about, s2n, openssl, isBlinded }: HandshakeFailure): string {
  const { reason, culprit } = faultOf(fault);
  return `| \`${reason}\` | ${culprit} | ${cell(s2n)} | ${cell(openssl)} | ${isBlinded ? 'yes' : ''} | ${about} |`;
}

function page(): string {
  return `<!-- Made by npm run generate, from src/tls/handshake-failures.ts. -->

# Why a handshake failed

Each TLS handshake that fails is one line of the error log, \`event: "handshake"\` (\`logs.md\` has its keys), and counts in
\`tollgate_handshake_failures_total\` by its reason. \`tollgate explain\` says beforehand what a client would get, and which setting would change
that (\`policies.md\`).

The alert is what the client is told (RFC 8446, section 6), and the key \`alert\` of the line. Where several are listed, it is the one that fits. The
two engines differ: s2n sends no alerts of its own, so Tollgate says them for it, as long as nothing is encrypted yet. From the ServerHello
of TLS 1.3 on it is encrypted, and there a client of s2n sees an end without an alert. Nothing is said to a client that has gone, that has
sent an alert itself, or that is too slow.

**Blinding**: the connection is left alone and closed 10 to 30 s later, so that the time between its record and its end tells nothing of what
was wrong inside. OpenSSL has sent its alert by then: its own way of taking the same time for each record is older than that. ${BLINDED_MAX} connections
of a worker wait so at most (\`tollgate_blinded_connections\`; beyond it they are closed at once, and
\`tollgate_limit_hits_total{limit="blinded"}\` counts them).

| reason | whose fault | alert, s2n | alert, OpenSSL | blinded | what has happened |
|---|---|---|---|---|---|
${HANDSHAKE_FAILURES.map(line).join('\n')}

Certificates are asked for on OpenSSL alone. Who is turned away for one behind the handshake, because a list or a responder answered late, gets no
alert: the connection ends before a byte of a request is read.

Behind the handshake there is no event: a client that ends without close_notify in the middle of something, renegotiates, or sends records that do not decrypt has \`truncated\`,
\`renegotiation\`, \`decrypt_error\` in the counts of faults, and a request that was at work says so in the access log. Its end is blinded as in
a handshake. Renegotiation is always
refused. A record with more than 2^14 bytes is \`malformed\`, and OpenSSL says record_overflow (22); s2n takes it in TLS 1.2 where it decrypts, and padding beyond
that of TLS 1.3 is counted by neither, as long as the record is within 2^14 + 256. Early data (0-RTT) is never accepted: what a client sends early is passed over, and it sends it again.
`;
}

/** What it holds, by path in the project. */
export function failurePages(): ReadonlyMap<string, string> {
  return new Map([['docs/handshake-failures.md', page()]]);
}

if (import.meta.main) {
  for (const [path, text] of failurePages()) writeFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), text);
}

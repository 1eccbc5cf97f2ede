/** The commands that make programs trust the local CA, for people to copy. Runs none of them. */

export interface TrustHint {
  /** The curl command that trusts the CA, for one request. */
  readonly curl: string;
  /** The command that adds the CA to Debian's system store (curl, wget, most programs). */
  readonly system: string;
  /** The command that adds the CA to the store of Chrome and Chromium; Firefox takes the file in its settings. Needs Debian's libnss3-tools. */
  readonly browser: string;
}

/** `port` is the one the HTTPS listener has. */
export function trustHint(caPath: string, port = 8443): TrustHint {
  const path = quoted(caPath);
  return {
    curl: `curl --cacert ${path} https://localhost${port === 443 ? '' : `:${port}`}/`,
    system: `sudo install -m 644 ${path} /usr/local/share/ca-certificates/tollgate-local-ca.crt && sudo update-ca-certificates`,
    browser: `certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n tollgate-local-ca -i ${path}`,
  };
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** What key a signature scheme needs, in which version. RFC 8446, section 4.2.3. */

const TLS13 = 0x0304;

/** The key type that can sign by `scheme` under `version` (`ecdsa`: any curve), or null: not in this version, or by nothing here. */
export function keyOfScheme(scheme: number, version: number): string | null {
  const is13 = version >= TLS13;
  switch (scheme) {
    case 0x0201:
    case 0x0301:
    case 0x0401:
    case 0x0501:
    case 0x0601:
      return is13 ? null : 'rsa';
    case 0x0203:
    case 0x0303:
      return is13 ? null : 'ecdsa';
    case 0x0403:
      return is13 ? 'p256' : 'ecdsa';
    case 0x0503:
      return is13 ? 'p384' : 'ecdsa';
    case 0x0603:
      return is13 ? 'p521' : 'ecdsa';
    case 0x0804:
    case 0x0805:
    case 0x0806:
      return 'rsa';
    case 0x0809:
    case 0x080a:
    case 0x080b:
      return 'rsa-pss';
    case 0x0807:
      return 'ed25519';
    case 0x0808:
      return 'ed448';
    case 0x0904:
      return is13 ? 'mldsa44' : null;
    case 0x0905:
      return is13 ? 'mldsa65' : null;
    case 0x0906:
      return is13 ? 'mldsa87' : null;
    default:
      return null;
  }
}

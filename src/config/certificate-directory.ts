/**
 * Which pairs of files a directory of certificates holds: NAME.pem or NAME.crt with the key in the same file or in NAME.key beside it, and
 * directories with fullchain.pem and privkey.pem, as certbot has them. Looks at names alone, in their order.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CERTIFICATES_MAX } from '../base/limits.ts';
import { TollgateError } from '../base/tollgate-error.ts';

export interface CertificatePair {
  readonly certificate: string;
  /** The same file, where the key stands with the certificate. */
  readonly key: string;
}

const CERTIFICATE_NAME = /^[^.].*\.(pem|crt)$/;
const CHAIN_NAME = 'fullchain.pem';
const KEY_NAME = 'privkey.pem';

/** One pair at least. Throws TollgateError with one sentence about `directory`. */
export async function certificateDirectory(directory: string): Promise<readonly CertificatePair[]> {
  const names = await namesIn(directory);
  const present = new Set(names);
  const pairs: CertificatePair[] = [];
  for (const name of names) {
    const path = join(directory, name);
    if (CERTIFICATE_NAME.test(name)) {
      const key = name.replace(CERTIFICATE_NAME, (all) => `${all.slice(0, -4)}.key`);
      pairs.push({ certificate: path, key: present.has(key) ? join(directory, key) : path });
    } else if (!name.startsWith('.') && (await isFile(join(path, CHAIN_NAME))) && (await isFile(join(path, KEY_NAME)))) {
      pairs.push({ certificate: join(path, CHAIN_NAME), key: join(path, KEY_NAME) });
    }
    if (pairs.length > CERTIFICATES_MAX) throw wrong(`${directory} holds more than ${CERTIFICATES_MAX} certificates`);
  }
  if (pairs.length === 0)
    throw wrong(`${directory} holds no certificate: no *.pem, no *.crt, and no directory with ${CHAIN_NAME} and ${KEY_NAME}`);
  return pairs;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'ENOENT':
        throw wrong(`there is no directory ${directory}`, error);
      case 'ENOTDIR':
        throw wrong(`${directory} is no directory`, error);
      case 'EACCES':
        throw wrong(`${directory} may not be read by this user (uid ${process.geteuid?.() ?? '?'})`, error);
      default:
        throw wrong(`${directory} could not be read: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  }
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (status) => status.isFile(),
    () => false,
  );
}

function wrong(message: string, cause?: unknown): TollgateError {
  return new TollgateError('certificate_directory', message, cause);
}

/**
 * One list of revoked certificates that has been read, checked and put into sealed memory: its facts, and the descriptor that workers map.
 * Takes DER or PEM, piece by piece.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { fileProblem } from '../base/bounded-file.ts';
import { TollgateError } from '../base/tollgate-error.ts';
import { closeFd } from '../native/listen-sockets.ts';
import { UnsealedMemory } from '../native/sealed-memory.ts';
import type { RevocationListView } from '../plan/client-certificates.ts';
import { RevocationSetBuilder, revocationSetBytesMax } from '../plan/revocation-set.ts';
import type { Certificate } from '../x509/certificate.ts';
import { issuerKeyOf } from '../x509/issuer-key.ts';
import { CRL_BYTES_MAX, type CrlFacts, CrlReader } from './crl-reader.ts';

const READ_BYTES = 262_144;
const PEM_BEGIN = '-----BEGIN X509 CRL-----';
const PEM_END = '-----END X509 CRL-----';

/** A checked list. Its owner closes it. */
export interface RevocationList {
  readonly facts: CrlFacts;
  readonly view: RevocationListView;
  /** Sealed memory with a RevocationSet. */
  readonly fd: number;
  readonly setBytes: number;
}

/** Takes a list's bytes as they come. `close` whatever happens. */
export class RevocationListReader {
  readonly #reader: CrlReader;
  #unsealed: UnsealedMemory | null = null;
  #text: PemText | null = null;
  #first = true;
  #bytes = 0;

  constructor(issuers: readonly Certificate[]) {
    this.#reader = new CrlReader(issuers, (entriesMax) => {
      this.#unsealed = new UnsealedMemory(revocationSetBytesMax(entriesMax));
      return new RevocationSetBuilder(this.#unsealed.memory, entriesMax);
    });
  }

  /** Throws TollgateError `crl_invalid`. */
  push(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#bytes > 2 * CRL_BYTES_MAX) throw new TollgateError('crl_invalid', 'it has no end');
    if (this.#first && bytes.length > 0) {
      this.#first = false;
      // DER of a list begins with a SEQUENCE.
      if (bytes[0] !== 0x30) this.#text = new PemText();
    }
    if (this.#text === null) this.#reader.push(bytes);
    else this.#text.push(bytes, (der) => this.#reader.push(der));
  }

  /** Throws TollgateError `crl_invalid`; `id` is what the list is called between processes. */
  end(id: string): RevocationList {
    this.#text?.end();
    const { facts, setBytes } = this.#reader.end();
    const { issuer, thisUpdateMs, nextUpdateMs, scope, distributionPoints } = facts;
    const fd = this.#unsealed!.seal(setBytes);
    const view = { id, issuer: issuerKeyOf(issuer), thisUpdateMs, nextUpdateMs, scope, distributionPoints };
    return { facts, view, fd, setBytes };
  }

  close(): void {
    this.#unsealed?.discard();
  }
}

/** Reads a list from a file. Throws TollgateError with what is wrong with it. */
export async function readRevocationList(path: string, issuers: readonly Certificate[]): Promise<RevocationList> {
  const reader = new RevocationListReader(issuers);
  try {
    const file = await open(path, 'r');
    try {
      if (!(await file.stat()).isFile()) throw new TollgateError('crl_invalid', 'it is not a file');
      const buffer = Buffer.alloc(READ_BYTES);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, READ_BYTES);
        if (bytesRead === 0) break;
        reader.push(buffer.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
    return reader.end(listId(path));
  } catch (error) {
    const why = error instanceof TollgateError ? error.message : fileProblem(path, error);
    throw new TollgateError('crl_invalid', `the revocation list ${path} cannot be used: ${why}`, error);
  } finally {
    reader.close();
  }
}

/** What a list from `source` (a path, an address) is called: the next one from there takes its place. */
export function listId(source: string): string {
  return createHash('sha256').update(source).digest('hex').slice(0, 32);
}

export function closeList(list: RevocationList): void {
  closeFd(list.fd);
}

/** RFC 7468, decoded piece by piece: four characters at a time, whatever lies between lines. One block; text around it is passed over. */
class PemText {
  #text = '';
  #state: 'before' | 'within' | 'behind' = 'before';

  push(bytes: Buffer, each: (der: Buffer) => void): void {
    this.#text += bytes.toString('latin1');
    if (this.#state === 'before') {
      const at = this.#text.indexOf(PEM_BEGIN);
      if (at < 0) {
        if (this.#text.length > READ_BYTES * 2) throw new TollgateError('crl_invalid', 'it holds no revocation list');
        return;
      }
      this.#text = this.#text.slice(at + PEM_BEGIN.length);
      this.#state = 'within';
    }
    if (this.#state === 'behind') {
      this.#text = '';
      return;
    }
    const dash = this.#text.indexOf('-');
    const body = (dash < 0 ? this.#text : this.#text.slice(0, dash)).replace(/[\r\n\t ]+/g, '');
    if (/[^A-Za-z0-9+/=]/.test(body)) throw new TollgateError('crl_invalid', 'its PEM has characters that are not base64');
    if (dash < 0) {
      const usable = body.length - (body.length % 4);
      each(Buffer.from(body.slice(0, usable), 'base64'));
      this.#text = body.slice(usable);
      return;
    }
    const end = this.#text.slice(dash);
    if (end.length < PEM_END.length) {
      this.#text = body + end;
      return;
    }
    if (!end.startsWith(PEM_END)) throw new TollgateError('crl_invalid', 'its PEM block has another end');
    this.#state = 'behind';
    this.#text = '';
    each(Buffer.from(body, 'base64'));
  }

  end(): void {
    if (this.#state === 'before') throw new TollgateError('crl_invalid', 'it holds no revocation list');
    if (this.#state === 'within') throw new TollgateError('crl_invalid', 'it is cut short');
  }
}

/**
 * The keys that OpenSSL's session tickets are sealed with: AES-256-CBC and HMAC-SHA-256, as it makes them itself (RFC 5077, section 4), but
 * several at a time, so that keys rotate with an overlap. Owns the keys' bytes.
 */
import { assert } from '../base/assert.ts';
import { memcpy } from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { nativeCopy, ssl } from './ffi/openssl.ts';

/** Bytes of a key: its name on the wire, the cipher's key, the MAC's. */
export const OPENSSL_TICKET_NAME_BYTES = 16;
export const OPENSSL_TICKET_KEY_BYTES = OPENSSL_TICKET_NAME_BYTES + 32 + 32;
const IV_BYTES = 16;

/** What OpenSSL is answered: RFC 5077's cases. */
const FAILED = -1;
const NO_KEY = 0;
const TAKEN = 1;
const TAKEN_RENEW = 2;

interface Key {
  readonly id: string;
  readonly bytes: NativeMemory;
  /** OSSL_PARAM array for the MAC. */
  readonly parameters: NativeMemory;
  readonly fromS: number;
}

export class OpensslTicketKeys {
  readonly #encryptS: number;
  readonly #decryptS: number;
  /** Newest first. */
  #keys: Key[] = [];

  /** How long a key seals, and how long it opens after that. Seconds. */
  constructor(encryptS: number, decryptS: number) {
    this.#encryptS = encryptS;
    this.#decryptS = decryptS;
  }

  /** Takes a key into use; a known one is passed over, those that are too old go. The caller zeroes `key`. */
  add(id: string, key: Uint8Array, fromS: number): void {
    assert(key.length === OPENSSL_TICKET_KEY_BYTES, 'a ticket key has its length');
    const nowS = Date.now() / 1_000;
    this.#keys = this.#keys.filter((each) => {
      if (nowS < each.fromS + this.#encryptS + this.#decryptS) return true;
      each.bytes.bytes.fill(0);
      return false;
    });
    if (this.#keys.some((each) => each.id === id)) return;
    const bytes = nativeCopy(key);
    this.#keys.push({ id, bytes, parameters: macParameters(bytes.address + OPENSSL_TICKET_NAME_BYTES + 32), fromS });
    this.#keys.sort((a, b) => b.fromS - a.fromS);
  }

  clear(): void {
    for (const { bytes } of this.#keys) bytes.bytes.fill(0);
    this.#keys = [];
  }

  /** The callback of `SSL_CTX_set_tlsext_ticket_key_evp_cb`: fills in name and IV, and readies cipher and MAC. */
  prepare(name: number, iv: number, cipher: number, mac: number, seals: boolean): number {
    const nowS = Date.now() / 1_000;
    if (seals) {
      for (const key of this.#keys) {
        if (nowS < key.fromS || nowS >= key.fromS + this.#encryptS) continue;
        if (ssl.RAND_bytes(iv, IV_BYTES) !== 1) return FAILED;
        memcpy(name, key.bytes.address, OPENSSL_TICKET_NAME_BYTES);
        return this.#ready(key, iv, cipher, mac, true) ? TAKEN : FAILED;
      }
      return NO_KEY;
    }
    memcpy(asked.address, name, OPENSSL_TICKET_NAME_BYTES);
    for (const key of this.#keys) {
      if (nowS >= key.fromS + this.#encryptS + this.#decryptS) continue;
      if (!asked.bytes.equals(key.bytes.bytes.subarray(0, OPENSSL_TICKET_NAME_BYTES))) continue;
      if (!this.#ready(key, iv, cipher, mac, false)) return FAILED;
      return nowS < key.fromS + this.#encryptS ? TAKEN : TAKEN_RENEW;
    }
    return NO_KEY;
  }

  #ready(key: Key, iv: number, cipher: number, mac: number, seals: boolean): boolean {
    const init = seals ? ssl.EVP_EncryptInit_ex : ssl.EVP_DecryptInit_ex;
    const cipherKey = key.bytes.address + OPENSSL_TICKET_NAME_BYTES;
    return init(cipher, ssl.EVP_aes_256_cbc(), 0, cipherKey, iv) === 1 && ssl.EVP_MAC_CTX_set_params(mac, key.parameters.address) === 1;
  }
}

const asked = new NativeMemory(OPENSSL_TICKET_NAME_BYTES);

/** struct ossl_param_st: key, type, data, size, return size. Bytes. */
const PARAMETER_BYTES = 40;
const UTF8_STRING = 4;
const OCTET_STRING = 5;
const UNMODIFIED = 0xffff_ffff_ffff_ffffn;

function text(value: string): NativeMemory {
  return nativeCopy(Buffer.from(`${value}\0`, 'latin1'));
}

// OpenSSL reads them whenever a key is used.
const KEY = text('key');
const DIGEST = text('digest');
const SHA256 = text('SHA256');

/** `{ key, digest, end }`, for 32 bytes of key at `address`. */
function macParameters(address: number): NativeMemory {
  const parameters = new NativeMemory(3 * PARAMETER_BYTES);
  const put = (index: number, name: NativeMemory, type: number, data: number, size: number): void => {
    const at = index * PARAMETER_BYTES;
    parameters.bytes.writeBigUInt64LE(BigInt(name.address), at);
    parameters.bytes.writeUInt32LE(type, at + 8);
    parameters.bytes.writeBigUInt64LE(BigInt(data), at + 16);
    parameters.bytes.writeBigUInt64LE(BigInt(size), at + 24);
    parameters.bytes.writeBigUInt64LE(UNMODIFIED, at + 32);
  };
  put(0, KEY, OCTET_STRING, address, 32);
  put(1, DIGEST, UTF8_STRING, SHA256.address, 'SHA256'.length);
  return parameters;
}

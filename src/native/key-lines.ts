/** Who listens to the secrets of handshakes, on contexts that tell them (s2n.ts, openssl-context.ts). */
export { listenToKeys } from './ffi/key-lines.ts';

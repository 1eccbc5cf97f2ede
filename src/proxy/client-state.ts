/** States of a client's connection; client-connection.ts has their order. */
export const HELLO = 0;
export const HANDSHAKE = 1;
export const HEAD = 2;
export const EXCHANGE = 3;
export const TUNNEL = 4;
export const CLOSING = 5;
export const BLINDED = 6;
export const GONE = 7;
export const PROXY_HEADER = 8;
export const RELAY = 9;
/** Behind the handshake: whether the client's certificate is revoked is being asked. */
export const HELD = 10;
/** It is known, and it goes on at its next turn. */
export const CLEARED = 11;
/** For people, by state. */
export const STATE_NAMES: readonly string[] = [
  'handshake',
  'handshake',
  'idle',
  'request',
  'tunnel',
  'ends',
  'ends',
  'ends',
  'handshake',
  'connect',
  'handshake',
  'handshake',
];

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
];

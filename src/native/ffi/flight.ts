/**
 * Where the fast engine puts the messages of a handshake before they are sent: a memory BIO of the running node, one for the process.
 *
 * By itself s2n sends each message for itself, six of them for a full handshake, and corks the socket around them. `BIO_write` has the shape
 * of the function s2n sends with (`s2n_send_fn`), so that they come together without a call back into JavaScript, and leave in one send.
 */
import koffi from 'koffi';
import { FLIGHT_SYMBOLS } from '../openssl-symbols.ts';

const self = koffi.load(null);
const bioRead = self.func(FLIGHT_SYMBOLS.BIO_read);

/** `s2n_send_fn`, by its address. */
export const FLIGHT_SEND = Number(koffi.address(self.symbol('BIO_write', 'void')));
/** What it is called with first. */
export const FLIGHT: number = self.func(FLIGHT_SYMBOLS.BIO_new)(self.func(FLIGHT_SYMBOLS.BIO_s_mem)()) as number;

/** Moves up to `length` bytes of what was put there to `address`. 0: there was nothing. */
export function readFlight(address: number, length: number): number {
  const n = bioRead(FLIGHT, address, length) as number;
  return n > 0 ? n : 0;
}

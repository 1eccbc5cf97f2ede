/**
 * What the fast engine reads from and writes to: BIOs of the running node. `BIO_read` and `BIO_write` have the shapes of the functions that
 * s2n receives and sends with (`s2n_recv_fn`, `s2n_send_fn`), so that no call comes back into JavaScript.
 *
 * Given a descriptor instead, s2n asks for the socket's low-water mark and its cork, acknowledges what it reads of a handshake at once, and
 * sends each message for itself. One memory BIO for the process, the flight, takes what has to go out together, and that leaves in one send.
 */
import koffi from 'koffi';
import { S2N_IO_SYMBOLS } from '../openssl-symbols.ts';

const self = koffi.load(null);
const bioRead = self.func(S2N_IO_SYMBOLS.BIO_read);
const bioNewSocket = self.func(S2N_IO_SYMBOLS.BIO_new_socket);
const bioFree = self.func(S2N_IO_SYMBOLS.BIO_free);
const BIO_NOCLOSE = 0;

/** `s2n_recv_fn` and `s2n_send_fn`, by their addresses. What they are called with first is a BIO. */
export const BIO_RECEIVE = Number(koffi.address(self.symbol('BIO_read', 'void')));
export const BIO_SEND = Number(koffi.address(self.symbol('BIO_write', 'void')));
/** The flight. */
export const FLIGHT: number = self.func(S2N_IO_SYMBOLS.BIO_new)(self.func(S2N_IO_SYMBOLS.BIO_s_mem)()) as number;

/** Moves up to `length` bytes of the flight to `address`. 0: there was nothing. */
export function readFlight(address: number, length: number): number {
  const n = bioRead(FLIGHT, address, length) as number;
  return n > 0 ? n : 0;
}

/** A BIO that is `fd`, and leaves it open. 0 when there is no memory for it. */
export function openSocketBio(fd: number): number {
  return bioNewSocket(fd, BIO_NOCLOSE) as number;
}

export function closeSocketBio(bio: number): void {
  bioFree(bio);
}

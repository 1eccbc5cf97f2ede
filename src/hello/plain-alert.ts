/** Alerts sent before any key exists, RFC 8446, section 6: what a ClientHello can be refused with while no engine is involved. Knows no reasons. */
import { assert } from '../base/assert.ts';

const CONTENT_ALERT = 21;
const LEVEL_FATAL = 2;

const made: (Uint8Array | null)[] = new Array(256).fill(null);

/**
 * The seven bytes of a record that holds the fatal alert `description` (1..=255, RFC 8446, section 6; 0, close_notify, is never fatal).
 * Made once for each description and shared: read it, never write to it.
 */
export function plainAlert(description: number): Uint8Array {
  assert(Number.isInteger(description) && description >= 1 && description <= 255, 'an alert description is a byte above 0');
  let bytes = made[description];
  if (bytes == null) {
    // Version 0x0303 whatever the client speaks: RFC 8446, section 5.1, and every older client ignores it here.
    bytes = Uint8Array.of(CONTENT_ALERT, 3, 3, 0, 2, LEVEL_FATAL, description);
    made[description] = bytes;
  }
  return bytes;
}

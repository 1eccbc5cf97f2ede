/**
 * Which failures wait before their connection is closed, so that the time they took tells nothing: a padding or MAC failure (CVE-2013-0169
 * and kin). s2n asks for 10 to 30 s on nearly every error; honouring that for plain mistakes would let anybody hold descriptors for nothing.
 */
import { randomInt } from 'node:crypto';
import { FAULT_TLS_BAD_FINISHED, FAULT_TLS_DECRYPT } from '../base/faults.ts';
import { BLINDING_MS_MAX } from '../base/limits.ts';

export function isBlinded(fault: number): boolean {
  return fault === FAULT_TLS_DECRYPT || fault === FAULT_TLS_BAD_FINISHED;
}

/** A delay as s2n would choose it, for a library that asks for none. Milliseconds. */
export function blindingDelayMs(): number {
  return randomInt(BLINDING_MS_MAX / 3, BLINDING_MS_MAX + 1);
}

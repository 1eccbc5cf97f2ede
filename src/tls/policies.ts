/** Our names of TLS policies, and what the fast engine calls them. */
import type { PolicyName } from '../plan/plan.ts';

/**
 * Both forward-secret, AEAD only, with X25519MLKEM768 for clients that offer it. `intermediate`: TLS 1.2 and 1.3, for every client of the
 * last ten years. `modern`: TLS 1.3 alone. Names with a date never change their meaning in s2n.
 */
export const S2N_POLICIES: Readonly<Record<PolicyName, string>> = Object.freeze({
  intermediate: '20251014',
  modern: 'CloudFront-TLS-1-3-2025',
});

/** Lowest version each policy allows, as on the wire: what can be refused before any crypto. */
export const POLICY_VERSION_MIN: Readonly<Record<PolicyName, number>> = Object.freeze({ intermediate: 0x0303, modern: 0x0304 });

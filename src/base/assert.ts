/** Always-on checks for programmer errors. Messages are literals, so a passing check costs one branch and builds nothing. */

/** Throws when `condition` does not hold. In a worker that ends the process: the supervisor starts another. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFault(message);
}

export class AssertionFault extends Error {
  override name = 'AssertionFault';
}

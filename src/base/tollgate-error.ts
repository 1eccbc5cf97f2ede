/**
 * The error of the control plane: what went wrong in one sentence, under a code that does not change.
 * The data plane never throws it; there, faults are numbers (see faults.ts).
 */
export class TollgateError extends Error {
  override name = 'TollgateError';
  /** Stable, snake_case: what scripts and tests compare. */
  readonly code: string;

  /** `message` is for a person: what is wrong, where, and what to do. `cause` is the error underneath, if there was one. */
  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** What `tollgate check` says about a file: every error and warning, and the plan it would run. Renders nothing. */
import type { Plan } from '../plan/plan.ts';
import { type CompileOptions, compile } from './compile.ts';
import { ConfigError, type Finding } from './findings.ts';
import { loadConfig } from './load.ts';

export interface CheckReport {
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
  /** Null when there are errors. Its blobs are gone: keys were read to be checked, and zeroed. */
  readonly plan: Plan | null;
}

/** Loads and compiles `path` as a start would. Throws nothing that a configuration can cause. */
export async function checkFile(path: string, options: Omit<CompileOptions, 'planId'> = {}): Promise<CheckReport> {
  try {
    const { plan, blobs, warnings } = await compile(await loadConfig(path), { ...options, planId: 1 });
    for (const { keyBlob } of plan.certificates) blobs[keyBlob]!.fill(0);
    return { errors: [], warnings, plan };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { errors: error.findings, warnings: error.warnings, plan: null };
  }
}

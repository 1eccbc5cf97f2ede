/**
 * A wall clock that a test sets, for Tollgate alone: libfaketime in the supervisor and its workers. The clock that never goes back stays what
 * it is, as when somebody sets the time of a machine.
 *
 * Workers are given an empty environment, and so nothing is preloaded into them: the supervisor starts them by a script that does it. It is
 * told so by this very file, which node is made to import first.
 */
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const LIBRARY = `/usr/lib/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu/faketime/libfaketimeMT.so.1`;

const script = process.env.TOLLGATE_TEST_NODE;
if (script !== undefined) process.execPath = script;

export class FakeClock {
  /** For the program that goes by it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #path: string;

  constructor(t: TestContext) {
    const directory = mkdtempSync(join(tmpdir(), 'tollgate-test-clock-'));
    t.after(() => rmSync(directory, { recursive: true }));
    this.#path = join(directory, 'offset');
    this.set(0);
    const preload = {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: this.#path,
      // The file is read again after a second.
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
    const node = join(directory, 'node');
    const words = Object.entries(preload).map(([name, value]) => `${name}='${value}'`);
    writeFileSync(node, `#!/bin/sh\n${words.join(' ')} exec '${process.execPath}' "$@"\n`);
    chmodSync(node, 0o755);
    this.environment = { ...preload, NODE_OPTIONS: `--import=${import.meta.url}`, TOLLGATE_TEST_NODE: node };
  }

  /** Seconds from the true time on, below 0: back. Whole at each moment: it is read while it is written. */
  set(seconds: number): void {
    writeFileSync(`${this.#path}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    renameSync(`${this.#path}.new`, this.#path);
  }
}

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findProgram, installationObstacle, missingPackages, NEEDED_PROGRAMS } from './packages.ts';

const folder = mkdtempSync(join(tmpdir(), 'tollgate-packages-'));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'tool-a'), '', { mode: 0o755 });
writeFileSync(join(folder, 'not-executable'), '');
chmodSync(join(folder, 'not-executable'), 0o644);

test('findProgram() finds what can be executed, in PATH and nowhere else', () => {
  assert.equal(findProgram('tool-a', `/nonexistent:${folder}`), join(folder, 'tool-a'));
  assert.equal(findProgram('tool-a', ''), null);
  assert.equal(findProgram('no-such-tool', folder), null);
});

test('missingPackages() names each package once, sorted', () => {
  const programs = [
    { command: 'tool-a', package: 'present' },
    { command: 'no-such-tool', package: 'zeta' },
    { command: 'no-such-tool-either', package: 'zeta' },
    { command: 'nothing', package: 'alpha' },
  ];
  assert.deepEqual(missingPackages(programs, folder), ['alpha', 'zeta']);
});

test('installationObstacle() says in one line what to do, and nothing when we can do it', () => {
  assert.equal(installationObstacle(['curl', 'wrk'], true, true), null);
  assert.equal(
    installationObstacle(['curl', 'wrk'], false, true),
    'the tests need programs that are not installed: sudo apt-get install curl wrk',
  );
  assert.match(installationObstacle(['curl'], true, false) ?? '', /no apt-get here: curl$/);
});

test('NEEDED_PROGRAMS names every program once', () => {
  assert.equal(new Set(NEEDED_PROGRAMS.map((program) => program.command)).size, NEEDED_PROGRAMS.length);
});

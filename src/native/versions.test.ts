import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { TollgateError } from '../base/tollgate-error.ts';
import { libraryVersions, VERSION_UNKNOWN } from './versions.ts';

const require = createRequire(import.meta.url);
const root = dirname(require.resolve('aws-crt/package.json'));
const folder = mkdtempSync(join(tmpdir(), 'tollgate-versions-'));
after(() => rmSync(folder, { recursive: true }));

function library(machine: string, libc: string): string {
  return join(root, 'dist', 'bin', `linux-${machine}-${libc}`, 'aws-crt-nodejs.node');
}

test('package.json pins aws-crt to one exact version, and that is the one installed', () => {
  const pinned: unknown = require('../../package.json').dependencies['aws-crt'];
  assert.equal(typeof pinned, 'string');
  assert.match(pinned as string, /^\d+\.\d+\.\d+$/);
  assert.equal(require('aws-crt/package.json').version, pinned);
});

for (const machine of ['x64', 'arm64']) {
  for (const libc of ['glibc', 'musl']) {
    test(`libraryVersions() knows the pinned library for linux-${machine}-${libc}`, () => {
      assert.deepEqual(libraryVersions(library(machine, libc)), {
        s2n: '1.7.10',
        awsLc: '5.9.0',
        source: `aws-crt ${require('../../package.json').dependencies['aws-crt']}`,
        machine,
        missing: [],
      });
    });
  }
}

test('libraryVersions() says unknown for a file that is not recorded, and still reads what the file says', () => {
  const path = join(folder, 'changed.node');
  copyFileSync(library(process.arch, 'glibc'), path);
  writeFileSync(path, Buffer.from([0]), { flag: 'a' });
  const versions = libraryVersions(path);
  assert.equal(versions.s2n, VERSION_UNKNOWN);
  assert.equal(versions.source, VERSION_UNKNOWN);
  assert.equal(versions.awsLc, '5.9.0');
});

test('libraryVersions() names every function of the manifest that a library lacks', () => {
  const path = join(folder, 'other.node');
  const file = readFileSync(library(process.arch, 'glibc'));
  // Both names are spelt differently wherever they stand, the symbol table's strings among them.
  for (const name of ['s2n_negotiate\0', 's2n_connection_wipe\0']) {
    for (let at = file.indexOf(name); at >= 0; at = file.indexOf(name, at + 1)) file.write('X', at);
  }
  writeFileSync(path, file);
  assert.deepEqual(libraryVersions(path).missing, ['s2n_connection_wipe', 's2n_negotiate']);
});

test('libraryVersions() refuses what it cannot read with one sentence that names the path', () => {
  const script = join(folder, 'script.sh');
  writeFileSync(script, '#!/bin/sh\n');
  refuses(script, 'tls_library_not_elf', /not an ELF file$/);
  refuses(folder, 'tls_library_unreadable', /not a regular file$/);
  refuses('/dev/zero', 'tls_library_unreadable', /not a regular file$/);
  refuses(join(folder, 'absent.node'), 'tls_library_unreadable', /ENOENT/);
});

function refuses(path: string, code: string, reason: RegExp): void {
  assert.throws(
    () => libraryVersions(path),
    (error) => error instanceof TollgateError && error.code === code && error.message.includes(path) && reason.test(error.message),
  );
}

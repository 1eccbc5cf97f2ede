import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { property as forAll, nat, assert as property, uint8Array } from 'fast-check';
import { ELF_NAME_BYTES_MAX, ElfError, readElfExports } from './elf.ts';
import { FUNC_GLOBAL, sharedObject } from './test-shared-object.ts';

const GOOD = sharedObject([{ name: 's2n_init', info: FUNC_GLOBAL, section: 5 }]);

function refuses(file: Buffer, reason: RegExp): void {
  assert.throws(
    () => readElfExports(file),
    (error) => error instanceof ElfError && reason.test(error.message),
  );
}

test('readElfExports() reports global functions that are defined, and nothing else', () => {
  const file = sharedObject([
    { name: 'exported', info: FUNC_GLOBAL, section: 7 },
    { name: 'imported', info: FUNC_GLOBAL, section: 0 },
    { name: 'variable', info: 0x11, section: 7 },
    { name: 'local', info: 0x02, section: 7 },
    { name: 'weak', info: 0x22, section: 7 },
    { name: 'hidden', info: FUNC_GLOBAL, section: 7, visibility: 2 },
    { name: 'protected', info: FUNC_GLOBAL, section: 7, visibility: 3 },
  ]);
  assert.deepEqual([...readElfExports(file).functions], ['exported', 'protected']);
});

test('readElfExports() names the machine as process.arch does', () => {
  assert.equal(readElfExports(sharedObject([], 62)).machine, 'x64');
  assert.equal(readElfExports(sharedObject([], 183)).machine, 'arm64');
  assert.equal(readElfExports(sharedObject([], 243)).machine, null);
});

test('readElfExports() leaves out a name no C function has, and keeps the others', () => {
  const long = 'x'.repeat(ELF_NAME_BYTES_MAX + 1);
  const longest = 'y'.repeat(ELF_NAME_BYTES_MAX);
  const file = sharedObject([long, longest, 'short'].map((name) => ({ name, info: FUNC_GLOBAL, section: 1 })));
  assert.deepEqual([...readElfExports(file).functions], [longest, 'short']);
});

test('readElfExports() refuses what is no shared object, each with its own reason', () => {
  refuses(Buffer.alloc(0), /not an ELF file/);
  refuses(Buffer.from('#!/bin/sh\nexit 0\n'), /not an ELF file/);
  refuses(GOOD.subarray(0, 63), /header is cut short/);
  refuses(
    changed((file) => file.writeUInt8(1, 4)),
    /64-bit/,
  );
  refuses(
    changed((file) => file.writeUInt8(2, 5)),
    /little-endian/,
  );
  refuses(
    changed((file) => file.writeUInt16LE(2, 16)),
    /not a shared object/,
  );
  refuses(
    changed((file) => file.writeUInt16LE(0, 60)),
    /no section table/,
  );
  refuses(
    changed((file) => file.writeUInt16LE(40, 58)),
    /unknown size/,
  );
  refuses(
    changed((file) => file.writeUInt16LE(0xffff, 60)),
    /section table lies outside/,
  );
  refuses(
    changed((file) => file.writeBigUInt64LE(2n ** 64n - 1n, 40)),
    /section table lies outside/,
  );
  refuses(
    changed((file, sections) => file.writeUInt32LE(2, sections + 64 + 4)),
    /no dynamic symbol table/,
  );
  refuses(
    changed((file, sections) => file.writeBigUInt64LE(2n ** 64n - 8n, sections + 64 + 24)),
    /section lies outside/,
  );
  refuses(
    changed((file, sections) => file.writeBigUInt64LE(2n ** 63n, sections + 64 + 32)),
    /section lies outside/,
  );
  refuses(
    changed((file, sections) => file.writeBigUInt64LE(23n, sections + 64 + 32)),
    /symbol table is cut short/,
  );
  refuses(
    changed((file, sections) => file.writeUInt32LE(99, sections + 64 + 40)),
    /has no names/,
  );
  refuses(
    changed((file) => file.writeUInt32LE(0xffffffff, 64)),
    /name lies outside/,
  );
});

/** GOOD with one thing spoilt; `sections` is where its section table begins. */
function changed(spoil: (file: Buffer, sections: number) => unknown): Buffer {
  const file = Buffer.from(GOOD);
  spoil(file, Number(file.readBigUInt64LE(40)));
  return file;
}

test('readElfExports() gives exports or one ElfError, whatever bytes are cut or changed', () => {
  property(
    forAll(nat(GOOD.length), uint8Array({ minLength: 1, maxLength: 12 }), nat(GOOD.length), (at, bytes, length) => {
      const file = Buffer.from(GOOD);
      file.set(bytes.subarray(0, Math.max(0, file.length - at)), Math.min(at, file.length));
      exportsOrElfError(file.subarray(0, length));
      exportsOrElfError(file);
    }),
    { numRuns: 2_000 },
  );
});

test('readElfExports() refuses the real library cut anywhere before its section table ends', () => {
  const root = dirname(createRequire(import.meta.url).resolve('aws-crt/package.json'));
  const file = readFileSync(join(root, 'dist', 'bin', `linux-${process.arch}-glibc`, 'aws-crt-nodejs.node'));
  for (const share of [0.1, 0.5, 0.9, 0.999]) {
    refuses(file.subarray(0, Math.floor(file.length * share)), /section table lies outside/);
  }
});

function exportsOrElfError(file: Buffer): void {
  try {
    assert.ok(readElfExports(file).functions instanceof Set);
  } catch (error) {
    assert.ok(error instanceof ElfError, String(error));
  }
}

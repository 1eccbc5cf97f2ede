import assert from 'node:assert/strict';
import { test } from 'node:test';
import koffi from 'koffi';
import * as libc from './ffi/libc.ts';
import { NativeMemory } from './ffi/native-memory.ts';
import { s2nLibraryPath } from './library-path.ts';
import { closeTls, loadS2n, openConfig, openTls, tlsCounts } from './s2n.ts';

/** Allocations until one fails; Infinity: none does. */
let left = Number.POSITIVE_INFINITY;

/** s2n asks here for its memory, from before it starts. It is the only one who does: neither V8 nor AWS-LC is short of any. */
function giveMemoryTo(library: ReturnType<typeof koffi.load>): void {
  const malloc = koffi.load(null).func('intptr_t malloc(intptr_t)');
  const free = koffi.load(null).func('void free(intptr_t)');
  const pointer = new NativeMemory(8);
  const size = new NativeMemory(4);
  koffi.proto('int Begin()');
  koffi.proto('int Malloc(intptr_t, uint32_t, intptr_t)');
  koffi.proto('int Free(intptr_t, uint32_t)');
  const nothing = koffi.register(() => 0, 'Begin*');
  const give = (to: number, bytes: number, given: number): number => {
    if (left-- <= 0) return -1;
    pointer.bytes.writeBigInt64LE(BigInt(malloc(bytes)));
    size.bytes.writeUInt32LE(bytes);
    libc.memcpy(to, pointer.address, 8);
    libc.memcpy(given, size.address, 4);
    return 0;
  };
  const take = (at: number): number => {
    free(at);
    return 0;
  };
  const set = library.func('int s2n_mem_set_callbacks(Begin*, Begin*, Malloc*, Free*)');
  assert.equal(set(nothing, nothing, koffi.register(give, 'Malloc*'), koffi.register(take, 'Free*')), 0);
}

test('openTls() gives 0 wherever memory runs out on the way, and goes on when there is some', () => {
  giveMemoryTo(koffi.load(s2nLibraryPath()));
  loadS2n(s2nLibraryPath());
  const nothing = { certificates: [], alpn: [], tickets: false, ticketEncryptS: 1, ticketDecryptS: 1, blindingSMax: 1 };
  const config = openConfig({ policy: 'default_tls13', ...nothing });
  const fd = libc.open('/dev/null', libc.O_CLOEXEC, 0) as number;
  let failed = 0;
  let handle = 0;
  for (let after = 0; handle === 0 && after < 1_000; after++) {
    left = after;
    handle = openTls(config, fd);
    left = Number.POSITIVE_INFINITY;
    if (handle !== 0) break;
    failed++;
    assert.equal(tlsCounts().open, 0);
  }
  assert.ok(failed >= 3, `${failed} allocations can fail`);
  assert.equal(tlsCounts().open, 1);
  closeTls(handle);
  assert.deepEqual(tlsCounts(), { open: 0, spare: 1, sparesRefused: 0 });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientHello, readClientHello } from './client-hello.ts';
import { ja3, ja3Text, ja4 } from './fingerprint.ts';
import { type HelloDescription, writeClientHello } from './hello-writer.ts';
import { KNOWN_CLIENTS } from './known-clients.ts';
import { codes } from './policy.ts';

function read(client: HelloDescription, name: string | null): ClientHello {
  const hello = new ClientHello();
  const bytes = writeClientHello(client, { name });
  assert.equal(readClientHello(bytes, 0, bytes.length, hello), bytes.length);
  return hello;
}

/** The example of the JA4 specification (FoxIO, technical details): lists in any order, since JA4 sorts them. */
const CHROME: HelloDescription = {
  legacyVersion: 0x0303,
  versions: codes('aaaa 0304 0303'),
  suites: codes('3a3a 1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c013 c014 009c 009d 002f 0035'),
  groups: codes('4a4a 001d 0017 0018'),
  keyShares: codes('4a4a 001d'),
  signatureSchemes: codes('0403 0804 0401 0503 0805 0501 0806 0601'),
  alpn: ['h2', 'http/1.1'],
  extensions: codes('1a1a 0000 0017 ff01 000a 000b 0023 0010 0005 000d 0012 0033 002d 002b 001b 4469 2a2a 0015'),
};

test('ja4() gives the example of its specification', () => {
  assert.equal(ja4(read(CHROME, 'example.com')), 't13d1516h2_8daaf6152771_e5627efa2ab1');
});

test('ja4() says when there is no name and no protocol', () => {
  const hello = read({ ...CHROME, alpn: [] }, null);
  assert.match(ja4(hello), /^t13i151400_8daaf6152771_e5627efa2ab1$/);
});

test('ja4() takes the hexadecimal form of a protocol that ends in no letter or digit', () => {
  assert.match(ja4(read({ ...CHROME, alpn: ['h2\u00ab'] }, 'a.example')), /^t13d15166b_/);
});

test('ja4() of a hello without extensions is zeros where they would be', () => {
  const old = KNOWN_CLIENTS.find(({ id }) => id === 'openssl-0.9.8')!;
  assert.match(ja4(read({ ...old, extensions: [] }, null)), /^t10i\d\d0000_[0-9a-f]{12}_0{12}$/);
});

test('ja3() gives the example of its authors', () => {
  const hello = read(
    {
      legacyVersion: 769,
      versions: [],
      suites: [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
      groups: [23, 24, 25],
      keyShares: [],
      signatureSchemes: [],
      alpn: [],
      extensions: [0, 10, 11],
    },
    'example.com',
  );
  assert.equal(ja3Text(hello), '769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0');
  assert.equal(ja3(hello), 'ada70206e40642a3e4461f35503241d5');
});

test('ja4() and ja3() leave GREASE out, so that a client has one fingerprint', () => {
  const other = {
    ...CHROME,
    suites: codes(
      `dada ${CHROME.suites
        .slice(1)
        .map((suite) => suite.toString(16).padStart(4, '0'))
        .join(' ')}`,
    ),
  };
  assert.equal(ja4(read(other, 'example.com')), ja4(read(CHROME, 'example.com')));
  assert.equal(ja3(read(other, 'example.com')), ja3(read(CHROME, 'example.com')));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mending, markMended, writeMended } from './mending.ts';
import { readResponse } from './test-heads.ts';

function mend(fields: string, authority = 'shop.example', sentHost = ''): string | null {
  const { buf: bytes, head } = readResponse(`HTTP/1.1 302 Found\r\n${fields}Content-Length: 0\r\n\r\n`);
  const mending = new Mending();
  mending.authority.set(Buffer.from(authority));
  mending.authorityBytes = authority.length;
  mending.sentHost = sentHost;
  const buf = Buffer.alloc(8_192);
  bytes.copy(buf);
  if (!markMended(buf, head, mending)) return null;
  const end = writeMended(buf, 4_096, buf.length, head, mending);
  return buf.latin1Slice(4_096, end);
}

test('a Location that leads back over http is mended, with the port the client came to', () => {
  assert.equal(mend('Location: http://shop.example/a?b#c\r\n'), 'Location: https://shop.example/a?b#c\r\n');
  assert.equal(mend('location: HTTP://SHOP.example:80\r\n'), 'Location: https://shop.example\r\n');
  assert.equal(mend('Location: http://shop.example/a\r\n', 'shop.example:8443'), 'Location: https://shop.example:8443/a\r\n');
  assert.equal(mend('Location: http://shop.example:8443/a\r\n', 'shop.example:8443'), 'Location: https://shop.example:8443/a\r\n');
  assert.equal(mend('Location: http://[2001:db8::1]/a\r\n', '[2001:db8::1]:8443'), 'Location: https://[2001:db8::1]:8443/a\r\n');
});

test('a Location that leads elsewhere is left alone', () => {
  for (const location of [
    '/a',
    'https://shop.example/a',
    'http://other.example/',
    'http://shop.example.evil/',
    'http://shop.example:81/',
    'http://u@shop.example/',
    'ftp://shop.example/',
    'http://',
  ]) {
    assert.equal(mend(`Location: ${location}\r\n`), null, location);
  }
});

test('a Location with the name that only the server was told is mended', () => {
  assert.equal(mend('Location: http://app.internal:8080/x\r\n', 'shop.example', 'app.internal'), 'Location: https://shop.example/x\r\n');
  assert.equal(mend('Location: https://APP.internal\r\n', 'shop.example', 'app.internal'), 'Location: https://shop.example\r\n');
});

test('cookies become Secure, in their order', () => {
  assert.equal(mend('Set-Cookie: a=1; Path=/; HttpOnly\r\n'), 'Set-Cookie: a=1; Path=/; HttpOnly; Secure\r\n');
  assert.equal(mend('Set-Cookie: a=1; secure\r\n'), null);
  assert.equal(mend('Set-Cookie: a=secure\r\n'), 'Set-Cookie: a=secure; Secure\r\n');
  assert.equal(
    mend('Set-Cookie: a=1; Secure\r\nSet-Cookie: b=2\r\nSet-Cookie: c=3;Secure\r\n'),
    'Set-Cookie: b=2; Secure\r\nSet-Cookie: c=3;Secure\r\n',
  );
});

test('a Domain that only the server knows is dropped; another stays', () => {
  const cookie = 'Set-Cookie: a=1; Domain=.app.internal; Path=/; Secure\r\n';
  assert.equal(mend(cookie, 'shop.example', 'app.internal'), 'Set-Cookie: a=1; Path=/; Secure\r\n');
  assert.equal(mend(cookie), null);
  assert.equal(mend('Set-Cookie: a=1; Secure; Domain=app.internal\r\n', 'shop.example', 'app.internal'), 'Set-Cookie: a=1; Secure\r\n');
  assert.equal(mend('Set-Cookie: a=1; Secure; Domain=example\r\n', 'shop.example', 'app.internal'), null);
});

test('without room nothing is written', () => {
  const { buf: bytes, head } = readResponse('HTTP/1.1 302 Found\r\nLocation: http://shop.example/a\r\nContent-Length: 0\r\n\r\n');
  const mending = new Mending();
  mending.authority.set(Buffer.from('shop.example'));
  mending.authorityBytes = 12;
  const buf = Buffer.alloc(1_024);
  bytes.copy(buf);
  assert.ok(markMended(buf, head, mending));
  assert.equal(writeMended(buf, 512, 530, head, mending), -1);
});

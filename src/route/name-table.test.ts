import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NameTable, NO_MATCH } from './name-table.ts';

function find(table: NameTable, name: string | null, ...protocols: readonly string[]): number {
  return table.find(name, { offersAlpn: (protocol) => protocols.includes(Buffer.from(protocol).toString('latin1')) });
}

const rule = (sni: string | null, ...alpn: readonly string[]) => ({ sni, alpn });

test('NameTable takes the first rule that matches name and protocol', () => {
  const table = new NameTable([
    rule('db.example'),
    rule('*.example', 'mqtt', 'imap'),
    rule('mail.example'),
    rule('*.deep.example'),
    rule(null, 'h2'),
  ]);
  assert.equal(find(table, 'db.example'), 0);
  assert.equal(find(table, 'db.example', 'mqtt'), 0);
  assert.equal(find(table, 'mail.example'), 2);
  assert.equal(find(table, 'mail.example', 'imap'), 1);
  assert.equal(find(table, 'a.example'), NO_MATCH);
  assert.equal(find(table, 'a.example', 'x', 'mqtt'), 1);
  assert.equal(find(table, 'a.example', 'h2'), 4);
  assert.equal(find(table, 'a.deep.example'), 3);
  assert.equal(find(table, 'a.b.deep.example', 'imap'), 1);
  assert.equal(find(table, 'example', 'h2'), 4);
  assert.equal(find(table, 'other.org'), NO_MATCH);
});

test('NameTable gives who names no server the rules for any name alone', () => {
  const named = new NameTable([rule('*.example'), rule('a.example')]);
  assert.equal(find(named, null), NO_MATCH);
  const all = new NameTable([rule('a.example'), rule(null)]);
  assert.equal(find(all, null), 1);
  assert.equal(find(all, 'b.example'), 1);
  assert.equal(find(all, 'a.example'), 0);
  assert.equal(find(new NameTable([]), 'a.example'), NO_MATCH);
});

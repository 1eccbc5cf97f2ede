import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HostAddress } from '../config/resolve-host.ts';
import { ErrorLog } from '../observe/log.ts';
import { NameWatcher } from './name-watcher.ts';

/** A DNS server of a few lines: answers A and AAAA from what it is told, NXDOMAIN otherwise. RFC 1035, section 4. */
class TinyDns {
  readonly #socket: Socket = createSocket('udp4');
  records = new Map<string, { ttl: number; addresses: readonly string[] }>();
  questions = 0;

  async open(): Promise<string> {
    this.#socket.on('message', (query, from) => this.#socket.send(this.#answer(query), from.port, from.address));
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    return `127.0.0.1:${(this.#socket.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#socket.close();
  }

  #answer(query: Buffer): Buffer {
    this.questions++;
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.latin1Slice(at + 1, at + 1 + length));
      at += 1 + length;
    }
    const question = query.subarray(12, at + 5);
    const isSix = query.readUInt16BE(at + 1) === 28;
    const record = this.records.get(labels.join('.'));
    const addresses = (record?.addresses ?? []).filter((address) => address.includes(':') === isSix);
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(record === undefined ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(addresses.length, 6);
    const answers = addresses.map((address) => {
      const data = isSix
        ? Buffer.from(
            address
              .split(':')
              .map((word) => Number.parseInt(word, 16))
              .flatMap((word) => [word >> 8, word & 255]),
          )
        : Buffer.from(address.split('.').map(Number));
      const fixed = Buffer.alloc(12);
      fixed.writeUInt16BE(0xc00c, 0);
      fixed.writeUInt16BE(isSix ? 28 : 1, 2);
      fixed.writeUInt16BE(1, 4);
      fixed.writeUInt32BE(record!.ttl, 6);
      fixed.writeUInt16BE(data.length, 10);
      return Buffer.concat([fixed, data]);
    });
    return Buffer.concat([head, question, ...answers]);
  }
}

const FULL = '2001:db8:0:0:0:0:0:1';

test('a name is looked up again when its time is over, and a change is told once', async (t) => {
  const dns = new TinyDns();
  const servers = [await dns.open()];
  t.after(() => dns.close());
  dns.records.set('app.test', { ttl: 1, addresses: ['192.0.2.1', '192.0.2.2', FULL] });
  const told: string[] = [];
  let wake = (): void => {};
  const onChange = (name: string, addresses: readonly HostAddress[]): void => {
    told.push(`${name} ${addresses.map(({ address }) => address).join(' ')}`);
    wake();
  };
  const until = async (count: number): Promise<void> => {
    while (told.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const watcher = new NameWatcher({ log: new ErrorLog().log, onChange, servers, hostsFile: '/nonexistent' });
  t.after(() => watcher.close());
  const keep = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(keep));
  watcher.watch('app.test', [{ address: '192.0.2.9', family: 4 }]);
  await until(1);
  assert.equal(told[0], 'app.test 2001:db8::1 192.0.2.1 192.0.2.2', 'families in turn, IPv6 first');
  // Another order is no change.
  dns.records.set('app.test', { ttl: 1, addresses: ['192.0.2.2', FULL, '192.0.2.1'] });
  const asked = dns.questions;
  while (dns.questions < asked + 2) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(told.length, 1);
  // Gone from DNS: what is known stays, and what comes back is told.
  dns.records.delete('app.test');
  const lost = dns.questions;
  while (dns.questions < lost + 2) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(watcher.addresses('app.test').length, 3);
  dns.records.set('app.test', { ttl: 1, addresses: ['192.0.2.7'] });
  await until(2);
  assert.equal(told[1], 'app.test 192.0.2.7');
});

test('the hosts file goes before DNS', async (t) => {
  const dns = new TinyDns();
  const servers = [await dns.open()];
  t.after(() => dns.close());
  dns.records.set('app.test', { ttl: 1, addresses: ['192.0.2.1'] });
  const hostsFile = join(mkdtempSync(join(tmpdir(), 'tollgate-hosts-')), 'hosts');
  writeFileSync(hostsFile, '127.0.0.1 localhost\n# 10.0.0.9 app.test\n10.0.0.1\tother APP.test # here\n2001:db8::5 app.test\n');
  const { promise, resolve } = Promise.withResolvers<readonly HostAddress[]>();
  const watcher = new NameWatcher({ log: new ErrorLog().log, onChange: (_name, addresses) => resolve(addresses), servers, hostsFile });
  t.after(() => watcher.close());
  watcher.watch('app.test', []);
  assert.deepEqual(
    (await promise).map(({ address }) => address),
    ['2001:db8::5', '10.0.0.1'],
  );
  assert.equal(dns.questions, 0);
});

/**
 * A network of its own with eight local ports, and Tollgate in it: run by exhaustion.test.ts, in a network namespace. Clients come over a Unix
 * socket; two ports are the servers', the other six are for connections to each of them.
 */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { rawOrigin } from './origin.ts';
import { Tollgate, until } from './tollgate.ts';

class PlainClient {
  readonly socket: Socket;
  received = '';

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on('data', (data) => {
      this.received += String(data);
    });
    this.socket.on('error', () => {});
  }

  async ask(path: string, answer: string, more = ''): Promise<string> {
    this.received = '';
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`);
    await until(() => this.received.includes(answer));
    return this.received;
  }
}

test('out of local ports', async (t) => {
  const held: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => {
    let tunnel = false;
    socket.on('data', (data: Buffer) => {
      if (tunnel) socket.write(data);
      else if (String(data).startsWith('GET /hold')) held.push(socket);
      else if (String(data).includes('Upgrade: echo')) {
        tunnel = true;
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      } else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  const other = await rawOrigin(t, (socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother'));
  });
  const tollgate = await Tollgate.start(t, {
    config: `
listeners:
  - name: web
    address: unix:web.sock
    routes: [{ match: { path: /other }, to: other }, { to: origin }]
upstreams:
  - { name: origin, targets: ["127.0.0.1:${origin.port}"] }
  - { name: other, targets: ["127.0.0.1:${other.port}"] }
`,
  });
  const client = (): PlainClient => {
    const made = new PlainClient(`${tollgate.directory}/web.sock`);
    t.after(() => made.socket.destroy());
    return made;
  };
  const tunnel = client();
  await tunnel.ask('/', '101 Switching', 'Connection: Upgrade\r\nUpgrade: echo\r\n');
  const holders = Array.from({ length: 5 }, () => client());
  for (const holder of holders) holder.socket.write('GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => held.length === 5);

  const late = client();
  assert.match(await late.ask('/', '\r\n\r\n'), /^HTTP\/1\.1 503 /);
  assert.match(await late.ask('/other', 'other'), /^HTTP\/1\.1 200 /);
  tunnel.socket.write('still there');
  await until(() => tunnel.received.endsWith('still there'));
  await until(() => tollgate.accessLog().some(({ path }) => path === '/other'));
  assert.deepEqual(
    tollgate.accessLog().flatMap(({ status, reason }) => (status === 503 ? [reason] : [])),
    ['local_ports'],
  );
  assert.equal((await tollgate.metrics()).get('tollgate_faults_total{reason="local_ports",culprit="us"}'), 1);

  for (const socket of held) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld');
  for (const holder of holders) await until(() => holder.received.endsWith('held'));
  assert.match(await client().ask('/', 'ok'), /^HTTP\/1\.1 200 /);
});

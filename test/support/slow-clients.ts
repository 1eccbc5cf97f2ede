/**
 * A crowd of clients that mean no good, in a process of its own: `slow-clients.ts PORT SECONDS KIND=COUNT...`. Prints `open` when all are
 * there, and one line of JSON (how many of each kind the other side has ended) when standard input ends, or SECONDS are over.
 *
 *   silent   connects, and says nothing
 *   hello    a ClientHello, a byte a second
 *   head     a request head over TLS, a byte a second (slowloris)
 *   body     a large body over TLS, a byte a second
 *   reader   asks for something large, and takes next to nothing
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';

const [portText = '', secondsText = '', ...kinds] = process.argv.slice(2);
const port = Number(portText);
const DRIP_MS = 1_000;
/** Connections begun at once: more would overrun the queue that everybody waits in. */
const BATCH = 100;

interface Slow {
  readonly kind: string;
  readonly socket: Socket | TLSSocket;
  ended: boolean;
}

const all: Slow[] = [];

const BEGINNINGS: Readonly<Record<string, string>> = {
  head: 'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
  body: 'POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n',
  reader: 'GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n',
};

async function open(kind: string): Promise<void> {
  const beginning = BEGINNINGS[kind];
  const socket =
    beginning === undefined
      ? connectTcp(port, '127.0.0.1')
      : connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
  const slow: Slow = { kind, socket, ended: false };
  all.push(slow);
  socket.on('error', () => {});
  socket.on('close', () => {
    slow.ended = true;
  });
  await new Promise<void>((resolve) => {
    socket.once(beginning === undefined ? 'connect' : 'secureConnect', resolve);
    socket.once('close', resolve);
  });
  if (beginning !== undefined) socket.write(beginning);
  if (kind === 'reader') socket.pause();
  // A record that announces more than will come.
  if (kind === 'hello') socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]));
  if (kind !== 'reader') socket.resume();
}

for (const each of kinds) {
  const [kind = '', count] = each.split('=');
  for (let left = Number(count); left > 0; left -= BATCH)
    await Promise.all(Array.from({ length: Math.min(BATCH, left) }, () => open(kind)));
}
process.stdout.write('open\n');

const dripping = setInterval(() => {
  for (const { kind, socket, ended } of all) {
    if (ended || socket.destroyed || kind === 'silent' || kind === 'reader') continue;
    socket.write(kind === 'hello' ? Buffer.from([3]) : 'x');
  }
}, DRIP_MS);
const until = Date.now() + Number(secondsText) * 1_000;
let over = false;
process.stdin.once('end', () => {
  over = true;
});
process.stdin.resume();
while (Date.now() < until && !over) await new Promise((resolve) => setTimeout(resolve, 200));
clearInterval(dripping);
const ended: Record<string, number> = {};
for (const { kind, ended: gone } of all) if (gone) ended[kind] = (ended[kind] ?? 0) + 1;
for (const { socket } of all) socket.destroy();
process.stdout.write(`${JSON.stringify(ended)}\n`);

/**
 * A load of its own process: `tls-client.ts MODE PORT COUNT PARALLEL [CERTIFICATE KEY]`. Modes: `full` and `resumed` handshakes, one request and a clean
 * close each; `idle`, connections that make one request and then stay until standard input ends; `echo`, messages there and back through
 * a tunnel that an upgrade made. Its own CPU does not count: the proxy's does. Prints one line of JSON.
 */
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

const [mode = '', portText = '', countText = '', parallelText = '', certificate, key] = process.argv.slice(2);
const port = Number(portText);
const count = Number(countText);
const parallel = Number(parallelText);
const REQUEST = `GET / HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`;
const KEPT_REQUEST = `GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`;

/** The same key exchange with everyone: a contender that knows X25519MLKEM768 would otherwise do more work, and be punished for it. */
const SAME = { minVersion: 'TLSv1.3', ecdhCurve: 'X25519' } as const;

/** What this client shows of itself; nothing when it has been given none. */
const OWN = certificate === undefined || key === undefined ? {} : { cert: readFileSync(certificate), key: readFileSync(key) };

interface Visit {
  readonly resumed: boolean;
  readonly ticket: Buffer | undefined;
}

function visit(ticket: Buffer | undefined): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const options: ConnectionOptions = {
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      rejectUnauthorized: false,
      ...SAME,
      ...OWN,
    };
    const socket = connect(ticket === undefined ? options : { ...options, session: ticket });
    let next: Buffer | undefined;
    let answer = '';
    let resumed = false;
    socket.once('secureConnect', () => {
      resumed = socket.isSessionReused();
      socket.write(REQUEST);
    });
    socket.on('session', (each) => {
      next = each;
    });
    socket.on('data', (data) => {
      answer += data.toString('latin1');
    });
    socket.once('error', reject);
    socket.once('close', () => {
      if (answer.startsWith('HTTP/1.1 200 ')) resolve({ resumed, ticket: next });
      else reject(new Error(`no answer: ${answer.slice(0, 80)}`));
    });
  });
}

async function handshakes(): Promise<void> {
  let left = count;
  let resumed = 0;
  const walk = async (): Promise<void> => {
    let ticket = mode === 'resumed' ? (await visit(undefined)).ticket : undefined;
    while (left-- > 0) {
      const done = await visit(ticket);
      if (done.resumed) resumed++;
      if (mode === 'resumed') ticket = done.ticket ?? ticket;
    }
  };
  await Promise.all(Array.from({ length: parallel }, walk));
  // The first visit of each walker, which fetched its ticket, was a full handshake beside the count.
  process.stdout.write(`${JSON.stringify({ handshakes: count + (mode === 'resumed' ? parallel : 0), resumed })}\n`);
}

async function idle(): Promise<void> {
  const sockets: TLSSocket[] = [];
  const open = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
      sockets.push(socket);
      socket.once('error', reject);
      socket.once('secureConnect', () => socket.write(KEPT_REQUEST));
      socket.once('data', () => resolve());
    });
  for (let done = 0; done < count; done += parallel) await Promise.all(Array.from({ length: Math.min(parallel, count - done) }, open));
  process.stdout.write(`${JSON.stringify({ connections: sockets.length })}\n`);
  await new Promise((resolve) => process.stdin.once('end', resolve).resume());
  for (const socket of sockets) socket.destroy();
}

/** Bytes of a message in a tunnel: a chat's line, a price, a cursor. */
const MESSAGE = Buffer.alloc(128, 'm');
const UPGRADE =
  `GET /echo HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

async function echo(): Promise<void> {
  let left = count;
  const tunnel = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, ...SAME });
      let head: string | null = '';
      let missing = 0;
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('a tunnel ended')));
      socket.once('secureConnect', () => socket.write(UPGRADE));
      socket.on('data', (data) => {
        if (head !== null) {
          head += data.toString('latin1');
          if (!head.endsWith('\r\n\r\n')) return;
          if (!head.startsWith('HTTP/1.1 101 ')) return void socket.destroy(new Error(`no tunnel: ${head.slice(0, 80)}`));
          head = null;
        } else missing -= data.length;
        if (missing > 0) return;
        if (left-- <= 0) {
          socket.removeAllListeners('close').destroy();
          return resolve();
        }
        missing = MESSAGE.length;
        socket.write(MESSAGE);
      });
    });
  await Promise.all(Array.from({ length: parallel }, tunnel));
  process.stdout.write(`${JSON.stringify({ messages: count })}\n`);
}

if (mode === 'echo') await echo();
else if (mode === 'idle') await idle();
else await handshakes();

/**
 * One case at a time through a gateway: a client that sends bytes and keeps all answers, and a server that records bytes. Owns how a case is
 * run and observed; must not know the cases, nor which gateway it is. Nothing sleeps: an exchange ends when the gateway ends the connection,
 * or answers a last request of ours that asks for the end.
 */
import { createServer, type Server, type Socket } from 'node:net';

/** The request behind a case: shows that the connection is alive and in step, and that nothing of the case is still on its way. */
export const BARRIER = 'GET /barrier HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
const BARRIER_BODY = 'behind the barrier';

/** What the server got: whole requests, and bytes that are none. Barriers are left out. */
export interface Recorded {
  readonly requests: readonly string[];
  readonly partial: string;
}

/** A server on 127.0.0.1 that records and answers 200, or what it is told to. */
export class RecordingOrigin {
  port = 0;
  /** Raw answer to the next requests that are no barrier; null: 200 with a length. */
  script: { readonly bytes: string; readonly ends: boolean } | null = null;
  /** The last barrier came on the connection that had been given the last scripted answer. */
  reused = false;
  #scripted: Socket | null = null;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Unfinished bytes of each connection, ended ones too. */
  #pending = new Map<Socket, string>();
  #requests: string[] = [];

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('data', (data) => this.#hear(socket, data.toString('latin1')));
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    this.port = address.port;
    return this;
  }

  /** What has come since the last call. */
  take(): Recorded {
    const record = { requests: this.#requests, partial: [...this.#pending.values()].join('') };
    this.#requests = [];
    for (const socket of this.#pending.keys()) if (this.#sockets.has(socket) && this.#pending.get(socket) !== '') socket.destroy();
    this.#pending = new Map();
    return record;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #hear(socket: Socket, text: string): void {
    let bytes = (this.#pending.get(socket) ?? '') + text;
    for (let end = endOfRequest(bytes); end > 0; end = endOfRequest(bytes)) {
      this.#answer(socket, bytes.slice(0, end));
      bytes = bytes.slice(end);
    }
    this.#pending.set(socket, bytes);
  }

  #answer(socket: Socket, request: string): void {
    const isBarrier = request.startsWith('GET /barrier ');
    if (isBarrier) this.reused = socket === this.#scripted;
    else this.#requests.push(request);
    if (this.script !== null && !isBarrier) {
      const { bytes, ends } = this.script;
      this.#scripted = socket;
      if (ends) socket.end(bytes, 'latin1');
      else socket.write(bytes, 'latin1');
      return;
    }
    const body = isBarrier ? BARRIER_BODY : 'ok';
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${request.startsWith('HEAD ') ? '' : body}`);
  }
}

/** Where the first request in `bytes` ends, read as leniently as a careless server would; 0 while it is not whole. */
function endOfRequest(bytes: string): number {
  const head = /\r?\n\r?\n/.exec(bytes);
  if (head === null) return 0;
  const at = head.index + head[0].length;
  const lines = bytes.slice(0, at);
  if (/^transfer-encoding[ \t]*:.*chunked/im.test(lines)) return endOfChunks(bytes, at);
  const length = Number(/^content-length[ \t]*:[ \t]*\+?(\d+)/im.exec(lines)?.[1] ?? 0);
  return bytes.length >= at + length ? at + length : 0;
}

function endOfChunks(bytes: string, start: number): number {
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf('\n', at);
    if (lineEnd < 0) return 0;
    const size = Number.parseInt(bytes.slice(at, lineEnd), 16);
    at = lineEnd + 1;
    // What is no chunk ends the body: the rest shows up as bytes that are no request.
    if (Number.isNaN(size)) return at;
    if (size === 0) break;
    at += size + 2;
    if (at > bytes.length) return 0;
  }
  for (;;) {
    const lineEnd = bytes.indexOf('\n', at);
    if (lineEnd < 0) return 0;
    const line = bytes.slice(at, lineEnd).trim();
    at = lineEnd + 1;
    if (line === '') return at;
  }
}

export interface Dialogue {
  /** All that the gateway said, latin1. The barrier's answer included. */
  readonly text: string;
  /** Statuses of its answers, the barrier's left out. */
  readonly statuses: readonly number[];
  /** The barrier was answered on the same connection: it had been left open, and in step. */
  readonly alive: boolean;
  /** It neither answered nor closed in time. */
  readonly silent: boolean;
}

/**
 * Sends `bytes` on a connection from `connect` and, once a first answer is there, a barrier when `probes`; gives what came until the gateway
 * ended, or `ms` were over.
 */
export async function talk(connect: () => Socket, bytes: string, probes: boolean, ms: number): Promise<Dialogue> {
  const socket = connect();
  let text = '';
  let probed = !probes;
  let silent = false;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      silent = true;
      resolve();
    }, ms);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1');
      if (!probed && /^HTTP\/1\.[01] \d{3}/.test(text)) {
        probed = true;
        socket.write(BARRIER);
      }
    });
    socket.on('end', done);
    socket.on('error', done);
    socket.on('close', done);
    socket.write(bytes, 'latin1');
  });
  socket.destroy();
  const alive = text.endsWith(BARRIER_BODY);
  const statuses = [...text.matchAll(/HTTP\/1\.[01] (\d{3})[ \r]/g)].map((match) => Number(match[1]));
  return { text, statuses: alive ? statuses.slice(0, -1) : statuses, alive, silent };
}

/** Whether the one response in `text`, with a length or chunks, lacks its end. */
export function isCut(text: string): boolean {
  const at = text.indexOf('\r\n\r\n') + 4;
  const length = /\r\nContent-Length: (\d+)\r\n/i.exec(text.slice(0, at))?.[1];
  return length === undefined ? !text.endsWith('0\r\n\r\n') : text.length - at < Number(length);
}

/** Runs `jobs` in order, `lanes` of them at once: each lane takes the next one when it is free. */
export async function inLanes<Lane, Job>(
  lanes: readonly Lane[],
  jobs: readonly Job[],
  run: (lane: Lane, job: Job) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    lanes.map(async (lane) => {
      while (next < jobs.length) await run(lane, jobs[next++]!);
    }),
  );
}

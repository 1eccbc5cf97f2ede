/** Clients that say exactly what they are told, over TLS or not. */
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { ca } from './certificates.ts';

/** `localAddress`: where it comes from. */
export type ClientOptions = ConnectionOptions & { readonly localAddress?: string };

/** A verified TLS connection. Errors are kept in `failure`, never thrown past the test. */
export class Client {
  readonly socket: TLSSocket;
  #chunks: Buffer[] = [];
  failure: NodeJS.ErrnoException | null = null;
  /** The server has ended its direction. */
  ended = false;
  closed = false;
  secured = false;
  #waiting: (() => void)[] = [];

  constructor(port: number, options: ClientOptions = {}) {
    this.socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca, allowHalfOpen: true, ...options } as ConnectionOptions);
    this.socket.on('data', (data: Buffer) => {
      this.#chunks.push(data);
      this.#wake();
    });
    this.socket.on('error', (error) => {
      this.failure = error;
      this.#wake();
    });
    this.socket.on('end', () => {
      this.ended = true;
      this.#wake();
    });
    this.socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
    this.socket.on('secureConnect', () => {
      this.secured = true;
      this.#wake();
    });
  }

  #wake(): void {
    for (const each of this.#waiting.splice(0)) each();
  }

  /** All that came since it was last set. */
  get received(): Buffer {
    // Joined when somebody looks: a large body comes in hundreds of pieces.
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  set received(bytes: Buffer) {
    this.#chunks = bytes.length === 0 ? [] : [bytes];
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  async open(): Promise<this> {
    await this.wait(() => this.secured || this.failure !== null || this.closed);
    if (this.failure !== null) throw this.failure;
    return this;
  }

  send(text: string | Buffer): this {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
    return this;
  }

  /** Waits until `condition` holds, after every event of the connection. */
  async wait(condition: () => boolean, ms = 60_000): Promise<void> {
    const timer = setTimeout(() => this.#wake(), ms);
    const end = Date.now() + ms;
    while (!condition()) {
      if (Date.now() >= end) {
        throw new Error(
          `not within ${ms} ms: ${condition}; got ${JSON.stringify(this.text.slice(-300))}${this.failure === null ? '' : `, ${this.failure.message}`}`,
        );
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    clearTimeout(timer);
  }

  async until(text: string): Promise<string> {
    await this.wait(() => this.text.includes(text));
    return this.text;
  }

  /** Everything until the server ends. */
  async all(): Promise<string> {
    await this.wait(() => this.ended || this.closed);
    this.socket.destroy();
    return this.text;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** One exchange: sends `text`, and gives everything the server says until it ends. */
export async function exchange(port: number, text: string, options: ClientOptions = {}): Promise<string> {
  const client = await new Client(port, options).open();
  return await client.send(text).all();
}

/** As `exchange` without TLS, for what a TLS port gets that is no TLS, and for plain listeners. `close`, too, ends it. */
export async function plainExchange(port: number, bytes: string | Buffer): Promise<Buffer> {
  const socket: Socket = connectTcp(port, '127.0.0.1');
  const got: Buffer[] = [];
  return await new Promise((resolve) => {
    socket.on('connect', () => socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes));
    socket.on('data', (data: Buffer) => got.push(data));
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(got)));
  });
}

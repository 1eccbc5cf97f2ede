/** For connections that are carried as they are: configurations, and pieces that look random. */
import { createCipheriv } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { leaf } from './certificates.ts';
import { Tollgate, type TollgateOptions } from './tollgate.ts';

export const PIECE_BYTES = 1 << 20;

/** Bytes that look random, the same for the same seed, faster than they can be sent. */
export function* pieces(seed: number, count: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE_BYTES);
  for (let i = 0; i < count; i++) yield cipher.update(zeros);
}

/** The TLS of a listener for `names`; `more` goes into its mapping. */
export function tls(names: readonly string[] = ['localhost'], more = ''): string {
  const { certificate, key } = leaf(names);
  return `tls: { certificates: [{ certificate: ${certificate}, key: ${key} }]${more} }`;
}

/** One tcp listener in front of `to`. `listener` are its own lines, without indentation. */
export async function tcpTollgate(
  t: TestContext,
  to: number,
  listener: string,
  { top = '', upstream = '', ...options }: TollgateOptions & { readonly top?: string; readonly upstream?: string } = {},
): Promise<Tollgate> {
  const lines = listener.trim().replaceAll('\n', '\n    ');
  return await Tollgate.start(t, {
    ...options,
    config: `${top}
listeners:
  - name: raw
    address: 127.0.0.1:PORT
    ${lines.includes('protocol:') ? '' : 'protocol: tcp'}
    ${lines}
upstreams:
  - { name: server, targets: ["127.0.0.1:${to}"]${upstream} }
`,
  });
}

/** A connection without TLS, whose bytes are kept. */
export class Plain {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  ended = false;
  closed = false;
  failure: NodeJS.ErrnoException | null = null;

  constructor(port: number, localAddress?: string) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, ...(localAddress === undefined ? {} : { localAddress }) });
    this.socket.on('data', (data: Buffer) => {
      this.received = Buffer.concat([this.received, data]);
    });
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('error', (error) => {
      this.failure = error;
    });
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  close(): void {
    this.socket.destroy();
  }
}

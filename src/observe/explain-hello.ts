/** A hello in bytes, explained: what it is, and what each listener of a plan would do with it. */
import { faultOf, NEED_MORE } from '../base/faults.ts';
import { ClientHello, readClientHello } from '../hello/client-hello.ts';
import { ja3, ja4 } from '../hello/fingerprint.ts';
import type { Plan } from '../plan/plan.ts';
import { explain, type ListenerExplanation } from './explain.ts';

export interface Explanation {
  /** The server's name in the hello, or the host that was asked for. */
  readonly host: string;
  readonly sni: string | null;
  readonly alpn: readonly string[];
  readonly ja4: string | null;
  readonly ja3: string | null;
  readonly offered: object | null;
  /** Why no listener would read it: the fault's reason; null: it is a hello. */
  readonly unreadable: string | null;
  readonly listeners: readonly ListenerExplanation[];
}

/** `host` null: what the hello asks for. */
export function explainHello(plan: Plan, bytes: Buffer, host: string | null, path: string, nowMs: number): Explanation {
  const hello = new ClientHello();
  const used = readClientHello(bytes, 0, bytes.length, hello);
  if (used <= 0) {
    const unreadable = used === NEED_MORE ? 'hello_gone' : faultOf(used).reason;
    return { host: host ?? '', sni: null, alpn: [], ja4: null, ja3: null, offered: null, unreadable, listeners: [] };
  }
  const sni = hello.serverName();
  const asked = (host ?? sni ?? '').toLowerCase().replace(/\.$/, '');
  return {
    host: asked,
    sni,
    alpn: hello.alpnNames(),
    ja4: ja4(hello),
    ja3: ja3(hello),
    offered: hello.describe(),
    unreadable: null,
    listeners: explain(plan, hello, asked, path, nowMs),
  };
}

/** Upstreams for tests, as a plan has them. */
import type { UpstreamPlan } from '../plan/plan.ts';

/** Targets at these ports of 127.0.0.1, with deadlines that no test waits for but those of answers. `more` is said in place of that. */
export function upstreamPlan(ports: readonly number[], more: Partial<UpstreamPlan> = {}): UpstreamPlan {
  return {
    name: 'u',
    balance: 'round-robin',
    targets: ports.map((port, slot) => ({
      label: `127.0.0.1:${port}`,
      addresses: [{ family: 4, ip: '127.0.0.1', port }],
      host: null,
      weight: 1,
      slot,
    })),
    idleMax: 1,
    idleMs: 60_000,
    connectMs: 60_000,
    responseHeadMs: 1_000,
    bodyMs: 1_000,
    proxyProtocol: null,
    source4: null,
    source6: null,
    tls: null,
    ...more,
  };
}

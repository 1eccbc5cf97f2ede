/** What is left of an exchange when it is over: its counters, its access line, its span, and a line for whoever watches closely. */
import { C_REQUESTS_OPEN, C_RESPONSES_1XX, H_DURATION, observe, R_1XX, R_SECONDS, R_UNANSWERED, ROUTE_PLACES } from '../plan/counters.ts';
import { ROUTE_NONE } from '../plan/table.ts';
import type { ExchangeState } from './exchange-state.ts';

export function recordEnd(state: ExchangeState): void {
  const { client, headSent, provenance, record, route, span } = state;
  const { context } = client!;
  const { counters, routeCounters, reactor, unixOffsetMs } = context;
  const seconds = (reactor.nowMs - record.startMs) / 1_000;
  const at = route === null ? ROUTE_NONE * ROUTE_PLACES : route.countersAt;
  observe(counters, H_DURATION.at, H_DURATION.bounds, seconds);
  routeCounters[at + R_SECONDS]! += seconds;
  counters[C_REQUESTS_OPEN]!--;
  if (headSent) {
    const statusClass = Math.floor(record.status / 100) - 1;
    counters[C_RESPONSES_1XX + statusClass]!++;
    routeCounters[at + R_1XX + statusClass]!++;
  } else routeCounters[at + R_UNANSWERED]!++;
  if (context.debug !== null) tellWatcher(state);
  context.logs.access?.write(record, client!, provenance.address, reactor.nowMs, context.unixMs());
  span?.end(route?.name ?? '', headSent ? record.status : 0, record.bytesSent, reactor.nowMs, unixOffsetMs);
}

/** Cold. */
function tellWatcher({ client, keepAlive, record, route }: ExchangeState): void {
  const { address, context, requests, site } = client!;
  const routeName = route?.name ?? null;
  if (context.debug?.wantsRequest(address, routeName) !== true) return;
  const { bytes, hostStart, hostEnd, methodEnd, pathStart, pathEnd } = record;
  context.debug.write(context.unixMs(), {
    what: 'request',
    client: address,
    listener: site.name,
    route: routeName,
    requestId: Buffer.from(record.requestId).toString('latin1'),
    onConnection: requests,
    ...(record.hasRequest
      ? {
          method: bytes.latin1Slice(0, methodEnd),
          host: bytes.latin1Slice(hostStart, hostEnd),
          path: bytes.latin1Slice(pathStart, pathEnd),
        }
      : {}),
    status: record.status,
    bytes: record.bytesSent,
    durationMs: Math.round((context.reactor.nowMs - record.startMs) * 1_000) / 1_000,
    keptAlive: keepAlive,
    upstream: record.upstream,
    reason: record.reason,
  });
}

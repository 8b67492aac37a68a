import type { IncomingMessage } from 'node:http';
import { currentTrace, Secret, uuidv7 } from '@postern/runtime';
import type { Connection } from './connection.ts';
import type { ListenerName, RequestFacts } from './declaration.ts';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;
const NO_TRACE = '0'.repeat(32);

/** The caller's `X-Request-Id` when it is short and plain, else a new one. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : uuidv7();
}

export type RequestTrace = { readonly id: string; readonly sampled: boolean };

/** The trace of a request: the one under way here, else that of the caller's W3C `traceparent`, version 00. */
export function traceOf(request: IncomingMessage): RequestTrace | null {
  const here = currentTrace();
  if (here !== null) return here;
  const given = request.headers['traceparent'];
  const [, id, flags = ''] = (typeof given === 'string' && TRACEPARENT.exec(given)) || [];
  return id === undefined || id === NO_TRACE ? null : { id, sampled: (parseInt(flags, 16) & 1) === 1 };
}

export type Addressed = {
  readonly listener: ListenerName;
  readonly path: string;
  /** Origins under which this listener is known; the first is used where `Host` names none of them. */
  readonly origins: readonly string[];
  readonly trace: RequestTrace | null;
};

/** What a handler may see of a request. `Host` counts only where it names an origin of ours: it is the caller's to choose. */
export function requestFacts(
  request: IncomingMessage,
  id: string,
  connection: Connection,
  at: Addressed,
): RequestFacts {
  const { headers } = request;
  return {
    id,
    trace: at.trace?.id ?? null,
    listener: at.listener,
    address: connection.address,
    workload: connection.workload,
    certificateThumbprint: connection.thumbprint,
    get url() {
      const named = `https://${headers.host ?? ''}`;
      return `${at.origins.includes(named) ? named : (at.origins[0] ?? named)}${at.path}`;
    },
    dpop: typeof headers['dpop'] === 'string' ? headers['dpop'] : null,
    get authorization() {
      return headers.authorization === undefined ? null : new Secret(headers.authorization);
    },
    get cookies() {
      return cookiesOf(headers.cookie);
    },
  };
}

function cookiesOf(header: string | undefined): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, at).trim();
    // The first of a name counts: a later one can be planted by a sibling host.
    if (at > 0 && !cookies.has(name)) cookies.set(name, pair.slice(at + 1).trim());
  }
  return cookies;
}

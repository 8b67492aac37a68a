import { createHttpApp, type App, type AppSpec } from '@postern/http';
import { problems } from './problems.ts';
import { type GetRecord } from './records/get-record.ts';
import { type PutRecord } from './records/put-record.ts';
import { retrieve } from './routes/retrieve.ts';
import { store } from './routes/store.ts';

export const SERVICE = 'crypto-store';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = GetRecord &
  PutRecord & {
    /** A replica that is only a worker has no routes of its own. */
    serves: boolean;
    http: Omit<AppSpec, 'service' | 'routes' | 'problems'>;
  };

/** The service as its routes. No I/O happens here. */
export function createApp({ http, serves, ...records }: AppDeps): App {
  const routes = serves ? [store(records), retrieve(records)] : [];
  return createHttpApp({ ...http, service: SERVICE, problems, routes });
}

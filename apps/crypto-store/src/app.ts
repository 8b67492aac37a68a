import { createHttpApp, type App, type AppSpec } from '@postern/http';
import { problems } from './problems.ts';
import { type ChangeVersions } from './records/change-versions.ts';
import { type GetRecord } from './records/get-record.ts';
import { type PutRecord } from './records/put-record.ts';
import { deleteRecord } from './routes/delete-record.ts';
import { destroyRecord } from './routes/destroy-record.ts';
import { getRecordRoute, headRecordRoute } from './routes/get-record.ts';
import { listRecordsRoute } from './routes/list-records.ts';
import { listVersionsRoute } from './routes/list-versions.ts';
import { putRecordRoute } from './routes/put-record.ts';
import { recordBatch } from './routes/record-batch.ts';
import { recordHashes } from './routes/record-hashes.ts';
import { retrieve } from './routes/retrieve.ts';
import { store } from './routes/store.ts';
import { undeleteRecord } from './routes/undelete-record.ts';

export const SERVICE = 'crypto-store';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = GetRecord &
  PutRecord &
  ChangeVersions & {
    /** A replica that is only a worker has no routes of its own. */
    serves: boolean;
    http: Omit<AppSpec, 'service' | 'routes' | 'problems'>;
  };

/** The service as its routes. No I/O happens here. */
export function createApp({ http, serves, ...records }: AppDeps): App {
  const routes = [
    store(records),
    retrieve(records),
    putRecordRoute(records),
    getRecordRoute(records),
    headRecordRoute(records),
    deleteRecord(records),
    listRecordsRoute(records),
    listVersionsRoute(records),
    undeleteRecord(records),
    destroyRecord(records),
    recordBatch(records),
    recordHashes(records),
  ];
  return createHttpApp({ ...http, service: SERVICE, problems, routes: serves ? routes : [] });
}

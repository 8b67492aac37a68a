import { createHttpApp, group, jobRoutes, type App, type AppSpec } from '@postern/http';
import { type DataKeys } from './data-keys/create-data-keys.ts';
import { type Macs } from './macs/compute-macs.ts';
import { problems } from './problems.ts';
import { type ChangeVersions } from './records/change-versions.ts';
import { type GetRecord } from './records/get-record.ts';
import { type PutRecord } from './records/put-record.ts';
import { changeKeyVersion, type ChangeKeyVersion } from './routes/change-key-version.ts';
import { changeKeyRoute, type ChangeKey } from './routes/change-key.ts';
import { computeIndex } from './routes/compute-index.ts';
import { computeMac } from './routes/compute-mac.ts';
import { createDataKeysRoute } from './routes/create-data-keys.ts';
import { decryptRoutes } from './routes/decrypt.ts';
import { deleteRecord } from './routes/delete-record.ts';
import { destroyKeyVersion, type DestroyKeyVersion } from './routes/destroy-key-version.ts';
import { destroyRecord } from './routes/destroy-record.ts';
import { encryptRoutes } from './routes/encrypt.ts';
import { getKeyRoute, type GetKey } from './routes/get-key.ts';
import { getRecordRoute, headRecordRoute } from './routes/get-record.ts';
import { keyDestructionRoutes, type KeyDestructionRoutes } from './routes/key-destruction.ts';
import { listKeysRoute, type ListKeys } from './routes/list-keys.ts';
import { listRecordsRoute } from './routes/list-records.ts';
import { listVersionsRoute } from './routes/list-versions.ts';
import { openDataKeyRoute } from './routes/open-data-key.ts';
import { putRecordRoute } from './routes/put-record.ts';
import { recordBatch } from './routes/record-batch.ts';
import { recordHashes } from './routes/record-hashes.ts';
import { retrieve } from './routes/retrieve.ts';
import { rewrapRecordsRoutes } from './routes/rewrap-records.ts';
import { rewrapRoutes } from './routes/rewrap.ts';
import { rotateKeyRoute, type RotateKey } from './routes/rotate-key.ts';
import { store } from './routes/store.ts';
import { type Transit } from './routes/transit-routes.ts';
import { undeleteRecord } from './routes/undelete-record.ts';
import { verifyMac } from './routes/verify-mac.ts';

export const SERVICE = 'crypto-store';

/** What the routes need, and what the HTTP layer needs around them. */
export type AppDeps = GetRecord &
  PutRecord &
  ChangeVersions &
  Transit &
  DataKeys &
  Macs &
  ListKeys &
  GetKey &
  RotateKey &
  ChangeKey &
  ChangeKeyVersion &
  DestroyKeyVersion &
  KeyDestructionRoutes & {
    /** A replica that is only a worker has no routes of its own. */
    serves: boolean;
    http: Omit<AppSpec, 'service' | 'routes' | 'problems'>;
  };

/** The service as its routes. No I/O happens here. */
export function createApp({ http, serves, ...deps }: AppDeps): App {
  const routes = [
    ...group('Records', 'What a workload keeps here, sealed version by version; no other workload finds it.', [
      store(deps),
      retrieve(deps),
      putRecordRoute(deps),
      getRecordRoute(deps),
      headRecordRoute(deps),
      deleteRecord(deps),
      listRecordsRoute(deps),
      listVersionsRoute(deps),
      undeleteRecord(deps),
      destroyRecord(deps),
      recordBatch(deps),
      recordHashes(deps),
    ]),
    ...group('Encryption', 'Bytes that a caller keeps, sealed in the message format of the AWS Encryption SDK.', [
      ...encryptRoutes(deps),
      ...decryptRoutes(deps),
      ...rewrapRoutes(deps),
    ]),
    ...group('Data keys', 'Keys for who seals by itself, each for one message.', [
      createDataKeysRoute(deps),
      openDataKeyRoute(deps),
    ]),
    ...group('MACs and indexes', 'Values that only this service can compute.', [
      computeMac(deps),
      verifyMac(deps),
      computeIndex(deps),
    ]),
    ...group('Keys', "The tenant's keys: rotation, states, schedule, and what they still protect.", [
      listKeysRoute(deps),
      getKeyRoute(deps),
      rotateKeyRoute(deps),
      changeKeyRoute(deps),
      changeKeyVersion(deps),
      destroyKeyVersion(deps),
      ...rewrapRecordsRoutes(deps),
    ]),
    ...group('Destruction of a tenant', 'Two persons, a waiting time, and a receipt of every service.', [
      ...keyDestructionRoutes(deps),
    ]),
    ...jobRoutes({ db: deps.db, scopes: { read: 'keys:read', cancel: 'keys:write' } }),
  ];
  return createHttpApp({ ...http, service: SERVICE, problems, routes: serves ? routes : [] });
}

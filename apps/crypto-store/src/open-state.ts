import { openRedis } from '@postern/mtls';
import { openServiceState, type Setting as ServiceSetting } from '@postern/service';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { createRecordCache } from './records/record-cache.ts';
import { guards } from './records/record-guard.ts';
import { keyGuards } from './transit/key-guard.ts';

export type Setting = ServiceSetting<Config>;
export type State = Awaited<ReturnType<typeof openState>>;

/** Tenants' keys that are loaded at the start, two calls to the root key each. */
const WARM_KEYS = 100;

/** What the service keeps, and by which it keeps it: what every service does, and the cache of records. */
export async function openState(setting: Setting) {
  const { service, config, closing, metrics, logger, now } = setting;
  const state = await openServiceState<Schema>(setting, { guards: { ...guards, ...keyGuards } });
  void state.keys.warmUp(WARM_KEYS).catch((err: unknown) => logger.warn({ err }, 'no keys were loaded ahead'));
  const { url, password, ttlSeconds } = config.cache;
  const { tls } = state;
  const redis = closing.after(await openRedis({ url, password: password?.reveal() ?? '', tls, name: service }));
  const cache = createRecordCache({ redis, ttlSeconds, logger, metrics, now });
  return { ...state, redis, cache };
}

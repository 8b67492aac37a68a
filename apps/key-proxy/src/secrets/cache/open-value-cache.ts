import { openRedis, type TlsMaterial } from '@postern/mtls';
import { type Closing } from '@postern/runtime';
import { SERVICE } from '../../app.ts';
import { type Config } from '../../config.ts';
import { createValueCache, noCache, type ValueCache, type ValueCacheDeps } from './value-cache.ts';

type OpenValueCache = Omit<ValueCacheDeps, 'redis'> & { tls: TlsMaterial; closing: Pick<Closing, 'after'> };

/** The cache of values where one is configured. */
export async function openValueCache(
  config: Config['cache'],
  { tls, closing, ...deps }: OpenValueCache,
): Promise<ValueCache> {
  if (config === null) return noCache;
  const password = config.password?.reveal() ?? '';
  const redis = closing.after(await openRedis({ url: config.url, password, tls, name: SERVICE }));
  return createValueCache({ ...deps, redis });
}

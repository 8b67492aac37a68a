import { type Kysely } from 'kysely';
import { type Now, Problem, problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Providers } from '../providers/open-providers.ts';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { type CachedPlace, type CachedValue, nothingThere, type ValueCache } from './cache/value-cache.ts';
import { type createSingleFlight } from './cache/single-flight.ts';
import { assertReadable } from './find-secret.ts';
import { type HeldSecret } from './held-secret.ts';
import { newestValue, typed } from './newest-value.ts';
import { type SecretValue } from './secret-value.ts';

export type FoundValue = { read: CachedValue; source: 'provider' | 'cache' };

export type ReadSecret = {
  db: Kysely<Schema>;
  providers: Providers;
  cache: ValueCache;
  flights: ReturnType<typeof createSingleFlight<FoundValue>>;
  now: Now;
};

/** Which version is meant: by number, by a label, or the newest. */
export type Asked = { version?: number | undefined; label?: string | undefined };

export type SecretRead = {
  secret: HeldSecret;
  value: SecretValue;
  /** By our count; null for one that was written past this service. */
  version: number | null;
  providerVersion: string;
  source: 'provider' | 'cache';
  ageSeconds: number;
};

/** A version never changes: what was read of one is good as long as its secret is of the same generation. */
const PINNED_SECONDS = 86_400;

/**
 * One version of a secret: from the cache while that is young enough, else from where it lies, asked once for all who want it.
 * While the provider is down a value of an age that the secret allows (`stale_seconds`) is answered, and said to be so.
 * Past crypto-store nothing is shared: what a caller may read there is policy's word for each (R5).
 *
 * @param fresh past the cache, where what was read before proved stale
 * @throws Problem `secret_deleted`, `secret_disabled`, `secret_expired`, `version_not_found`; Problem of the provider port
 */
export async function readSecret(
  deps: ReadSecret,
  secret: HeldSecret,
  asked: Asked,
  by: OnBehalf,
  { fresh = false }: { fresh?: boolean } = {},
): Promise<SecretRead> {
  const { now } = deps;
  assertReadable(secret, now());
  const version = numberOf(secret, asked);
  if (version === null && secret.isNewestDisabled) throw problem('secret_disabled');
  if (secret.place.kind === 'crypto-store' || secret.cacheSeconds === 0)
    return answer(secret, await fetchValue(deps, secret, version, by), 'provider', now());
  // Who wants it fresh shares no look into the cache.
  const flight = `${secret.id}:${secret.generation}:${version}${fresh ? ':fresh' : ''}`;
  const { read, source } = await deps.flights(flight, () => lookOrAsk(deps, { secret, version }, by, fresh));
  return answer(secret, read, source, now());
}

/**
 * Once for all who ask for the same in this process: what the cache has, where it is young enough; else one replica asks, and
 * the others take what it puts there.
 */
async function lookOrAsk(
  deps: ReadSecret,
  at: CachedPlace & { secret: HeldSecret },
  by: OnBehalf,
  fresh: boolean,
): Promise<FoundValue> {
  const { cache, now } = deps;
  const { secret, version } = at;
  const [freshSeconds, staleSeconds] =
    version === null ? [secret.cacheSeconds, secret.staleSeconds] : [PINNED_SECONDS, 0];
  const isYounger = (value: CachedValue, seconds: number) => now().getTime() - value.at < seconds * 1000;
  const look = fresh ? nothingThere : await cache.lookOrLead(at, (value) => isYounger(value, freshSeconds));
  if (look.value) return { read: look.value, source: 'cache' };
  try {
    const read = await fetchValue(deps, secret, version, by);
    // The lead is kept until the others can find the value; the caller does not wait for that.
    void cache.put(at, read, freshSeconds + staleSeconds).finally(look.done);
    return { read, source: 'provider' };
  } catch (error) {
    void look.done();
    const { old } = look;
    if (old && isDown(error) && isYounger(old, freshSeconds + staleSeconds)) return { read: old, source: 'cache' };
    throw error;
  }
}

/** From the provider. */
async function fetchValue(
  { db, providers, now }: Pick<ReadSecret, 'db' | 'providers' | 'now'>,
  secret: HeldSecret,
  version: number | null,
  by: OnBehalf,
): Promise<CachedValue> {
  const { id, reference } = secret;
  const provider = await providers.at(secret.place);
  const call = providers.call(by);
  const at = now().getTime();
  if (version !== null) {
    const known = await findVersion(db, id, version);
    if (known?.state !== 'enabled') throw problem('version_not_found');
    const { value } = await provider.read(reference, known.provider_version, call);
    return { value: typed(value, known.type), version, providerVersion: known.provider_version, at };
  }
  const newest = await provider.read(reference, null, call);
  return { ...(await newestValue({ db, provider, call }, secret, newest)), at };
}

/** @throws Problem `version_not_found` */
export function numberOf({ labels }: HeldSecret, { version, label }: Asked): number | null {
  if (version !== undefined) return version;
  if (label === undefined) return null;
  const labelled = Object.hasOwn(labels, label) ? labels[label] : undefined;
  if (labelled === undefined) throw problem('version_not_found');
  return labelled;
}

const answer = (secret: HeldSecret, read: CachedValue, source: SecretRead['source'], now: Date): SecretRead => ({
  secret,
  value: read.value,
  version: read.version,
  providerVersion: read.providerVersion,
  source,
  ageSeconds: Math.max(0, Math.floor((now.getTime() - read.at) / 1000)),
});

const isDown = (error: unknown): boolean =>
  error instanceof Problem && (error.code === 'provider_unreachable' || error.code === 'provider_throttled');

const findVersion = (db: Kysely<Schema>, secretId: string, version: number) =>
  db
    .selectFrom('secret_versions')
    .select(['provider_version', 'state', 'type'])
    .where((at) => at.and({ secret_id: secretId, version }))
    .executeTakeFirst();

import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type Call, type OnBehalf, type Read, type SecretProvider } from '../providers/secret-provider.ts';
import { type ValueCache } from './cache/value-cache.ts';
import { type Providers } from '../providers/open-providers.ts';
import { type HeldSecret } from './held-secret.ts';
import { newestValue } from './newest-value.ts';
import { type SecretValue } from './secret-value.ts';

export type OpenedSecret = HeldSecret & { value: SecretValue };

export type ReadValues = { db: Kysely<Schema>; providers: Providers; cache: ValueCache; now: () => Date };

/** Enough to hide the round trips, few enough to leave the provider to others. */
const MOST_AT_ONCE = 8;

/**
 * The newest values of these secrets, in their order: from the cache, and the rest from where they lie, those of one place in
 * as few calls as its provider has for that. One that cannot be read fails the whole: a caller never takes an answer that
 * lacks a secret for one that has all.
 *
 * @param fresh past the cache
 * @throws Problem of the provider port
 */
export async function readValues(
  { db, providers, cache, now }: ReadValues,
  secrets: readonly HeldSecret[],
  by: OnBehalf,
  { fresh = false }: { fresh?: boolean } = {},
): Promise<OpenedSecret[]> {
  const values = new Map<string, SecretValue>();
  const caches = ({ place, cacheSeconds }: HeldSecret) => place.kind !== 'crypto-store' && cacheSeconds > 0;
  if (!fresh) {
    const young = async (secret: HeldSecret) => {
      const held = caches(secret) ? await cache.get({ secret, version: null }) : null;
      if (held && now().getTime() - held.at < secret.cacheSeconds * 1000) values.set(secret.id, held.value);
    };
    await Promise.all(secrets.map(young));
  }
  const call = providers.call(by);
  const at = now().getTime();
  const keep = async (secret: HeldSecret, provider: SecretProvider, newest: Read) => {
    const read = { ...(await newestValue({ db, provider, call }, secret, newest)), at };
    values.set(secret.id, read.value);
    if (!caches(secret)) return;
    void cache.put({ secret, version: null }, read, secret.cacheSeconds + secret.staleSeconds);
  };
  const missing = secrets.filter(({ id }) => !values.has(id));
  for (const together of byPlace(missing)) await readTogether(providers, together, call, keep);
  return secrets.map((secret) => {
    const value = values.get(secret.id);
    if (!value) throw new TypeError('every secret was read, or its failure thrown');
    return { ...secret, value };
  });
}

function byPlace(secrets: readonly HeldSecret[]): HeldSecret[][] {
  const groups = Map.groupBy(secrets, ({ place }) => JSON.stringify([place.kind, place.configuration]));
  return [...groups.values()];
}

async function readTogether(
  providers: Providers,
  secrets: readonly HeldSecret[],
  call: Call,
  keep: (secret: HeldSecret, provider: SecretProvider, newest: Read) => Promise<void>,
): Promise<void> {
  const [first] = secrets;
  if (!first) return;
  const provider = await providers.at(first.place);
  if (provider.readMany && secrets.length > 1) {
    const found = await provider.readMany(
      secrets.map(({ reference }) => reference),
      call,
    );
    for (const secret of secrets) {
      const read = found.get(secret.reference) ?? new Error('an answer of a batch lacks a reference');
      if (read instanceof Error) throw read;
      await keep(secret, provider, read);
    }
    return;
  }
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let at = next++; at < secrets.length; at = next++) {
      const secret = secrets[at];
      if (!secret) return;
      await keep(secret, provider, await provider.read(secret.reference, null, call));
    }
  };
  await Promise.all(Array.from({ length: Math.min(MOST_AT_ONCE, secrets.length) }, reader));
}

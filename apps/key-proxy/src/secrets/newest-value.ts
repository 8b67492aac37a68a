import { type Kysely } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type Call, type Read, type SecretProvider } from '../providers/secret-provider.ts';
import { type CachedValue } from './cache/value-cache.ts';
import { type HeldSecret } from './held-secret.ts';
import { bytesOf, type SecretValue, valueOf } from './secret-value.ts';

/** Where a value is read: its provider, and the call under which it was. */
export type Reading = { db: Kysely<Schema>; provider: SecretProvider; call: Call };

/**
 * What the provider gave as a secret's newest value, by our count. The newest is what the provider says it is, except that a
 * version which we have replaced is never taken for it: some providers go on answering with it for a while after a write.
 */
export async function newestValue(
  { db, provider, call }: Reading,
  secret: HeldSecret,
  newest: Read,
): Promise<Omit<CachedValue, 'at'>> {
  const { id, reference, version, providerVersion, type } = secret;
  if (newest.version === providerVersion) return { version, providerVersion, value: typed(newest.value, type) };
  if (!(await isReplaced(db, id, newest.version)))
    return { version: null, providerVersion: newest.version, value: newest.value };
  const { value } = await provider.read(reference, providerVersion, call);
  return { version, providerVersion, value: typed(value, type) };
}

/** A provider that keeps bytes alone does not say which of them were meant as text. */
export function typed(value: SecretValue, type: SecretValue['type']): SecretValue {
  if (value.type === type) return value;
  return type === 'binary' ? valueOf('binary', bytesOf(value)) : value;
}

async function isReplaced(db: Kysely<Schema>, secretId: string, providerVersion: string): Promise<boolean> {
  const row = await db
    .selectFrom('secret_versions')
    .select('version')
    .where((at) => at.and({ secret_id: secretId, provider_version: providerVersion }))
    .executeTakeFirst();
  return row !== undefined;
}

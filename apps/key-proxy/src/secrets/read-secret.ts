import { type Kysely } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Providers } from '../providers/open-providers.ts';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { assertReadable } from './find-secret.ts';
import { type HeldSecret } from './held-secret.ts';
import { type SecretValue } from './secret-value.ts';

export type ReadSecret = { db: Kysely<Schema>; providers: Providers; now: Now };

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

/**
 * One version of a secret from where it lies. The newest is what the provider says it is, except that a version which we
 * have replaced is never taken for it: some providers go on answering with it for a while after a write.
 *
 * @throws Problem `secret_deleted`, `secret_disabled`, `secret_expired`, `version_not_found`; Problem of the provider port
 */
export async function readSecret(
  { db, providers, now }: ReadSecret,
  secret: HeldSecret,
  asked: Asked,
  by: OnBehalf,
): Promise<SecretRead> {
  assertReadable(secret, now());
  const provider = await providers.at(secret.place);
  const call = providers.call(by);
  const from = { secret, source: 'provider' as const, ageSeconds: 0 };
  const number = numberOf(secret, asked);
  if (number !== null) {
    const known = await findVersion(db, secret.id, number);
    if (known?.state !== 'enabled') throw problem('version_not_found');
    const { value } = await provider.read(secret.reference, known.provider_version, call);
    return { ...from, value, version: number, providerVersion: known.provider_version };
  }
  const newest = await provider.read(secret.reference, null, call);
  if (newest.version === secret.providerVersion)
    return { ...from, value: newest.value, version: secret.version, providerVersion: newest.version };
  const replaced = await versionBy(db, secret.id, newest.version);
  if (replaced === null) return { ...from, value: newest.value, version: null, providerVersion: newest.version };
  const { value } = await provider.read(secret.reference, secret.providerVersion, call);
  return { ...from, value, version: secret.version, providerVersion: secret.providerVersion };
}

/** @throws Problem `version_not_found` */
export function numberOf({ labels }: HeldSecret, { version, label }: Asked): number | null {
  if (version !== undefined) return version;
  if (label === undefined) return null;
  const labelled = Object.hasOwn(labels, label) ? labels[label] : undefined;
  if (labelled === undefined) throw problem('version_not_found');
  return labelled;
}

const findVersion = (db: Kysely<Schema>, secretId: string, version: number) =>
  db
    .selectFrom('secret_versions')
    .select(['provider_version', 'state', 'type'])
    .where((at) => at.and({ secret_id: secretId, version }))
    .executeTakeFirst();

async function versionBy(db: Kysely<Schema>, secretId: string, providerVersion: string): Promise<number | null> {
  const row = await db
    .selectFrom('secret_versions')
    .select('version')
    .where((at) => at.and({ secret_id: secretId, provider_version: providerVersion }))
    .orderBy('version', 'desc')
    .executeTakeFirst();
  return row?.version ?? null;
}

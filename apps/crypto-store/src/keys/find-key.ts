import { describeKeys, type DescribedKey } from '@postern/branch-keys';
import { type Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { z } from 'zod';

/** A branch key's purpose, as it stands in a path. */
export const purpose = z
  .string()
  .regex(/^[a-z][a-z-]{0,31}$/)
  .describe('records, transit, data-keys, macs');
export const versionNumber = z.coerce.number().int().min(1).max(1_000_000).describe('number of the version, from 1');

/** @throws Problem `key_not_found` */
export async function findKey(query: Query, tenant: string, of: string): Promise<DescribedKey> {
  const [key] = await describeKeys(query, tenant, of);
  if (key === undefined) throw problem('key_not_found');
  return key;
}

/** @throws Problem `key_not_found` */
export function findVersion(key: DescribedKey, number: number): DescribedKey['versions'][number] {
  const version = key.versions.find((one) => one.number === number);
  if (version === undefined) throw problem('key_not_found');
  return version;
}

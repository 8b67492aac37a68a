import { type DescribedKey } from '@postern/branch-keys';
import { z } from 'zod';

const DAY_MS = 86_400_000;

/** A tenant's key of one purpose, as its owner sees it. */
export const keyAnswer = z.strictObject({
  purpose: z.string().describe('records, transit, data-keys, macs'),
  id: z.string().describe('of the key, as it stands in messages and events'),
  state: z.enum(['enabled', 'disabled', 'destroying', 'destroyed']),
  active_version: z.int().nullable().describe('under which everything is sealed now'),
  minimum_decrypt_version: z.int().describe('messages under older versions are refused'),
  rotation_days: z.int().describe('days from one version to the next'),
  next_rotation_at: z.iso.datetime().nullable(),
  versions: z.array(
    z.strictObject({
      number: z.int().describe('counts the versions, from 1'),
      id: z.uuid(),
      state: z.enum(['active', 'decrypt-only', 'disabled', 'destroyed']),
      created_at: z.iso.datetime(),
      changed_at: z.iso.datetime(),
      root_key: z.string().nullable().describe('the root key that wraps it; null once destroyed'),
    }),
  ),
});

/** @param profileDays days between rotations where the owner chose none. */
export function answerOf(key: DescribedKey, profileDays: number): z.input<typeof keyAnswer> {
  const active = key.versions.find(({ state }) => state === 'active');
  const days = key.rotationDays ?? profileDays;
  return {
    purpose: key.purpose,
    id: key.branchKeyId,
    state: key.state,
    active_version: active?.number ?? null,
    minimum_decrypt_version: key.minimumDecryptVersion,
    rotation_days: days,
    next_rotation_at:
      active && key.state === 'enabled' ? new Date(active.createdAt.getTime() + days * DAY_MS).toISOString() : null,
    versions: key.versions.map(({ number, version, state, createdAt, changedAt, rootKey }) => ({
      number,
      id: version,
      state,
      created_at: createdAt.toISOString(),
      changed_at: changedAt.toISOString(),
      root_key: rootKey,
    })),
  };
}

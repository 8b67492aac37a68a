import { type Kysely, sql } from 'kysely';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { heldSecret, type HeldSecret } from './held-secret.ts';

export type SecretSettings = {
  description?: string | undefined;
  tags?: Readonly<Record<string, string>> | undefined;
  labels?: Readonly<Record<string, number>> | undefined;
  expiresAt?: Date | null | undefined;
  rotateDays?: number | null | undefined;
  cacheSeconds?: number | undefined;
  staleSeconds?: number | undefined;
};

/** As they were noted with a write: JSON, where a date is a text. */
export function settingsFrom(noted: Record<string, unknown>): SecretSettings {
  const { expiresAt, ...rest } = noted as Omit<SecretSettings, 'expiresAt'> & { expiresAt?: string | null };
  return { ...rest, expiresAt: typeof expiresAt === 'string' ? new Date(expiresAt) : expiresAt };
}

/**
 * Changes what is kept here of a secret. What was read before under other settings is read again (R32).
 * @throws Problem `secret_not_found` where it is gone meanwhile; `version_not_found` for a label of a version that is not there
 */
export async function changeSettings(
  db: Kysely<Schema>,
  id: string,
  settings: SecretSettings,
  now: Date,
): Promise<HeldSecret> {
  await assertLabels(db, id, settings);
  const row = await db
    .updateTable('secrets')
    .set({
      ...settingColumns(settings, now),
      generation: sql<string>`generation + 1`,
      updated_at: now,
    })
    .where('id', '=', id)
    .where('state', '!=', 'creating')
    .returningAll()
    .executeTakeFirst();
  if (!row) throw problem('secret_not_found');
  return heldSecret(row);
}

/** What is said of a secret as its row has it; what is not said is left as it is. */
export function settingColumns(settings: SecretSettings, now: Date) {
  const { description, tags, labels, expiresAt, rotateDays, cacheSeconds, staleSeconds } = settings;
  return {
    ...(description === undefined ? {} : { description }),
    ...(tags === undefined ? {} : { tags: JSON.stringify(tags) }),
    ...(labels === undefined ? {} : { labels: JSON.stringify(labels) }),
    ...(expiresAt === undefined ? {} : { expires_at: expiresAt, reminded_at: null }),
    ...(rotateDays === undefined ? {} : { ...rotation(rotateDays, now), reminded_at: null }),
    ...(cacheSeconds === undefined ? {} : { cache_seconds: cacheSeconds }),
    ...(staleSeconds === undefined ? {} : { stale_seconds: staleSeconds }),
  };
}

const DAY_MS = 86_400_000;

const rotation = (days: number | null, now: Date) => ({
  rotate_days: days,
  rotate_at: days === null ? null : new Date(now.getTime() + days * DAY_MS),
});

/** @throws Problem `version_not_found` for a label of a version that is not there */
export async function assertLabels(db: Kysely<Schema>, id: string, { labels = {} }: SecretSettings): Promise<void> {
  const versions = Object.values(labels);
  if (versions.length === 0) return;
  const rows = await db
    .selectFrom('secret_versions')
    .select('version')
    .where('secret_id', '=', id)
    .where('version', 'in', versions)
    .execute();
  if (new Set(versions).size !== rows.length) throw problem('version_not_found');
}

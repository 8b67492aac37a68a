import { randomUUID } from 'node:crypto';
import { type Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Place } from '../providers/open-providers.ts';
import { referenceOf } from '../providers/reference.ts';
import { type Owner } from './owner.ts';
import { type SecretSettings, settingColumns } from './change-settings.ts';
import { type CreateKey } from './repeated-create.ts';
import { beginSecretCount, holdSecretQuota } from './secret-quota.ts';
import { ABANDONED_AFTER_MS } from './writes/open-write.ts';

export type Reservation = {
  id: string;
  name: string;
  place: Place;
  reference: string;
  /** An attempt that was abandoned midway is taken over: something may lie at the provider already. */
  takenOver: boolean;
};

/** Of a secret whose owner says nothing; an attempt that is taken over may have said something. */
const NOTHING_SAID = {
  description: '',
  tags: {},
  expiresAt: null,
  rotateDays: null,
  cacheSeconds: 60,
  staleSeconds: 0,
} as const satisfies SecretSettings;

type NewReservation = {
  owner: Owner;
  name: string;
  place: Place;
  createKey: CreateKey | null;
  /** What its owner says about it: there from the beginning, so that no secret lives a moment without its expiry. */
  settings?: SecretSettings;
  /** How many secrets the tenant may have; absent: there is no quota. */
  mostSecrets?: number | undefined;
  now: Date;
};

/**
 * Takes the name for a secret whose write is about to begin, so that two creates of one name do not both write. An
 * attempt that was abandoned midway is taken over with its id and reference, and nothing is orphaned.
 *
 * @throws Problem `secret_exists`; `secret_busy` while the write of another attempt may still arrive at the provider;
 *   `name_too_long`; `quota_exceeded`; `provider_unavailable` where the configuration was removed meanwhile
 */
export async function reserveSecret(db: Kysely<Schema>, asked: NewReservation): Promise<Reservation> {
  const { owner, name } = asked;
  const id = randomUUID();
  const row = await takenName(db, id, asked).catch((error: unknown) => {
    throw isGone(error) ? problem('provider_unavailable', { detail: 'the configuration was removed' }) : error;
  });
  if (row) {
    const { reference, provider: kind, configuration } = row;
    const held: Place = { tenant: owner.tenant, kind, configuration };
    return { id: row.id, name, place: held, reference, takenOver: row.id !== id };
  }
  const { state } = (await stateOf(db, owner, name)) ?? { state: 'creating' };
  throw state === 'creating'
    ? problem('secret_busy', { retryAfterSeconds: ABANDONED_AFTER_MS / 1000 })
    : problem('secret_exists');
}

/** Of Postgres: what a new row refers to is not there (SQLSTATE 23503). A secret refers to its configuration alone. */
const isGone = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === '23503';

/** The row of the name, where it is now this create's. Under a quota a new one is made while its tenant's count is held. */
async function takenName(db: Kysely<Schema>, id: string, asked: NewReservation) {
  const { owner, mostSecrets } = asked;
  if (mostSecrets === undefined) return insertReservation(db, id, asked);
  await beginSecretCount(db, owner.tenant);
  return db.transaction().execute(async (tx) => {
    const row = await insertReservation(tx, id, asked);
    if (row?.id === id) await holdSecretQuota(tx, owner.tenant, mostSecrets);
    return row;
  });
}

function insertReservation(db: Kysely<Schema>, id: string, asked: NewReservation) {
  const { owner, name, place, createKey, settings = {}, now } = asked;
  const repeats = { idempotency_key: createKey?.key ?? null, idempotency_request: createKey?.request ?? null };
  const said = { ...settingColumns(NOTHING_SAID, now), ...settingColumns(settings, now) };
  const abandonedBefore = new Date(now.getTime() - ABANDONED_AFTER_MS);
  return db
    .insertInto('secrets')
    .values({
      id,
      tenant: owner.tenant,
      owner_issuer: owner.issuer,
      owner_sub: owner.sub,
      name,
      provider: place.kind,
      configuration: place.configuration,
      reference: referenceOf(place.kind, { id, name }),
      ...repeats,
      ...said,
      created_at: now,
      updated_at: now,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant', 'owner_issuer', 'owner_sub', 'name'])
        .doUpdateSet({ updated_at: now, ...repeats, ...said })
        .where('secrets.state', '=', 'creating')
        .where('secrets.updated_at', '<', abandonedBefore)
        // Its write began a little after the name was taken. Between the two, the name would be held for another minute, and by nobody.
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('provider_writes')
                .select('provider_writes.id')
                .whereRef('provider_writes.secret_id', '=', 'secrets.id')
                .where('provider_writes.outcome', 'is', null)
                .where('provider_writes.started_at', '>=', abandonedBefore),
            ),
          ),
        ),
    )
    .returning(['id', 'reference', 'provider', 'configuration'])
    .executeTakeFirst();
}

const stateOf = (db: Kysely<Schema>, owner: Owner, name: string) =>
  db
    .selectFrom('secrets')
    .select('state')
    .where((row) => row.and({ tenant: owner.tenant, owner_issuer: owner.issuer, owner_sub: owner.sub, name }))
    .executeTakeFirst();

/** Gives a name back for which no write was begun. */
export async function releaseReservation(db: Kysely<Schema>, id: string): Promise<void> {
  await db.deleteFrom('secrets').where('id', '=', id).where('state', '=', 'creating').execute();
}

import { type Kysely, sql } from 'kysely';
import { problem } from '@postern/runtime';
import { type Schema, type WriteOperation } from '../../db/schema.ts';
import { type SecretSettings, settingsFrom } from '../change-settings.ts';
import { type ValueType } from '../secret-value.ts';

/** A write at a provider, named by the id of its intent in the log (R23). */
export type Write = {
  id: string;
  secretId: string;
  tenant: string;
  operation: WriteOperation;
  /** The version that is written, or whose state is changed; null for the secret as a whole. */
  version: number | null;
  /** Of the value that is written (R38): by it the write is recognised at the provider. */
  fingerprint: Buffer | null;
  type: ValueType | null;
  bytes: number | null;
  /** Of a generated key pair. */
  publicKey: string | null;
  /** Of a write at crypto-store: by it the worker settles what is left open. */
  sealedToken: Buffer | null;
  /** Of a change of tags: these, and what else its owner said with them. */
  settings: SecretSettings | null;
  startedAt: Date;
};

/** A write that has not ended by then never will: no request lives that long on either side. */
export const ABANDONED_AFTER_MS = 60_000;

/**
 * Notes that a write begins. One at a time of a secret: @throws Problem `secret_busy`
 * @returns the write; of a `put` with the number of the version that it writes, which nobody else's is while it is open
 */
export async function openWrite(db: Kysely<Schema>, write: Write): Promise<Write> {
  const { id, secretId, tenant, operation, version, fingerprint, type, bytes, publicKey, sealedToken, startedAt } =
    write;
  const settings = write.settings && JSON.stringify(write.settings);
  const opened = await db
    .insertInto('provider_writes')
    .values({
      id,
      secret_id: secretId,
      tenant,
      operation,
      version,
      fingerprint,
      type,
      bytes,
      public_key: publicKey,
      sealed_token: sealedToken,
      settings,
      started_at: startedAt,
    })
    .onConflict((conflict) => conflict.column('secret_id').where('outcome', 'is', null).doNothing())
    .returning('id')
    .executeTakeFirst();
  if (!opened) throw problem('secret_busy', { retryAfterSeconds: ABANDONED_AFTER_MS / 1000 });
  return operation === 'put' ? { ...write, version: await nextVersion(db, id) } : write;
}

/** In a statement of its own, which sees what the write before this one committed. */
async function nextVersion(db: Kysely<Schema>, id: string): Promise<number | null> {
  const numbered = await db
    .updateTable('provider_writes as w')
    .from('secrets as s')
    .set({ version: sql<number>`s.version + 1` })
    .where('w.id', '=', id)
    .whereRef('s.id', '=', 'w.secret_id')
    .returning('w.version')
    .executeTakeFirst();
  return numbered?.version ?? null;
}

const columns = [
  'id',
  'secret_id',
  'tenant',
  'operation',
  'version',
  'fingerprint',
  'type',
  'bytes',
  'public_key',
  'sealed_token',
  'settings',
  'started_at',
  'outcome',
] as const;

/** A write by its id, or the open one of a secret. */
export async function findWrite(
  db: Kysely<Schema>,
  by: { id: string } | { secretId: string },
): Promise<(Write & { outcome: 'done' | 'refused' | null }) | null> {
  const query = db.selectFrom('provider_writes').select(columns);
  const row = await (
    'id' in by ? query.where('id', '=', by.id) : query.where('secret_id', '=', by.secretId).where('outcome', 'is', null)
  ).executeTakeFirst();
  if (!row) return null;
  const { secret_id, public_key, sealed_token, started_at, settings, ...rest } = row;
  return {
    ...rest,
    secretId: secret_id,
    publicKey: public_key,
    sealedToken: sealed_token,
    settings: settings && settingsFrom(settings),
    startedAt: started_at,
  };
}

import { type Kysely, sql } from 'kysely';
import { type Problem, problem } from '@postern/runtime';
import { type Schema, type SecretState, type WriteOperation } from '../../db/schema.ts';
import { type SecretSettings, settingsFrom } from '../change-settings.ts';
import { type HeldSecret } from '../held-secret.ts';
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

const WRITABLE = ['live', 'disabled'] as const;
/** In which states of a secret each write begins. */
const FROM: Readonly<Record<WriteOperation, readonly SecretState[]>> = {
  create: ['creating'],
  put: WRITABLE,
  disable: WRITABLE,
  enable: WRITABLE,
  disable_version: WRITABLE,
  enable_version: WRITABLE,
  tag: WRITABLE,
  delete: WRITABLE,
  recover: ['deleted'],
  destroy: [...WRITABLE, 'deleted'],
};

/**
 * Notes that a write begins. One at a time of a secret, and only while that lies where the write will go and is in a state for it: its row
 * is looked at, and held, by the same statement, so that of a write and the switch of a move the later one finds the earlier (R38).
 *
 * @returns the write; of a `put` with the number of the version that it writes, which nobody else's is while it is open
 * @throws Problem `secret_busy`, `secret_not_found`, `secret_deleted`, `secret_not_deleted`
 */
export async function openWrite(
  db: Kysely<Schema>,
  write: Write,
  { place, reference }: Pick<HeldSecret, 'place' | 'reference'>,
): Promise<Write> {
  const { id, secretId, tenant, operation, version, fingerprint, type, bytes, publicKey, sealedToken, startedAt } =
    write;
  const settings = write.settings && JSON.stringify(write.settings);
  const { rows } = await sql`
    insert into provider_writes (id, secret_id, tenant, operation, version, fingerprint, type, bytes, public_key,
                                 sealed_token, settings, started_at)
    select ${id}::uuid, s.id, ${tenant}::text, ${operation}::text, ${version}::int, ${fingerprint}::bytea, ${type}::text,
           ${bytes}::int, ${publicKey}::text, ${sealedToken}::bytea, ${settings}::jsonb, ${startedAt}::timestamptz
      from secrets s
     where s.id = ${secretId} and s.reference = ${reference} and s.provider = ${place.kind}
       and s.configuration is not distinct from ${place.configuration}::uuid and s.state = any(${FROM[operation]}::text[])
       for share of s
    on conflict (secret_id) where outcome is null do nothing
    returning id`.execute(db);
  if (rows.length === 0) throw await whyNot(db, write);
  return operation === 'put' ? { ...write, version: await nextVersion(db, id) } : write;
}

async function whyNot(db: Kysely<Schema>, { secretId, operation }: Write): Promise<Problem> {
  const open = await findWrite(db, { secretId });
  if (open) return problem('secret_busy', { retryAfterSeconds: ABANDONED_AFTER_MS / 1000 });
  const row = await db.selectFrom('secrets').select('state').where('id', '=', secretId).executeTakeFirst();
  if (!row || (row.state === 'creating' && operation !== 'create')) return problem('secret_not_found');
  // It was moved meanwhile, or what was under way has just ended: asked again it is looked up anew.
  if (FROM[operation].includes(row.state)) return problem('secret_busy', { retryAfterSeconds: 1 });
  return problem(
    operation === 'create' ? 'secret_exists' : operation === 'recover' ? 'secret_not_deleted' : 'secret_deleted',
  );
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

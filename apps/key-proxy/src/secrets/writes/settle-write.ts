import { timingSafeEqual } from 'node:crypto';
import { type Kysely, type Transaction } from 'kysely';
import { type BranchKeys } from '@postern/branch-keys';
import { type Now, Problem } from '@postern/runtime';
import { type Schema } from '../../db/schema.ts';
import { type Providers } from '../../providers/open-providers.ts';
import { isKeptHere } from '../../providers/capabilities.ts';
import { type Call, type OnBehalf, type SecretProvider } from '../../providers/secret-provider.ts';
import { fingerprintOf } from '../fingerprint.ts';
import { heldSecret, type HeldSecret } from '../held-secret.ts';
import { applyWrite, refuseWrite } from './apply-write.ts';
import { type Write } from './open-write.ts';

export type SettleWrites = { db: Kysely<Schema>; providers: Providers; branchKeys: BranchKeys; now: Now };

/** Told in the transaction that settles a write, where that was not done by somebody else meanwhile. */
export type Settled = (tx: Transaction<Schema>, write: Write, outcome: 'done' | 'refused') => Promise<void>;

type Found = { done: true; version: string | null } | { done: false };

/**
 * Finds out at the provider what became of a write that has no outcome (R23), and says so here. A value that was written is
 * recognised by its fingerprint (R38). What is half done stays open: a provider that does not answer throws.
 *
 * @throws Problem of the provider port
 */
export async function settleWrite(
  deps: SettleWrites & { settled?: Settled },
  write: Write,
  by: OnBehalf | null,
): Promise<'done' | 'refused'> {
  const { db, now } = deps;
  const row = await db.selectFrom('secrets').selectAll().where('id', '=', write.secretId).executeTakeFirst();
  const found: Found = row ? await lookFor(deps, heldSecret(row), write, by) : { done: false };
  return db.transaction().execute(async (tx) => {
    const outcome = found.done ? 'done' : 'refused';
    const isOurs = found.done ? await applyWrite(tx, write, found.version, now()) : await refuseWrite(tx, write, now());
    if (isOurs) await deps.settled?.(tx, write, outcome);
    return outcome;
  });
}

async function lookFor(deps: SettleWrites, secret: HeldSecret, write: Write, by: OnBehalf | null): Promise<Found> {
  const { providers } = deps;
  const { kind } = secret.place;
  const { operation } = write;
  const isSwitch = operation.startsWith('disable') || operation.startsWith('enable');
  // A state of ours alone is changed where its write is settled: this one was not.
  if (isSwitch && isKeptHere(kind, 'disable')) return { done: false };
  const provider = await providers.at(secret.place);
  const call = providers.call(by);
  if (operation === 'create' || operation === 'put') return writtenAt(deps, provider, secret, write, call);
  // Set again they are what was asked for, however many of them are there already.
  if (operation === 'tag')
    return orMissing(provider.tag(secret.reference, write.settings?.tags ?? {}, call)).then(
      (missing) => ({ done: missing !== null, version: null }) as Found,
    );
  const described = await orMissing(provider.describe(secret.reference, call));
  switch (operation) {
    case 'destroy': {
      // Deleted there and not here: what was begun with the destruction is brought to its end.
      const isHalf = described?.state === 'deleted' && secret.state !== 'deleted';
      if (isHalf) await provider.destroy(secret.reference, call);
      return described === null || isHalf ? { done: true, version: null } : { done: false };
    }
    case 'delete':
      if (described?.state === 'half_deleted') await provider.delete(secret.reference, call);
      return { done: described?.state !== 'live', version: null } as Found;
    case 'recover':
      if (described?.state === 'half_deleted') await provider.recover(secret.reference, call);
      return { done: described !== null && described.state !== 'deleted', version: null } as Found;
    default: {
      const wanted = operation.startsWith('disable') ? 'disabled' : 'enabled';
      const version = await providerVersionOf(deps.db, secret, write.version);
      return {
        done: described?.versions.find((one) => one.version === version)?.state === wanted,
        version: null,
      } as Found;
    }
  }
}

async function writtenAt(
  { branchKeys }: SettleWrites,
  provider: SecretProvider,
  { id, reference, place }: HeldSecret,
  { version, fingerprint }: Write,
  call: Call,
): Promise<Found> {
  // Noted and not yet numbered: the provider was never asked.
  if (version === null) return { done: false };
  const newest = await orMissing(provider.read(reference, null, call));
  if (newest === null || fingerprint === null) return { done: false };
  // A fingerprint is of bytes, so that it does not matter whether a provider tells text from bytes.
  const there = await fingerprintOf(branchKeys, { tenant: place.tenant, id }, newest.value);
  return timingSafeEqual(there, fingerprint) ? { done: true, version: newest.version } : { done: false };
}

async function providerVersionOf(db: Kysely<Schema>, secret: HeldSecret, version: number | null): Promise<string> {
  if (version === null) return secret.providerVersion;
  const row = await db
    .selectFrom('secret_versions')
    .select('provider_version')
    .where((at) => at.and({ secret_id: secret.id, version }))
    .executeTakeFirst();
  return row?.provider_version ?? secret.providerVersion;
}

async function orMissing<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Problem && (error.code === 'secret_missing' || error.code === 'version_missing')) return null;
    throw error;
  }
}

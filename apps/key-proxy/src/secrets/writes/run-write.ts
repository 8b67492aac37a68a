import { Problem } from '@postern/runtime';
import { type Owner } from '../owner.ts';
import { type OnBehalf, type SecretProvider, type Call } from '../../providers/secret-provider.ts';
import { heldSecret, type HeldSecret } from '../held-secret.ts';
import { applyWrite, refuseWrite } from './apply-write.ts';
import { ABANDONED_AFTER_MS, findWrite, openWrite, type Write } from './open-write.ts';
import { settleWrite, type SettleWrites } from './settle-write.ts';
import { sealToken, type StoreTokens } from '../../providers/sealed-token.ts';

export type RunWrites = SettleWrites & StoreTokens;

/** Which secret is written, where it lies, and for whom. */
export type Written = Pick<HeldSecret, 'id' | 'name' | 'place' | 'reference'> & { owner: Owner; by: OnBehalf };

export type NewWrite = Pick<Write, 'id' | 'operation'> &
  Partial<Pick<Write, 'version' | 'fingerprint' | 'type' | 'bytes' | 'publicKey' | 'settings'>>;

/** What the provider says of a write that it made. */
type Made = { version: string } | void;

/**
 * One write at a provider: noted before, its outcome after (R23). After a refusal nothing has changed; where the outcome is
 * not known the write stays open, and the worker, or the owner's next write, settles it. At crypto-store the
 * worker does so with a token that only reads, noted with the write: it has no other one (R5).
 *
 * @param make calls the provider; null where nothing is to be done there
 * @returns the secret as it is then; null once it is destroyed
 * @throws Problem `secret_busy` while another write of this secret is open, or it was moved meanwhile; `secret_deleted`,
 *   `secret_not_deleted`, `secret_not_found` where it is no longer in the state for it; Problem of the provider port
 */
export async function runWrite(
  deps: RunWrites,
  secret: Written,
  asked: NewWrite,
  make: ((provider: SecretProvider, call: Call) => Promise<Made>) | null,
): Promise<HeldSecret | null> {
  const { db, providers, now } = deps;
  await settleAbandoned(deps, secret.id, secret.by);
  const { tenant } = secret.owner;
  const sealedToken = make && secret.place.kind === 'crypto-store' ? await settlingToken(deps, secret) : null;
  const nothing = { version: null, fingerprint: null, type: null, bytes: null, publicKey: null, settings: null };
  const begun: Write = { ...nothing, ...asked, secretId: secret.id, tenant, sealedToken, startedAt: now() };
  const write = await openWrite(db, begun, secret);
  let isReached = false;
  try {
    const provider = make ? await providers.at(secret.place) : null;
    isReached = true;
    const made = provider && make ? await make(provider, providers.call(secret.by)) : undefined;
    return await db.transaction().execute(async (tx) => {
      await applyWrite(tx, write, made?.version ?? null, now());
      const row = await tx.selectFrom('secrets').selectAll().where('id', '=', write.secretId).executeTakeFirst();
      return row ? heldSecret(row) : null;
    });
  } catch (error) {
    if (!isReached || isRefusal(error)) await db.transaction().execute((tx) => refuseWrite(tx, write, now()));
    throw error;
  }
}

/** Null where no token is given for reading: then a write that is left open waits for its owner's next one. */
async function settlingToken({ storeToken, branchKeys }: RunWrites, { owner, by }: Written): Promise<Buffer | null> {
  try {
    const token = 'token' in by ? by.token : await storeToken(by.subjectToken, ['records:read']);
    return await sealToken(branchKeys, { tenant: owner.tenant, purpose: 'write-tokens' }, token);
  } catch {
    return null;
  }
}

/** Settles what an earlier attempt left open for so long that it has ended. @throws Problem of the provider port */
export async function settleAbandoned(deps: SettleWrites, secretId: string, by: OnBehalf | null): Promise<void> {
  const open = await findWrite(deps.db, { secretId });
  if (open && deps.now().getTime() - open.startedAt.getTime() > ABANDONED_AFTER_MS) await settleWrite(deps, open, by);
}

/** The provider answered that it will not, or could not be asked: nothing was written there. */
const refusals = new Set([
  'invalid_token',
  'provider_forbidden',
  'provider_credentials_refused',
  'provider_unavailable',
  'provider_unsupported',
  'provider_throttled',
  'reference_taken',
  'version_conflict',
  'value_too_large',
  'secret_missing',
  'version_missing',
  'secret_disabled',
  'deletion_under_way',
  'recovery_under_way',
  'keys_unavailable',
]);
const isRefusal = (error: unknown): boolean => error instanceof Problem && refusals.has(error.code);

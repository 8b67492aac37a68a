import { type Kysely, type Transaction } from 'kysely';
import { problem, type Secret } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type AccountPolicy } from './account-policy.ts';
import { type BreachedPasswords } from './breached-passwords.ts';
import { type Passwords } from './password.ts';
import { assertPasswordAllowed } from './password-rules.ts';

type Deps = { db: Kysely<Schema>; passwords: Passwords; breached: BreachedPasswords; policy: AccountPolicy };

/** A change that may be made as long as the account's hash is still `replaced`. */
export type PasswordChange = { account: string; replaced: string; hash: string };

const FIELD = 'body.new_password';

/**
 * Whether an account may have another password: the present one must be given, and neither it nor a former one is taken again. Each
 * look at one is the work of a login, and there are many: no connection is held meanwhile.
 * @throws Problem `password_refused`; `invalid_input` that names the rule
 */
export async function checkedChange(
  { db, passwords, breached, policy }: Deps,
  account: { id: string; email: string; password_hash: string },
  { present, next }: { present: Secret; next: Secret },
): Promise<PasswordChange> {
  const { id, email, password_hash: hash } = account;
  const { cost } = await db
    .selectFrom('accounts')
    .select((at) => at.fn.max('bcrypt_cost').as('cost'))
    .executeTakeFirstOrThrow();
  if (!(await passwords.verify(present, hash, cost))) throw problem('password_refused');
  await assertPasswordAllowed(breached, { password: next, email, field: FIELD });
  const former = await db
    .selectFrom('former_passwords')
    .select('password_hash')
    .where('account', '=', id)
    .orderBy('replaced_at', 'desc')
    .limit(policy.passwordHistory - 1)
    .execute();
  for (const used of [hash, ...former.map(({ password_hash }) => password_hash)]) {
    if (await passwords.verify(next, used, cost))
      throw problem('invalid_input', { fields: [{ field: FIELD, rule: 'must not be a former password' }] });
  }
  return { account: id, replaced: hash, hash: await passwords.hash(next) };
}

/**
 * Makes the change by compare-and-set, and holds the account's row from then on.
 * @returns false where the account has another hash by now, or is no longer active: then nothing has changed
 */
export async function applyChange(
  tx: Transaction<Schema>,
  { account, replaced, hash }: PasswordChange,
  now: Date,
): Promise<boolean> {
  const changed = await tx
    .updateTable('accounts')
    .set({ password_hash: hash, bcrypt_cost: null })
    .where((at) => at.and({ id: account, password_hash: replaced, state: 'active' }))
    .returning('id')
    .execute();
  if (changed.length === 0) return false;
  await tx.insertInto('former_passwords').values({ account, password_hash: replaced, replaced_at: now }).execute();
  return true;
}

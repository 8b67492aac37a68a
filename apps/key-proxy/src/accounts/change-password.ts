import { type Transaction } from 'kysely';
import { problem, type Secret } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type AccountPolicy } from './account-policy.ts';
import { type BreachedPasswords } from './breached-passwords.ts';
import { type Passwords } from './password.ts';
import { assertPasswordAllowed } from './password-rules.ts';

type Deps = { passwords: Passwords; breached: BreachedPasswords; policy: AccountPolicy };

const FIELD = 'body.new_password';

/**
 * Gives a locked account another password. The present one must be given, and neither it nor a former one is taken again.
 * @throws Problem `password_refused`; `invalid_input` that names the rule
 */
export async function changePassword(
  tx: Transaction<Schema>,
  { passwords, breached, policy }: Deps,
  account: { id: string; email: string; password_hash: string },
  { present, next, now }: { present: Secret; next: Secret; now: Date },
): Promise<void> {
  const { id, email, password_hash: hash } = account;
  const { cost } = await tx
    .selectFrom('accounts')
    .select((at) => at.fn.max('bcrypt_cost').as('cost'))
    .executeTakeFirstOrThrow();
  if (!(await passwords.verify(present, hash, cost))) throw problem('password_refused');
  await assertPasswordAllowed(breached, { password: next, email, field: FIELD });
  const former = await tx
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
  await tx.insertInto('former_passwords').values({ account: id, password_hash: hash, replaced_at: now }).execute();
  const password_hash = await passwords.hash(next);
  await tx.updateTable('accounts').set({ password_hash, bcrypt_cost: null }).where('id', '=', id).execute();
}
